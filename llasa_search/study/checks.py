"""What a study is refused for before anything is made: who cannot hear what."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from llasa_search.errors import InputError
from llasa_search.study.cases import Case
from llasa_search.study.plan import Arm
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt


def usable_cases(cases: Sequence[Case], arms: Sequence[Arm]) -> list[Case]:
    """The cases that every verifier of every arm can hear: for one of the voice, those with a voice prompt.

    Raises:
        InputError: there is none.
    """
    all_verifiers = {str(each): each for arm in arms for each in arm.all_verifiers()}.values()
    refused = {case.id: why for case, each in product(cases, all_verifiers) if (why := refusal(each, case))}
    if cases and len(refused) == len(cases):
        raise InputError(f"the search can use none of the texts: {next(iter(refused.values()))}")
    return [case for case in cases if case.id not in refused]


def refuse(cases: Sequence[Case], arms: Sequence[Arm], judges: Sequence[tuple[str, Verifier]]) -> None:
    """Raises what is wrong with the plan of a study, as far as that is known without any model.

    Raises:
        InputError: there are no cases, two cases or arms share a name, a verifier needs a voice that a case
            has not, or a judge one that none has.
    """
    for kind, names in (("cases", [c.id for c in cases]), ("arms", [a.name for a in arms])):
        if len(set(names)) < len(names):
            raise InputError(f"two {kind} share a name: {sorted(names)}")
    if not cases:
        raise InputError("there are no texts: give at least one")
    for name, judge in judges:
        refusals = [refusal(judge, case) for case in cases]
        if all(refusals):
            raise InputError(f"the judge {name!r} can hear none of the cases: {refusals[0]}")
    for arm in arms:
        for case, listener in product(cases, arm.all_verifiers()):
            if (why := refusal(listener, case)) is not None:
                raise InputError(f"case {case.id}, arm {arm.name!r}: {why}")


def refusal(listener: Verifier, case: Case) -> str | None:
    """Why a verifier cannot hear a case, as far as it knows without its model."""
    try:
        Verifier.check(listener, Prompt(case.text, case.language, case.voice))
    except InputError as error:
        return str(error)
    return None
