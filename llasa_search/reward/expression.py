"""Reads the printed expression of a reward with `ast`; nothing in it is executed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from llasa_search.errors import InputError
from llasa_search.reward.base import Condition, Leaf, Reward
from llasa_search.reward.compose import COMBINATIONS

VerifierByName: TypeAlias = Callable[[str, Sequence[object], Mapping[str, object]], Leaf]
"""Makes the verifier of a name, with its positional and named arguments."""


def parse(text: str, verifier: VerifierByName) -> Reward | Condition | float:
    """Reads an expression such as "0.6 * wer + 0.4 * speaker" or "wer <= 0.05".

    Args:
        text: a reward, a condition or a number, as printed.
        verifier: makes the verifiers that it names.

    Raises:
        InputError: it cannot be read, or `verifier` refuses a name.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _build(tree.body, text.strip(), verifier)
    except (SyntaxError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{text!r} cannot be read as an expression such as '0.6 * wer + 0.4 * speaker'"
        ) from error


def _build(node: ast.expr, text: str, verifier: VerifierByName) -> Reward | Condition | float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -float(number)
        case ast.Name(id=name):
            return verifier(name, (), {})
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in COMBINATIONS:
            match [_build(arg, text, verifier) for arg in args]:
                case [*terms] if all(isinstance(term, Reward) for term in terms):
                    return COMBINATIONS[name](*(term for term in terms if isinstance(term, Reward)))
        case ast.Call(func=ast.Attribute(value=value, attr="given"), args=[arg], keywords=[]):
            match _build(value, text, verifier), _build(arg, text, verifier):
                case Reward() as reward, Condition() as condition:
                    return reward.given(condition)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            if all(keyword.arg for keyword in keywords):
                named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in keywords}
                return verifier(name, [ast.literal_eval(arg) for arg in args], named)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            match _build(left, text, verifier), _build(right, text, verifier):
                case Reward() as first, Reward() as second:
                    return first + second
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            match _build(left, text, verifier), _build(right, text, verifier):
                case (float() as weight, Reward() as reward) | (Reward() as reward, float() as weight):
                    return weight * reward
        case ast.Compare(ops=[ast.Lt() | ast.Gt()]):
            raise InputError(f"{ast.get_source_segment(text, node)!r}: a condition takes <= or >=")
        case ast.Compare(left=left, ops=[ast.LtE() | ast.GtE() as comparison], comparators=[right]):
            match _build(left, text, verifier), _build(right, text, verifier):
                case Leaf() as leaf, float() as bound:
                    return leaf <= bound if isinstance(comparison, ast.LtE) else leaf >= bound
                case float() as bound, Leaf() as leaf:
                    return leaf >= bound if isinstance(comparison, ast.LtE) else leaf <= bound
    raise InputError(
        f"{ast.get_source_segment(text, node)!r} in {text!r} is not made of verifiers: write "
        f"0.6 * wer + 0.4 * speaker, speaker.given(wer <= 0.05), or one of {', '.join(COMBINATIONS)}, "
        "such as Harmonic(wer, speaker)"
    )
