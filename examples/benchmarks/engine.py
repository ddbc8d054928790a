"""Compares the speed and memory of the engine with `transformers.generate` and with the limit of the hardware.

Both sample N candidates for one prompt, alternately, with the same weights and the same number of tokens (END is
forbidden). The table is written to docs/results/benchmarks.md between its markers.

    python -m examples.benchmarks.engine                                     # the embedded model
    python -m examples.benchmarks.engine --shape llasa-1b                    # random weights, on a GPU
"""

from __future__ import annotations

import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import transformers
import typer
from transformers import LlamaConfig, LlamaForCausalLM, LogitsProcessor

from examples.benchmarks import sections
from llasa_search.checkpoints.loading import pick_device
from llasa_search.engine.batch import Batch, Task
from llasa_search.engine.cache import KeyValueCache
from llasa_search.engine.language_model import LanguageModel
from llasa_search.engine.token_sampling import mix
from llasa_search.llasa.loading import (
    find_model,
    load_language_model,
    load_tokenizer,
    pick_dtype,
)
from llasa_search.llasa.prompt_format import LlasaFormat
from llasa_search.sampling import Sampling

TEXT = "The captain found a silver coin near the lake, and nobody asked him why."
SAMPLING = Sampling(temperature=0.8)


class Shape(StrEnum):
    """Shapes of models with random weights."""

    llasa_1b = "llasa-1b"


@dataclass(frozen=True)
class Setting:
    """The settings of a measurement, which are sent to another process.

    Attributes:
        model: an id, a folder, or a shape with random weights.
        device, dtype: as `Llasa.from_pretrained` takes them.
        steps: tokens per candidate.
        voice_frames: number of codes in the prompt.
        threads: number of threads of torch.
    """

    model: str
    device: str
    dtype: str
    steps: int
    voice_frames: int
    threads: int


class SpeechOnly(LogitsProcessor):
    """Forbids every token that is not a speech code."""

    def __init__(self, codes: torch.Tensor, vocabulary: int) -> None:
        self.mask = torch.full((vocabulary,), -torch.inf, device=codes.device)
        self.mask[codes] = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return scores + self.mask


def load(setting: Setting) -> tuple[LlamaForCausalLM, torch.Tensor, torch.Tensor]:
    """Returns the model, the token ids of its codes and of END, and the ids of a prompt with text and voice."""
    device = pick_device(setting.device)
    dtype = pick_dtype(setting.dtype, device)
    voice = np.random.default_rng(0).integers(0, 4096, setting.voice_frames)
    if setting.model == Shape.llasa_1b.value:
        torch.manual_seed(0)
        with device:
            model: Any = LlamaForCausalLM(
                LlamaConfig(
                    vocab_size=193_800, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16,
                    num_attention_heads=32, num_key_value_heads=8, head_dim=64, tie_word_embeddings=True,
                    max_position_embeddings=2048, dtype=dtype,
                )
            )  # fmt: skip
            model = model.to(dtype).eval()
        outputs = torch.tensor([*range(128_264, 193_800), 128_261])
        return model, outputs, torch.cat((torch.arange(100), outputs[voice]))
    where = find_model(setting.model, None)[0]
    form = LlasaFormat(load_tokenizer(where))
    outputs = torch.tensor([*form.speech_ids.tolist(), form.end_id])
    prompt = torch.tensor(form.prompt_ids(TEXT, (voice % form.codebook_size).astype(np.int32)))
    return load_language_model(where, device, dtype), outputs, prompt


def engine(setting: Setting) -> tuple[Callable[[int], None], LanguageModel, int]:
    """Returns a function that samples N candidates with the engine, the language model, and the prompt's length."""
    model, outputs, prompt = load(setting)
    language_model = LanguageModel(model, outputs, max_length=2048)

    def sample(n: int) -> None:
        prefix = language_model.prefill(prompt)
        task = Task(language_model, prefix, np.zeros(0, np.int32), SAMPLING, setting.steps, setting.steps)
        batch = Batch(task, range(n), [mix(0, row) for row in range(n)])
        while len(batch):
            batch.step()

    return sample, language_model, len(prompt)


