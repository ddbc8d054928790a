"""Options that several commands share. Each is one parameter of a command, and is read by a function of this file.

def speak(text: Text, language: Language = None, top_k: TopK = None, as_json: AsJson = False) -> None: ...
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from llasa_search.budget import Budget
from llasa_search.errors import InputError, short_repr
from llasa_search.request import as_voice
from llasa_search.sampling import Sampling
from llasa_search.voice import Voice

Model = Annotated[
    str, typer.Option(help='"tiny", a Hugging Face id such as HKUSTAudio/Llasa-1B, or a local folder.')
]
Codec = Annotated[
    str | None, typer.Option(help="The codec's id or folder; by default, the one that belongs to the model.")
]
PromptFormat = Annotated[
    str,
    typer.Option(
        help="Layout of the model's prompts: auto, or a format, such as \"llasa:assistant_prefix='Speaker kore '\"."
    ),
]
Device = Annotated[str, typer.Option(help='Where models run: "auto", "cpu", "cuda", "cuda:1", ...')]
DType = Annotated[
    str,
    typer.Option("--dtype", help='Type of the language model\'s weights: "auto", "float32", "bfloat16", ...'),
]
Language = Annotated[
    str | None,
    typer.Option(help='Code of the language, such as "en" or "zh"; by default, detected from the text.'),
]

VoicePrompt = Annotated[
    str | None, typer.Option(help="The voice: an audio file, or a built-in voice such as slt or slt:sad.")
]
PromptText = Annotated[str | None, typer.Option(help="The transcript of the prompt recording.")]
CheckPrompt = Annotated[
    bool,
    typer.Option("--check-prompt/--no-check-prompt", help="Warn if the prompt does not say its transcript."),
]

Verifiers = Annotated[
    list[str] | None,
    typer.Option(help="A reward to maximise, as NAME or NAME=WEIGHT; repeat the option for a weighted sum."),
]
Strategy = Annotated[str, typer.Option(help="How to search, such as best_of_n or best_of_n:stop_at=wer<=0.")]
Candidates = Annotated[int | None, typer.Option("-n", help="Stop after this many finished candidates.")]
BudgetSeconds = Annotated[
    float | None, typer.Option(help="Stop after this many seconds; loading does not count.")
]
BudgetTokens = Annotated[
    int | None, typer.Option(help="Stop after this many sampled speech tokens, over all rows.")
]
Temperature = Annotated[float | None, typer.Option(help="Sampling temperature; 0 is greedy.")]
TopP = Annotated[
    float | None, typer.Option(help="Sample from the most probable tokens whose sum reaches this.")
]
TopK = Annotated[int | None, typer.Option(help="Sample from this many of the most probable tokens; 0: all.")]
RepetitionPenalty = Annotated[
    float | None, typer.Option(help="Above 1, makes speech codes that have occurred less probable.")
]
Guard = Annotated[
    bool, typer.Option("--guard/--no-guard", help="End rows that repeat themselves or are silent for 2.5 s.")
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same speech.")]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing run folder.")]
SaveRun = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Also write every candidate to this new folder.")
]


def given_voice(prompt: str | None, prompt_text: str | None) -> Voice | None:
    """Returns the voice of `--prompt` and `--prompt-text`.

    Raises:
        InputError: there is no such voice, or a transcript without a recording.
    """
    if prompt_text is not None and prompt is None:
        raise InputError("--prompt-text without --prompt: give the recording that it is the transcript of")
    if prompt_text is not None and not prompt_text.strip():
        raise InputError("--prompt-text is empty: give the transcript of the prompt, or leave it out")
    return as_voice(prompt, prompt_text)


def given_budget(n: int | None, tokens: int | None, seconds: float | None) -> Budget:
    """Returns the budget of `-n`, `--budget-tokens` and `--budget-seconds`.

    Raises:
        InputError: a limit is not above 0.
    """
    if n is not None and n < 1:
        raise InputError(f"-n {short_repr(n)}: ask for 1 candidate or more")
    return Budget(n, tokens, seconds=seconds)


def given_sampling(
    temperature: float | None,
    top_p: float | None,
    top_k: int | None,
    repetition_penalty: float | None,
    guard: bool,
) -> Sampling:
    """Returns the sampling of the options that were given; the others have the defaults of `Sampling`.

    Raises:
        InputError: a value is outside its range.
    """
    options: dict[str, Any] = {
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "repetition_penalty": repetition_penalty,
        "guard": guard,
    }
    return Sampling(**{name: value for name, value in options.items() if value is not None})
