"""Trains the speaker encoder, a speechbrain ECAPA-TDNN with 0.5 M parameters.

It is trained to classify 300 pseudo-speakers in all styles with an additive angular margin (arXiv 2005.07143), on
crops of 0.5 to 3 s of original recordings and resynthesised speech.
"""

from __future__ import annotations

from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper
from torch import Tensor, nn

from examples.train_tiny import loop, pairs, speech
from examples.train_tiny.crops import Crops

BATCH = 48
SPEAKERS = [speaker.name for speaker in speech.verifier_speakers()]
HYPERPARAMS = f"""\
# speechbrain's own loader needs overrides={{"pretrained_path": this folder}}.
pretrained_path: .
sample_rate: 16000
n_mels: 80
emb_dim: 96
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: [128, 128, 128, 128, 384]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    groups: [1, 1, 1, 1, 1]
    attention_channels: 64
    res2net_scale: 4
    se_channels: 32
    lin_neurons: !ref <emb_dim>
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: !ref <emb_dim>
    out_neurons: {len(SPEAKERS)}
mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <mean_var_norm_emb>
    classifier: !ref <classifier>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
        classifier: !ref <pretrained_path>/classifier.ckpt
        label_encoder: !ref <pretrained_path>/label_encoder.txt
"""


def train(folders: list[Path], work: Path, steps: int = 1500, start: Path | None = None) -> None:
    """Trains on the verifiers' speech in `folders` and writes `work/speaker`.

    Args:
        start: exported folder to initialise from; None trains from scratch.
    """
    torch.manual_seed(0)
    parts = load_hyperpyyaml(HYPERPARAMS)
    trained = {name: parts[name] for name in ("embedding_model", "classifier")}
    if start is not None:
        for name, part in trained.items():
            part.load_state_dict(torch.load(start / f"{name}.ckpt", map_location="cpu", weights_only=True))
    model = nn.ModuleDict(trained).to(loop.DEVICE)
    features, normalise = parts["compute_features"].to(loop.DEVICE), parts["mean_var_norm"]
    margin = LogSoftmaxWrapper(AdditiveAngularMargin(margin=0.2, scale=30))
    crops = Crops(folders, shortest=0.5, longest=3.0)

    def step_loss(step: int) -> tuple[Tensor, dict[str, float]]:
        rows, audio = crops.batch(step, BATCH)
        lengths = torch.ones(BATCH, device=loop.DEVICE)
        mels = normalise(features(audio.to(loop.DEVICE)), lengths)
        with loop.autocast():
            embeddings = model["embedding_model"](mels, lengths)
        cosines = model["classifier"](embeddings.float())
        labels = torch.tensor([SPEAKERS.index(str(row["speaker"])) for row in rows], device=loop.DEVICE)
        loss = margin(cosines, labels[:, None])
        accuracy = (cosines[:, 0].argmax(-1) == labels).float().mean()
        return loss, {"loss": loss.item(), "accuracy": accuracy.item()}

    loop.train(model, step_loss, work / "speaker_train.pt", steps=steps, rate=2e-3 if start is None else 1e-3)
    export(model, work / "speaker")


def export(model: nn.ModuleDict, out: Path) -> None:
    """Writes a speechbrain folder with weights in half precision."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "hyperparams.yaml").write_text(HYPERPARAMS)
    for name, part in model.items():
        state = {k: v.half() if v.is_floating_point() else v for k, v in part.cpu().state_dict().items()}
        torch.save(state, out / f"{name}.ckpt")
    labels = "".join(f"'{name}' => {i}\n" for i, name in enumerate(SPEAKERS))
    (out / "label_encoder.txt").write_text(f"{labels}================\n'starting_index' => 0\n")


def evaluate(folder: Path, originals: Path, resynthesis: Path) -> dict[str, float]:
    """Returns equal error rates over all pairs of recordings, and writes the scale into `folder`."""
    from llasa_search.verifiers.backends.speaker_encoders import SpeakerEncoder

    encoder = SpeakerEncoder(str(folder))
    rows, original = zip(*speech.read_shards(originals), strict=True)
    _, decoded = zip(*speech.read_shards(resynthesis), strict=True)
    names = [row["speaker"] for row in rows]
    first, second = (encoder.embed([speech.to_float(a) for a in audios]) for audios in (original, decoded))
    mixed = pairs.split(first, second, names)
    pairs.write_scale(*mixed, folder)
    return {
        "originals": pairs.equal_error_rate(*pairs.split(first, first, names)),
        "resynthesis": pairs.equal_error_rate(*pairs.split(second, second, names)),
        "one of each": pairs.equal_error_rate(*mixed),
    }