def generate(setting: Setting) -> Callable[[int], None]:
    """Returns a function that samples N candidates with `transformers.generate`."""
    model, outputs, prompt = load(setting)
    ids = prompt[None].to(model.device)
    processor = SpeechOnly(outputs[:-1].to(model.device), model.config.vocab_size)

    def sample(n: int) -> None:
        with torch.inference_mode():
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                num_return_sequences=n,
                do_sample=True,
                temperature=SAMPLING.temperature,
                top_k=0,
                top_p=1.0,
                min_new_tokens=setting.steps,
                max_new_tokens=setting.steps,
                logits_processor=[processor],
                eos_token_id=int(outputs[-1]),
                pad_token_id=0,
            )

    return sample


def timed(sample: Callable[[int], object], n: int) -> float:
    """Returns the seconds of one search."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    sample(n)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak_bytes(setting: Setting, which: str, n: int) -> int:
    """Returns the peak memory of one search without the loaded model; must run in a new process."""
    torch.set_num_threads(setting.threads)
    sample = engine(setting)[0] if which == "engine" else generate(setting)
    sample(1)
    if pick_device(setting.device).type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        sample(n)
        return torch.cuda.max_memory_allocated() - before
    Path("/proc/self/clear_refs").write_text("5")  # Linux: resets the peak to the current memory
    before = resident("VmRSS")
    sample(n)
    return resident("VmHWM") - before


def resident(entry: str) -> int:
    """Returns the bytes of this process, now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(entry))


def peak_bytes_in_process(setting: Setting, which: str, n: int) -> int:
    """Returns `peak_bytes` measured in a new process, whose peak includes nothing else."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(peak_bytes, setting, which, n).result()


def best_seconds(work: Callable[[], object], repeats: int = 5) -> float:
    return min(timed(lambda _: work(), 0) for _ in range(repeats))


def machine_rates(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """Returns FLOPs per second of a large matrix product, and bytes per second of a large copy, measured."""
    size = 8192 if device.type == "cuda" else 1536
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    source = torch.zeros(2**28 if device.type == "cuda" else 2**26, device=device)
    target = torch.empty_like(source)
    products = 2 * size**3 / best_seconds(lambda: torch.mm(left, right))
    copied = 2 * source.nbytes / best_seconds(lambda: target.copy_(source))
    return products, copied


def minimum_seconds(
    model: LanguageModel, prompt: int, steps: int, n: int, rates: tuple[float, float]
) -> float:
    """Returns the minimum time of a search: the sum over steps of FLOPs / FLOP rate or bytes / copy rate.

    A step reads the weights and the keys and values of the prompt and of the rows once; the larger time counts.
    """
    prefix = model.prefill(torch.zeros(prompt, dtype=torch.long))
    weights = [x for y in model.layers for x in (y.qkv, y.output, y.gate_up, y.down)] + [model.head]
    fixed = sum(weight.nbytes for weight in weights) + prefix.bytes
    row_bytes = KeyValueCache.bytes_per_row(prefix, 1)
    total = model.flops(prompt, prompt / 2, 1) / rates[0]
    for step in range(1, steps):
        flops = model.flops(n, prompt + step, n)
        total += max(flops / rates[0], (fixed + n * step * row_bytes) / rates[1])
    return total


def compare(setting: Setting, rows: list[int], repeats: int) -> list[str]:
    """Returns the table of one setting, in Markdown."""
    sample_engine, language_model, prompt = engine(setting)
    sample_generate = generate(setting)
    rates = machine_rates(language_model.device, language_model.dtype)
    lines = [
        "| N | engine, tokens/s | generate, tokens/s | ratio (range) | engine, s | generate, s "
        "| engine, MB | generate, MB | minimum time / engine time |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    seconds: dict[int, float] = {}
    for n in rows:
        sample_engine(n), sample_generate(n)
        pairs = [(timed(sample_engine, n), timed(sample_generate, n)) for _ in range(repeats)]
        engine_seconds, generate_seconds = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratios = sorted(b / a for a, b in pairs)
        memory = [peak_bytes_in_process(setting, which, n) / 2**20 for which in ("engine", "generate")]
        share = minimum_seconds(language_model, prompt, setting.steps, n, rates) / engine_seconds
        tokens = n * setting.steps
        lines.append(
            f"| {n} | {tokens / engine_seconds:,.0f} | {tokens / generate_seconds:,.0f} "
            f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f}) | {engine_seconds:.2f} "
            f"| {generate_seconds:.2f} | {memory[0]:.0f} | {memory[1]:.0f} | {share:.0%} |"
        )
        seconds[n] = engine_seconds
        typer.echo(lines[-1], err=True)
    lines += [
        "",
        f"This machine computes {rates[0] / 1e9:,.0f} GFLOP/s in a matrix product and copies "
        f"{rates[1] / 1e9:,.0f} GB/s.",
    ]
    if {1, 16} <= seconds.keys():
        lines[-1] += (
            f" The engine takes {seconds[16] / seconds[1]:.2f} times as long for N = 16 as for N = 1."
        )
    return lines


def machine(device: torch.device, threads: int) -> str:
    """Returns a description of the machine."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":")[1].strip() if names else model
    described = f"{model}, {multiprocessing.cpu_count()} cores, {threads} threads"
    if device.type == "cuda":
        described += f", {torch.cuda.get_device_name(device)}"
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"{described}; Python {platform.python_version()}, {versions}"


