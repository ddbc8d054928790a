"""Options of the scripts that are lists."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import typer

Number = TypeVar("Number", int, float)


def numbers(option: str, given: str, kind: Callable[[str], Number], least: float) -> list[Number]:
    """What is listed, comma-separated.

    Raises:
        typer.BadParameter: something else is, or a number below `least`.
    """
    try:
        found = [kind(each) for each in given.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{option} {given!r}: give numbers, separated by commas") from error
    if wrong := [each for each in found if not least <= each < math.inf]:
        raise typer.BadParameter(f"{option} {given!r}: {wrong[0]} is no number from {least:g} up")
    return found
