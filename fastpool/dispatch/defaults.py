"""The backend of a call that names none: context, process, environment, "auto"."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from .table import TABLE

AUTO = "auto"

_context: ContextVar[str | None] = ContextVar("fastpool_backend", default=None)
_process_default: str | None = None
_environment = os.environ.get("FASTPOOL_BACKEND")


def use_backend(name: str) -> AbstractContextManager[None]:
    """Make `name` the default backend inside a ``with`` block.

    The choice is a context variable: it holds for the current thread or asyncio task
    alone. A call's own ``backend=`` argument goes before it.

    Parameters
    ----------
    name : {"auto", "numpy", "numba"}
        The backend.

    Raises
    ------
    ValueError
        `name` is none of these.

    Examples
    --------
    >>> with fastpool.use_backend("numpy"):
    ...     fastpool.maxpool2d([[1, 2], [3, 4]], 2)
    array([[4]])
    """
    return _in_context(_check_name("use_backend", name))


@contextmanager
def _in_context(name: str) -> Iterator[None]:
    token = _context.set(name)
    try:
        yield
    finally:
        _context.reset(token)


def set_default_backend(name: str | None) -> None:
    """Set the process's default backend.

    It goes before the environment variable ``FASTPOOL_BACKEND`` and after `use_backend`
    and a call's own ``backend=`` argument.

    Parameters
    ----------
    name : {"auto", "numpy", "numba"} or None
        The backend; None goes back to the environment variable, or "auto".

    Raises
    ------
    ValueError
        `name` is none of these.
    """
    global _process_default
    _process_default = None if name is None else _check_name("set_default_backend", name)


def current_default() -> str:
    """The backend of a call without ``backend=`` made here and now."""
    chosen = _context.get() or _process_default
    if chosen is None:
        if _environment is None:
            return AUTO
        chosen = _check_name("environment variable FASTPOOL_BACKEND", _environment or AUTO)
    return chosen


def resolve(function: str, backend: object) -> str:
    """What a call with this ``backend=`` asks for.

    Raises
    ------
    TypeError, ValueError
        It is no name of a backend.
    """
    if backend is None:
        return current_default()
    if type(backend) is str and (backend in TABLE or backend == AUTO):
        return backend
    return _check_name(f"{function}: backend", backend)


def _check_name(what: str, name: object) -> str:
    names = (AUTO, *TABLE)
    if not isinstance(name, str):
        raise TypeError(f"{what} must be one of {names}, got {type(name).__name__}")
    if name not in names:
        raise ValueError(f"{what} must be one of {names}, got {name!r}")
    return name
