"""Which backend runs a call: the table, what is usable here, and the choice.

A backend is a module with the functions ``forward``, ``backward`` and ``unpool``, loaded
on first use: importing Numba takes longer than most programs pool, so a program whose
calls NumPy answers soon enough never pays for it.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType
from typing import NamedTuple

from . import backends as package

# The package is imported here, which sets fastpool.backends, so that the later import of its
# modules cannot put it in the place of the public function of that name.
_TABLE = {name: f"{package.__name__}.{name}" for name in ("numpy", "numba")}
_NAMES = ("auto", *_TABLE)

# "auto" stays with NumPy until the calls that one Numba kernel would have served have
# cost as much as its first use does: the ski-rental rule (Karlin et al. 1988), which never
# costs more than twice the better choice. The figures are rough, and no clock is read, so that
# the choice depends on the calls alone. Measured: import and compilation of a
# kernel 2 to 4 s; the NumPy backend 0.1 ms a call and 5 to 20 ns a cell.
COMPILE_SECONDS = 3.0
NUMPY_SECONDS_PER_CALL = 1e-4
NUMPY_SECONDS_PER_CELL = 10e-9


class BackendUnavailable(ImportError):
    """The backend that was asked for by name cannot be used here."""


class BackendStatus(NamedTuple):
    """One row of `backends`.

    Attributes
    ----------
    name : str
        What ``backend=`` takes.
    available : bool
        Whether it can be used in this process.
    reason : str
        Why not; empty where it can.
    """

    name: str
    available: bool
    reason: str


_modules: dict[str, ModuleType | Exception] = {}
_numpy_seconds: dict[Hashable, float] = {}
_warned = False

_context: ContextVar[str | None] = ContextVar("fastpool_backend", default=None)
_process_default: str | None = None
_environment = os.environ.get("FASTPOOL_BACKEND")


def backends() -> tuple[BackendStatus, ...]:
    """List the backends, whether each can be used here, and if not, why.

    Returns
    -------
    tuple of BackendStatus
        One ``(name, available, reason)`` per backend.

    Examples
    --------
    >>> fastpool.backends()[0]
    BackendStatus(name='numpy', available=True, reason='')
    """
    rows = []
    for name in _TABLE:
        try:
            _load(name)
        except BackendUnavailable as error:
            rows.append(BackendStatus(name, False, str(error)))
        else:
            rows.append(BackendStatus(name, True, ""))
    return tuple(rows)


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
        chosen = _check_name("environment variable FASTPOOL_BACKEND", _environment or "auto")
    return chosen


def choose(function: str, backend: str | None, kernel: Hashable, cells: int) -> ModuleType:
    """The backend of one call: `kernel` is what Numba would compile, `cells` the work.

    Raises
    ------
    TypeError, ValueError
        `backend` is no name of a backend.
    BackendUnavailable
        A backend asked for by name cannot be used here.
    """
    name = current_default() if backend is None else _check_name(f"{function}: backend", backend)
    if name == "numba":
        module = _load("numba")
        _numpy_seconds[kernel] = COMPILE_SECONDS
        return module
    if name == "numpy":
        return _load("numpy")
    if _numba_found():
        cost = NUMPY_SECONDS_PER_CALL + cells * NUMPY_SECONDS_PER_CELL
        spent = _numpy_seconds.get(kernel, 0.0) + cost
        _numpy_seconds[kernel] = spent
        if spent < COMPILE_SECONDS:
            return _load("numpy")
    try:
        return _load("numba")
    except BackendUnavailable as error:
        _warn_once(str(error))
        return _load("numpy")


def _check_name(what: str, name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{what} must be one of {_NAMES}, got {type(name).__name__}")
    if name not in _NAMES:
        raise ValueError(f"{what} must be one of {_NAMES}, got {name!r}")
    return name


def _load(name: str) -> ModuleType:
    """The module of a backend; a failure is remembered, since a failing import is slow."""
    module = _modules.get(name)
    if isinstance(module, ModuleType):
        return module
    if module is None:
        try:
            module = importlib.import_module(_TABLE[name])
        except Exception as error:  # a Numba at odds with this NumPy raises any of several
            module = error
        _modules[name] = module
    if isinstance(module, Exception):
        raise BackendUnavailable(
            f"backend {name!r} cannot be used: {type(module).__name__}: {module}"
        ) from module
    return module


@lru_cache(maxsize=1)
def _numba_found() -> bool:
    """Whether Numba seems to be installed, told without importing it."""
    try:
        return find_spec("numba") is not None
    except (ImportError, ValueError):
        return False


def _warn_once(cause: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(f"fastpool: {cause}; NumPy answers instead", RuntimeWarning, stacklevel=4)
