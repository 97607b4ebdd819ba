"""How many threads a call may use, and how they wait."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_one_thread: ContextVar[bool] = ContextVar("fastpool_one_thread", default=False)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let no call in the block, of this thread or task, start further threads.

    For callers that keep all processors busy themselves, with one call on each.
    """
    token = _one_thread.set(True)
    try:
        yield
    finally:
        _one_thread.reset(token)


def is_one_thread() -> bool:
    """Whether the caller is inside `one_thread`."""
    return _one_thread.get()


# What says how long a thread of OpenMP looks for work before it sleeps, in turns of a loop.
_TURNS = "GOMP_SPINCOUNT"


@contextmanager
def short_waits() -> Iterator[None]:
    """Let the threads of a GNU OpenMP that is loaded in the block sleep soon when they wait.

    They look for work for 15 ms otherwise. That keeps a thread that was just called from the
    processor where it is to run, until the next time slice: on two cores, one of them busy, a call
    of 1 ms took 6 to 8 ms, and so did each call after a tenth of a second on idle ones. Now it
    takes 1.5 to 2. What the user's environment says stays.

    OpenMP reads the environment when it is loaded, and offers no other way.
    """
    if _TURNS in os.environ or "OMP_WAIT_POLICY" in os.environ:
        yield
        return
    os.environ[_TURNS] = "3000"  # 0.1 ms: calls in a row find all threads awake
    try:
        yield
    finally:
        os.environ.pop(_TURNS, None)
