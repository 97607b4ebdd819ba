"""Forks: locks that no child may inherit from another thread, which is not there to free them."""

from __future__ import annotations

import os
from typing import Any

_locks: list[Any] = []
_held: list[Any] = []
_child = False


def wait_for(lock: Any) -> Any:
    """The lock, which from now on whoever forks takes first, after those named before it."""
    _locks.append(lock)
    return lock


def in_child() -> bool:
    """Whether this process was forked from one that had imported fastpool."""
    return _child


def _before() -> None:
    for lock in _locks:
        lock.acquire()
        _held.append(lock)


def _after() -> None:
    held = _held[::-1]
    _held.clear()  # before another thread can take the first lock and fork
    for lock in held:
        lock.release()


def _after_in_child() -> None:
    global _child
    _child = True
    _after()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after_in_child)
