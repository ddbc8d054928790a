"""Writes the model card of the embedded models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import safe_open

TEXT = """\
# The embedded model

These are small checkpoints in the formats of the real ones, trained from scratch. The code that runs Llasa-1B runs
them offline, without a GPU, in seconds. They are for trials of the library, for tests and for studies of search. The
language model speaks English with synthetic voices. It makes many errors, which a search can reduce.

| part | format | parameters | MB | steps of training |
|---|---|---|---|---|
{rows}

All weights are in half precision. The package has {total:.1f} MB with voices, texts and the judges' n-gram models;
codec, language model and recogniser have {core:.1f} MB.

- **Data.** The training data are {utterances} utterances ({hours:.1f} hours) of flite (voices slt, awb, kal16, rms) and
  of 32 pseudo-speakers that are derived from these voices, each in four styles (neutral, happy, sad, angry) of a random
  strength from 0.3 to 1, or to 1.5 at the end of training. The texts are generated sentences, random
  word strings, numbers and names. There are no human recordings and no scraped text.
- **Evaluation texts.** `texts/dev.jsonl` (50), `standard.jsonl` (100) and `hard.jsonl` (100: long sentences,
  numbers, rare words, words held out of training) are not in the training data.
- **Training.** `python -m examples.train_tiny` trains the models again (see its README).
- **Limits.** The models support English only. The language model ignores characters other than letters, digits and
  common punctuation. Its speaker similarity is low for voices other than those of flite.
- **Licence.** The licence is Apache-2.0, like that of the code. The licence of the real Llasa and X-codec2 weights is
  CC BY-NC 4.0.

{verifiers}The next table shows word error rates by a judge of another model family with two language models
(`docs/results/benchmarks.md` in the repository has more measurements):

{quality}
"""
QUALITY = re.compile("<!-- quality:begin -->.*<!-- quality:end -->", re.DOTALL)
"""The table that `examples.benchmarks.quality` writes, which stays in the card."""


VERIFIERS = """\
The verifiers' models were trained on 300 other pseudo-speakers and other texts; two thirds of the emotion model's
data have the voices above. The table shows results on recordings that were not used in training, before and after
the codec:

| measure | recordings | value |
|---|---|---|
"""

MEASURES = {
    "speaker": "speaker encoder, equal error rate over 16 held-out pseudo-speakers",
    "emotion": "emotion model, accuracy of four styles (strong: at strengths of 0.5 and more)",
    "ctc": "CTC model, word error rate on held-out pseudo-speakers",
}


def _parameters(path: Path) -> int:
    if path.suffix in (".pt", ".ckpt"):
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("model_state_dict", state.get("model", state))
        return sum(v.numel() for v in state.values())
    with safe_open(path, "pt") as tensors:
        return sum(tensors.get_tensor(key).numel() for key in tensors.keys())  # noqa: SIM118


def _steps(work: Path, states: list[str]) -> int:
    """Returns the number of steps of all stages of a part; 0 for stages that were not run."""
    paths = [work / f"{state}_train.pt" for state in states]
    return sum(
        torch.load(path, map_location="cpu", weights_only=True)["step"] for path in paths if path.exists()
    )


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(p.stat().st_size for p in files) / 1e6


def _measured(measures: dict[str, dict[str, float]]) -> Iterator[str]:
    for part, found in measures.items():
        yield from (f"| {MEASURES[part]} | {name} | {share:.1%} |" for name, share in found.items())


def write(tiny: Path, work: Path, further: bool) -> None:
    """Writes `tiny/README.md` with the steps, measures and hours of speech in `work`.

    Args:
        tiny: the package's folder; its `steps.json` has the number of training steps of each part and the size of
            the language model's training data.
        work: folder of the training.
        further: whether training continued from the packaged models, so that steps are added to theirs.
    """
    counted = tiny / "steps.json"
    before = json.loads(counted.read_text()) if further and counted.exists() else {}
    parts = [
        ("codec", "`Xcodec2Model`, 4,096 codes, 50/s", tiny / "codec" / "model.safetensors", ["codec"]),
        ("language model", "`LlamaForCausalLM`", tiny / "language_model" / "model.safetensors", ["lm_base"]),
        ("speech recogniser", "openai-whisper, windows of 10 s", tiny / "asr.pt", ["asr_a", "asr"]),
        ("speaker encoder", "speechbrain ECAPA-TDNN", tiny / "speaker" / "embedding_model.ckpt", ["speaker"]),
        ("emotion model", "funasr emotion2vec", tiny / "emotion" / "model.pt", ["emotion"]),
        ("CTC model", "`Wav2Vec2ForCTC`", tiny / "ctc" / "model.safetensors", ["ctc"]),
    ]
    present = [part for part in parts if part[2].exists()]
    steps = {name: before.get(name, 0) + _steps(work, states) for name, _, _, states in present}
    data = _training_data(work, before)
    counted.write_text(json.dumps({**steps, **data}, indent=1) + "\n")
    rows = [
        f"| {name} | {form} | {_parameters(path) / 1e6:.2f} M | {_megabytes(path):.1f} | {steps[name]:,} |"
        for name, form, path, _ in present
    ]
    measures = work / "measures.json"
    measured = json.loads(measures.read_text()) if measures.exists() else {}
    readme = tiny / "README.md"
    kept = QUALITY.search(readme.read_text(encoding="utf-8")) if readme.exists() else None
    readme.write_text(
        TEXT.format(
            rows="\n".join(rows),
            verifiers=VERIFIERS + "\n".join(_measured(measured)) + "\n\n" if measured else "",
            total=_megabytes(tiny),
            core=sum(_megabytes(path) for _, _, path, _ in present[:3]),
            utterances=f"{data['utterances']:,}",
            hours=data["seconds"] / 3600,
            quality=kept[0] if kept else "<!-- quality:begin -->\n<!-- quality:end -->",
        ),
        encoding="utf-8",
    )


def _training_data(work: Path, before: dict[str, int]) -> dict[str, int]:
    """Returns the number of the language model's utterances and their seconds, including those in `before`."""
    lengths = [
        json.loads(line)["length"]
        for meta in sorted((work / "codes").glob("*.jsonl"))
        for line in meta.read_text().splitlines()
    ]
    return {
        "utterances": before.get("utterances", 0) + len(lengths),
        "seconds": before.get("seconds", 0) + sum(lengths) // 50,
    }
