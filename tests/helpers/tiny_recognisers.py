"""Writes speech recognisers with random weights, in the formats of the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import WhisperForConditionalGeneration

WHISPER_MARKERS = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>", "<|translate|>", "<|transcribe|>",
    "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
)  # fmt: skip


def write_whisper(folder: Path, *, multilingual: bool = True, silent: bool = False) -> Path:
    """Writes a transformers folder of a Whisper over bytes, with windows of 2 s; if `silent`, it writes nothing."""
    from tokenizers import AddedToken
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperTokenizer

    letters = {character: i for i, character in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = WhisperTokenizer(vocab=letters, merges=[])
    markers = [AddedToken(marker, special=True, normalized=False) for marker in WHISPER_MARKERS]
    tokenizer.add_special_tokens({"additional_special_tokens": markers[1:]})
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80, chunk_length=2).save_pretrained(folder)
    vocabulary = tokenizer.get_vocab()
    ids = {marker: vocabulary[marker] for marker in WHISPER_MARKERS}
    end = ids["<|endoftext|>"]
    config = WhisperConfig(
        vocab_size=len(tokenizer), num_mel_bins=80, d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
        max_source_positions=100, max_target_positions=64, init_std=0.5, pad_token_id=end, bos_token_id=end,
        eos_token_id=end, decoder_start_token_id=ids["<|startoftranscript|>"],
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = WhisperForConditionalGeneration(config)
    generation: Any = model.generation_config
    # As openai/whisper-large-v3 has them: the first token may not be a space or END.
    generation.suppress_tokens = [letters["!"], ids["<|startoflm|>"], ids["<|startofprev|>"]]
    generation.begin_suppress_tokens = [letters["Ġ"], end]
    generation._from_model_config = False  # otherwise loading rebuilds it without the fields below
    generation.is_multilingual = multilingual
    generation.no_timestamps_token_id = ids["<|notimestamps|>"]
    if multilingual:
        generation.lang_to_id = {marker: ids[marker] for marker in ("<|en|>", "<|zh|>")}
        generation.task_to_id = {task: ids[f"<|{task}|>"] for task in ("translate", "transcribe")}
    if silent:
        end_always(model)
    model.save_pretrained(folder)
    return folder


@torch.no_grad()
def end_always(model: WhisperForConditionalGeneration) -> None:
    """Makes END the most probable token at each step."""
    model.model.decoder.layer_norm.weight.zero_()
    model.model.decoder.layer_norm.bias.fill_(10)
    model.proj_out.weight[model.config.eos_token_id] = 1


CHARACTERS = "今天气很好我们去看海的"


PARAFORMER_DECODER = {
    "attention_heads": 2,
    "linear_units": 16,
    "num_blocks": 1,
    "kernel_size": 5,
    "sanm_shfit": 0,
}
PARAFORMER: dict[str, Any] = {
    "model": "SeacoParaformer",
    "model_conf": {
        "ctc_weight": 0.0, "predictor_bias": 1, "sampling_ratio": 0.75, "inner_dim": 16,
        "bias_encoder_type": "lstm", "bias_encoder_bid": False, "NO_BIAS": 5,
    },
    "encoder": "SANMEncoder",
    "encoder_conf": {
        "output_size": 16, "attention_heads": 2, "linear_units": 16, "num_blocks": 2, "input_layer": "pe",
        "pos_enc_class": "SinusoidalPositionEncoder", "normalize_before": True, "kernel_size": 5,
        "sanm_shfit": 0, "selfattention_layer_type": "sanm",
    },
    "decoder": "ParaformerSANMDecoder",
    "decoder_conf": {**PARAFORMER_DECODER, "att_layer_num": 1},
    "seaco_decoder": "ParaformerSANMDecoder",
    "seaco_decoder_conf": {**PARAFORMER_DECODER, "use_output_layer": False, "wo_input_layer": True},
    "predictor": "CifPredictorV3",
    "predictor_conf": {
        "idim": 16, "threshold": 1.0, "l_order": 1, "r_order": 1, "tail_threshold": 0.45,
        "smooth_factor2": 0.25, "noise_threshold2": 0.01, "upsample_times": 3, "use_cif1_cnn": False,
        "upsample_type": "cnn_blstm",
    },
    "frontend": "WavFrontend",
    "frontend_conf": {
        "fs": 16000, "window": "hamming", "n_mels": 80, "frame_length": 25, "frame_shift": 10,
        "lfr_m": 7, "lfr_n": 6, "dither": 0.0,
    },
    "tokenizer": "CharTokenizer",
    "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
    "ctc_conf": {"dropout_rate": 0.0, "ctc_type": "builtin", "reduce": True, "ignore_nan_grad": True},
    "normalize": None,
}  # fmt: skip


def write_paraformer(folder: Path) -> Path:
    """Writes a funasr folder of a SeacoParaformer, such as funasr/paraformer-zh."""
    import funasr  # noqa: F401 - registers its models
    import yaml
    from funasr.register import tables

    tokens = ["<blank>", "<s>", "</s>", *CHARACTERS, "co@@", "in", "<unk>"]
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(PARAFORMER))
    (folder / "tokens.json").write_text(json.dumps(tokens))
    shift, scale = " ".join(["-8.0"] * 560), " ".join(["0.2"] * 560)
    (folder / "am.mvn").write_text(
        f"<Nnet>\n<Splice> 560 560\n[ 0 ]\n<AddShift> 560 560\n<LearnRateCoef> 0 [ {shift} ]\n"
        f"<Rescale> 560 560\n<LearnRateCoef> 0 [ {scale} ]\n</Nnet>\n"
    )
    settings = {**PARAFORMER, **PARAFORMER["model_conf"], "vocab_size": len(tokens), "input_size": 560}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = tables.model_classes["SeacoParaformer"](**settings)
        # About one token per two frames, and no markers.
        torch.nn.init.constant_(model.predictor.cif_output.bias, 0.0)
        torch.nn.init.normal_(model.decoder.output_layer.weight)
        with torch.no_grad():
            model.decoder.output_layer.bias[:3] = -20
    torch.save({"state_dict": model.state_dict(), "epoch": 1}, folder / "model.pt")
    return folder