def main(
    model: Annotated[str, typer.Option(help='Language model: "tiny", a hub id, or a folder.')] = "tiny",
    shape: Annotated[
        Shape | None, typer.Option(help="Shape of a model with random weights, instead of --model.")
    ] = None,
    device: Annotated[str, typer.Option(help='Device: "auto", "cpu", "cuda", ...')] = "auto",
    dtype: Annotated[
        list[str] | None, typer.Option(help="Data type of the weights; may be repeated.")
    ] = None,
    rows: Annotated[list[int] | None, typer.Option(help="Number of candidates N; may be repeated.")] = None,
    steps: Annotated[int, typer.Option(help="Number of tokens per candidate.")] = 200,
    voice_frames: Annotated[
        int, typer.Option(help="Number of codes of the voice prompt; 50 per second.")
    ] = 200,
    repeats: Annotated[int, typer.Option(help="Number of repetitions of each measurement.")] = 5,
    threads: Annotated[int | None, typer.Option(help="Number of threads; default: torch's own.")] = None,
    out: Annotated[Path, typer.Option(help="Markdown page to write the table to.")] = sections.BENCHMARKS,
) -> None:
    """Compare the engine with `transformers.generate` and write a table."""
    threads = threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    place, what = pick_device(device), shape.value if shape else model
    if shape and place.type != "cuda":
        raise typer.BadParameter(f"--shape {shape.value} needs a GPU")
    lines = [
        f"## Engine: {what}",
        "",
        "The table compares the engine with `transformers.generate(num_return_sequences=N)` in speed and memory. "
        f"Both sample {steps} tokens per candidate at temperature 0.8 after a prompt with {voice_frames} codes of "
        f"voice; the times include the prefill. The values are medians of {repeats} alternating repetitions. The "
        "memory is the peak of a search without the loaded model. The last column is the minimum time, in which each "
        "step's FLOPs or bytes take as long as at the rates measured below, as a share of the engine's time. A "
        "model in the processor's cache can be faster.",
        "",
        f"The machine is {machine(place, threads)}.",
    ]
    for each in dtype or ["auto"]:
        setting = Setting(what, device, each, steps, voice_frames, threads)
        kind = str(pick_dtype(each, place)).removeprefix("torch.")
        typer.echo(f"{what}, {kind}", err=True)
        lines += ["", f"**{kind}**", "", *compare(setting, rows or [1, 4, 16, 64], repeats)]
    sections.write(out, f"engine-{shape.value}" if shape else "engine", "\n".join(lines))


if __name__ == "__main__":
    typer.run(main)
