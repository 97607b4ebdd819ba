"""One module a backend, with the same functions; `fastpool.dispatch` loads them."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class BackendUnavailable(ImportError):
    """The backend that was asked for by name cannot be used here."""


class NotReady(Exception):
    """A backend would have to compile first, which this call does not wait for."""


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
