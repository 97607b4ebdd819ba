"""How many threads a call may use."""

from __future__ import annotations

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
