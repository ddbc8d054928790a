"""The imports for authors of verifiers, strategies and prompt formats.

A package adds one by listing it under an entry point; its name then works in every command and in Python:

    [project.entry-points."llasa_search.verifiers"]
    loudness = "my_package:Loudness"

    [project.entry-points."llasa_search.strategies"]
    random_restart = "my_package:RandomRestart"

    [project.entry-points."llasa_search.prompt_formats"]
    yue = "my_package:YueFormat"

**A verifier** subclasses `Verifier`, implements `score(utterances)` and declares its `scale`. `Verifier` has every
other hook with its default. Test it with `llasa_search.verifiers.testing.VerifierContract`.

**A strategy** has one method, `run(sampler, scorer)`, a generator that yields each finished `Candidate`. The base class
`Guided` adds the settings of strategies that score unfinished speech. Test it with
`llasa_search.strategies.testing.StrategyContract`.

**A prompt format** fulfils `PromptFormat`; a subclass of `LlasaFormat` replaces some of Llasa's strings. Test it with
`llasa_search.llasa.testing.PromptFormatContract`.

`Sampler`, `Scorer` and `Rows` are types for annotations. Import them under `if TYPE_CHECKING:`, because they import
torch; everything else here imports without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from llasa_search.arrays import Audio, Codes, FloatArray
from llasa_search.audio import resampled
from llasa_search.candidate import Candidate, Score, Span, Utterance
from llasa_search.errors import InputError, ModelError
from llasa_search.llasa.prompt_format import LlasaFormat, PromptFormat
from llasa_search.reward.base import Condition, Reward, ranking
from llasa_search.strategies.base import Strategy, check_counts, check_number, complete
from llasa_search.strategies.guided import Guided
from llasa_search.verifiers.base import Verifier
from llasa_search.verifiers.specification import parse_condition
from llasa_search.voice import Prompt, Voice

if TYPE_CHECKING:
    from llasa_search.generation.rows import Rows
    from llasa_search.generation.sampler import Sampler
    from llasa_search.scoring.scorer import Scorer

__all__ = [
    "Audio",
    "Candidate",
    "Codes",
    "Condition",
    "FloatArray",
    "Guided",
    "InputError",
    "LlasaFormat",
    "ModelError",
    "Prompt",
    "PromptFormat",
    "Reward",
    "Rows",
    "Sampler",
    "Score",
    "Scorer",
    "Span",
    "Strategy",
    "Utterance",
    "Verifier",
    "Voice",
    "check_counts",
    "check_number",
    "complete",
    "parse_condition",
    "ranking",
    "resampled",
]

_HEAVY = {
    "Rows": "llasa_search.generation.rows",
    "Sampler": "llasa_search.generation.sampler",
    "Scorer": "llasa_search.scoring.scorer",
}


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        return vars(import_module(_HEAVY[name]))[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
