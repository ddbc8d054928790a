"""Locks between the threads of one process, and the preparation of forked processes.

A thread takes these locks in this order: `third_party_lock`, `loading_lock`, the lock of a loaded model.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cached_property, wraps
from threading import RLock
from typing import Any, ParamSpec, Self, TypeVar, overload

P = ParamSpec("P")
T = TypeVar("T")

third_party_lock = RLock()
"""Held while a search imports libraries, loads models, or runs a verifier.

Such code changes state of the whole process, such as `sys.stdout` or torch's default dtype, which is restored
before another thread runs such code. Imports of one library in two threads at the same time can fail.
"""

loading_lock = RLock()
"""Held while one object loads its model, also when it is used without a search, as in `WER().transcribe(...)`."""


def in_one_thread(call: Callable[P, T]) -> Callable[P, T]:
    """Returns a function that holds `third_party_lock` while it runs."""

    @wraps(call)
    def alone(*args: P.args, **kwargs: P.kwargs) -> T:
        with third_party_lock:
            return call(*args, **kwargs)

    return alone


class loaded_once(cached_property[T]):
    """A cached property that is computed once, also when several threads read it at the same time."""

    def __init__(self, load: Callable[[Any], T]) -> None:
        super().__init__(load)

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...

    def __get__(self, instance: object, owner: type[Any] | None = None) -> Self | T:
        with loading_lock:
            return super().__get__(instance, owner)


def _acquire() -> None:
    third_party_lock.acquire()
    loading_lock.acquire()


def _release() -> None:
    loading_lock.release()
    third_party_lock.release()


def _in_child() -> None:
    _release()
    # OpenMP's threads do not exist in a forked process, and torch would wait for them forever.
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_acquire, after_in_parent=_release, after_in_child=_in_child)
