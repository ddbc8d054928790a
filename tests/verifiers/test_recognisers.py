"""Recognisers of transformers and funasr: equality with those libraries, windows, and what is refused."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from llasa_search.arrays import Audio
from llasa_search.candidate import Utterance
from llasa_search.errors import InputError, ModelError
from llasa_search.verifiers import WER, TranscriptLikelihood
from llasa_search.verifiers.backends.asr import load_asr
from llasa_search.verifiers.backends.batches import windows
from llasa_search.verifiers.backends.paraformer import Paraformer
from llasa_search.verifiers.backends.transformers_whisper import TransformersWhisper
from llasa_search.voice import Prompt, Voice
from tests.helpers.tiny_recognisers import write_paraformer, write_whisper
from tests.helpers.tiny_verifiers import write_ctc

Noise = Callable[..., Audio]


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whisper(tmp_path_factory.mktemp("asr") / "whisper")


@pytest.fixture(scope="module")
def paraformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_paraformer(tmp_path_factory.mktemp("asr") / "paraformer")


@pytest.fixture(params=["whisper", "paraformer"])
def folder(request: pytest.FixtureRequest, whisper: Path, paraformer: Path) -> Path:
    return whisper if request.param == "whisper" else paraformer


@pytest.mark.parametrize("language", ["en", "zh"])
def test_whisper_transcribes_as_transformers_does(whisper: Path, noise: Noise, language: str) -> None:
    """The transcript equals that of transformers' own `generate` and processor."""
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    audio = noise(1.5)
    processor = WhisperProcessor.from_pretrained(whisper)
    model = WhisperForConditionalGeneration.from_pretrained(whisper).eval()
    model.generation_config.begin_suppress_tokens = None
    features = processor(audio, sampling_rate=16_000, return_tensors="pt").input_features
    ids = model.generate(features, language=language, task="transcribe", max_new_tokens=8 + 25 * 3 // 2)
    expected = processor.batch_decode(ids, skip_special_tokens=True)[0].strip()
    assert load_asr(str(whisper)).transcribe([audio], language) == [expected] != [""]


def test_paraformer_transcribes_as_funasr_does(paraformer: Path, noise: Noise) -> None:
    """The transcripts equal those of funasr's AutoModel."""
    from funasr import AutoModel

    audios = [noise(1.5, 1), noise(0.4, 2)]
    level = logging.getLogger().level
    theirs = AutoModel(
        model=str(paraformer), device="cpu", disable_update=True, disable_pbar=True, disable_log=True, ncpu=1
    )
    expected = [theirs.generate(audio)[0]["text"].replace(" ", "") for audio in audios]
    logging.getLogger().setLevel(level)
    assert load_asr(str(paraformer)).transcribe(audios, "zh") == expected
    assert all(expected)


def test_a_batch_is_transcribed_as_its_recordings_alone(folder: Path, noise: Noise) -> None:
    """Transcripts do not depend on the other recordings of a batch, nor on their order."""
    asr = load_asr(str(folder))
    audios = [noise(1.5, 1), 0.01 * noise(0.4, 2), noise(5.0, 3), np.zeros(0, np.float32), noise(1.5, 4)]
    together = asr.transcribe(audios, "zh")
    assert together == [asr.transcribe([audio], "zh")[0] for audio in audios]
    assert len(set(together)) > 2 and together[3] == ""


def test_all_of_long_audio_is_transcribed(whisper: Path, noise: Noise) -> None:
    """Audio longer than the window is cut into pieces, whose transcripts are joined."""
    asr, audio = load_asr(str(whisper)), noise(5.0)
    assert isinstance(asr, TransformersWhisper) and asr.window == 32_000
    pieces = [asr.transcribe([piece], "en")[0] for piece in windows(audio, asr.window)]
    assert len(pieces) > 2 and asr.transcribe([audio], "en") == [" ".join(filter(None, pieces))]


def test_long_chinese_is_joined_without_spaces(paraformer: Path, noise: Noise) -> None:
    asr, audio = load_asr(str(paraformer)), noise(40.0)
    pieces = [asr.transcribe([piece], "zh")[0] for piece in windows(audio, 30 * 16_000)]
    assert len(pieces) == 2 and asr.transcribe([audio], "zh") == ["".join(pieces)]


def test_a_transcript_can_be_empty(tmp_path: Path, noise: Noise) -> None:
    """`begin_suppress_tokens`, which forbids an empty transcript, has no effect."""
    asr = load_asr(str(write_whisper(tmp_path / "silent", silent=True)))
    assert asr.transcribe([noise(1.0)], "en") == [""]


def test_paraformer_is_deterministic(paraformer: Path, tmp_path: Path, noise: Noise) -> None:
    """A checkpoint's dither, which adds noise to the features, has no effect."""
    copy = shutil.copytree(paraformer, tmp_path / "copy")
    config = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(config.replace("dither: 0.0", "dither: 1000.0"))
    expected = Paraformer(paraformer).transcribe([noise(2.0)], "zh")
    assert Paraformer(copy).transcribe([noise(2.0)] * 2, "zh") == expected * 2


def test_loading_changes_no_global_state(paraformer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Random states, the number of threads and the level of logging stay, and nothing is printed."""
    import torch

    state, level, threads = torch.get_rng_state(), logging.getLogger().level, torch.get_num_threads()
    with torch.random.fork_rng():
        Paraformer(paraformer)
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads
    assert logging.getLogger().level == level
    assert capsys.readouterr().out == ""


def test_chinese_errors_are_counted_by_character(paraformer: Path, noise: Noise) -> None:
    """One wrong character in a Chinese transcript is one error among the text's characters."""
    verifier, audio = WER(model=str(paraformer)), noise(1.5)
    (transcript,) = verifier.transcribe([audio], [16_000], "zh")
    text = transcript[:-1] + "海"
    score = verifier.score([Utterance(text, "zh", audio, 16_000)])[0]
    assert score.value == pytest.approx((transcript[-1] != "海") / len(text)) and score.detail == transcript
    assert verifier.family == "paraformer"


def test_ctc_transcribes_as_transformers_does(tmp_path: Path, noise: Noise) -> None:
    """A Wav2Vec2 with CTC is recognised by its folder, and its transcript equals that of transformers."""
    import torch
    from transformers import AutoModelForCTC, AutoTokenizer

    folder, audio = write_ctc(tmp_path / "ctc"), noise(1.0)
    verifier = WER(model=str(folder))
    assert verifier.family == "ctc" == WER(model="facebook/wav2vec2-base-960h").family
    model, tokenizer = AutoModelForCTC.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    inputs = torch.from_numpy((audio - audio.mean()) / np.sqrt(audio.var() + 1e-7))
    with torch.inference_mode():
        expected = tokenizer.decode(model(inputs[None]).logits[0].argmax(-1))
    assert verifier.transcribe([audio], [16_000], "en") == [expected] != [""]
    with pytest.raises(InputError, match=r"knows en, and the text is Chinese"):
        verifier.check(Prompt("今天", "zh"))


def test_the_embedded_ctc_model_transcribes_a_built_in_voice() -> None:
    """`tiny-ctc` is the embedded CTC model, and its error rate on a built-in voice is below 0.8."""
    verifier, voice = WER(model="tiny-ctc"), Voice.builtin("slt")
    score = verifier.score([Utterance(voice.text or "", "en", voice.audio, 16_000)])[0]
    assert verifier.family == "ctc" and 0 <= score.value < 0.8
    assert verifier.counts(voice.text or "", "en", score.detail)[1] == len((voice.text or "").split())


def test_verifiers_share_a_recogniser(whisper: Path) -> None:
    """Verifiers of one model that are used at the same time load it once."""
    verifiers = [WER(model=str(whisper)), WER(model=str(whisper), protocol="seed-tts-eval")]
    for verifier in verifiers:
        verifier.load()
    assert verifiers[0]._asr is verifiers[1]._asr


def test_unsupported_languages_are_refused(tmp_path: Path, paraformer: Path) -> None:
    english = WER(model=str(write_whisper(tmp_path / "en", multilingual=False)))
    english.check(Prompt("today", "en"))
    with pytest.raises(InputError, match=r"knows en, and the text is Chinese.*paraformer-zh"):
        english.check(Prompt("今天", "zh"))
    copy = shutil.copytree(paraformer, tmp_path / "copy")
    tokens = json.loads((copy / "tokens.json").read_text())
    letters = [token if "@@" not in token and token != "in" else f"字{i}" for i, token in enumerate(tokens)]
    (copy / "tokens.json").write_text(json.dumps(letters))
    with pytest.raises(InputError, match=r"knows zh, and the text is English.*large-v3"):
        WER(model=str(copy)).check(Prompt("today", "en"))


@pytest.mark.parametrize("change", ["missing", "shape", "file", "kind"])
def test_paraformers_that_do_not_fit_are_refused(paraformer: Path, tmp_path: Path, change: str) -> None:
    """A missing file or weight, a weight of another shape, and another model are refused by name."""
    import torch

    copy = shutil.copytree(paraformer, tmp_path / "copy")
    content = torch.load(copy / "model.pt", weights_only=True)
    if change == "missing":
        del content["state_dict"]["predictor.cif_output.weight"]
    elif change == "shape":
        content["state_dict"]["decoder.output_layer.weight"] = torch.ones(2, 2)
    torch.save(content, copy / "model.pt")
    if change == "file":
        (copy / "am.mvn").unlink()
    elif change == "kind":
        config = (copy / "config.yaml").read_text()
        (copy / "config.yaml").write_text(config.replace("SeacoParaformer", "ParaformerStreaming"))
    message = {
        "missing": "predictor.cif_output.weight",
        "shape": "decoder.output_layer.weight",
        "file": "am.mvn",
        "kind": "'ParaformerStreaming'; known are",
    }[change]
    with pytest.raises(ModelError, match=message):
        WER(model=str(copy)).load()


def test_a_whisper_without_one_weight_is_refused(whisper: Path, tmp_path: Path) -> None:
    """The error names the missing weight."""
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(whisper, tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    del weights["model.decoder.layers.0.fc1.weight"]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"model\.decoder\.layers\.0\.fc1\.weight is missing"):
        WER(model=str(copy)).load()


def test_folders_of_another_kind_are_refused(pair_path: Path, tmp_path: Path) -> None:
    """A folder that no back-end can load is refused with the kinds that can be loaded."""
    for folder in (pair_path / "language_model", tmp_path):
        with pytest.raises(ModelError, match="not a speech recogniser: neither a Whisper nor a Wav2Vec2"):
            WER(model=str(folder)).load()


@pytest.mark.parametrize("model", ["openai/whisper-large-v3", "paraformer-zh"])
def test_without_network_the_error_says_what_to_do(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that cannot be downloaded is refused soon, with the command that downloads it."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        ModelError, match=r"not on this computer.*hf download (openai|funasr)/.*give a folder"
    ):
        WER(model=model).load()


def test_the_likelihood_refuses_checkpoints_of_transformers(whisper: Path) -> None:
    with pytest.raises(InputError, match="openai-whisper checkpoints only"):
        TranscriptLikelihood(model=str(whisper)).load()
