"""Which backend runs a call: the table, what is usable here, and the choice.

A backend is a module with the functions ``forward``, ``backward`` and ``unpool``, loaded
on first use: importing Numba takes longer than most programs pool, so a program whose
calls NumPy answers soon enough never pays for it.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import warnings
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple

from . import backends as package
from . import forks
from .backends import BackendUnavailable, NotReady
from .geometry import Geometry
from .interrupts import held_back

# The package is imported here, which sets fastpool.backends, so that the later import of its
# modules cannot put it in the place of the public function of that name.
_TABLE = {name: f"{package.__name__}.{name}" for name in ("numpy", "numba")}
_NAMES = ("auto", *_TABLE)

# "auto" stays with NumPy until the calls that one Numba kernel would have served have
# cost as much as its first use does: the ski-rental rule (Karlin et al. 1988), which never
# costs more than twice the better choice. The figures are rough, and no clock is read, so that
# the choice depends on the calls alone. Measured: Numba's start 0.5 s, import, start and
# compilation of the first kernel 2 to 4 s, of a later one 0.3 to 2 s; the NumPy backend 0.1 ms a
# call and 5 to 20 ns a cell.
START_SECONDS = 0.5
FIRST_COMPILE_SECONDS = 3.0
COMPILE_SECONDS = 1.0
NUMPY_SECONDS_PER_CALL = 1e-4
NUMPY_SECONDS_PER_CELL = 10e-9


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
_loading = forks.wait_for(threading.RLock())
# What NumPy's answers have cost for want of each kernel.
_spent: dict[Hashable, float] = {}
# How many functions were compiled when a call like this was last found to need another.
_refused: dict[Hashable, int] = {}
_MOST = 4096  # of each
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
            load(name)
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


def resolve(function: str, backend: object) -> str:
    """What a call with this ``backend=`` asks for.

    Raises
    ------
    TypeError, ValueError
        It is no name of a backend.
    """
    return current_default() if backend is None else _check_name(f"{function}: backend", backend)


def run(
    name: str, part: str, kernel: Hashable, cells: int, geometry: Geometry, *arrays: Any
) -> tuple[ModuleType, Any]:
    """Call the function `part` of a backend: which one answered, and what.

    `kernel` says which calls "auto" counts together, `cells` how much work this one is.

    Raises
    ------
    BackendUnavailable
        A backend asked for by name cannot be used here.
    """
    if not cells:
        return load("numpy" if name == "auto" else name), None
    if name == "auto":
        try:
            answer = _run_numba_if_worth(part, kernel, cells, geometry, arrays)
        except BackendUnavailable as error:
            _warn_once(str(error))
            answer = None
        if answer is not None:
            return answer
        name = "numpy"
    module = load(name)
    return module, getattr(module, part)(geometry, *arrays)


def _run_numba_if_worth(
    part: str, kernel: Hashable, cells: int, geometry: Geometry, arrays: tuple[Any, ...]
) -> tuple[ModuleType, Any] | None:
    """Numba's answer, if it is ready to give one or the work is worth a compilation."""
    call = kernel, geometry
    module = load("numba") if "numba" in _modules or not _numba_found() else None
    if module is not None:
        answer = _run_if_ready(module, part, call, arrays)
        if answer is not None:
            return answer
    limit = FIRST_COMPILE_SECONDS if module is None else COMPILE_SECONDS
    spent = _spent.get(kernel, 0.0) + NUMPY_SECONDS_PER_CALL + cells * NUMPY_SECONDS_PER_CELL
    if spent < limit:
        _put(_spent, kernel, spent)
        if module is None and spent >= START_SECONDS and _any_kernel_on_disk():
            return _run_if_ready(load("numba"), part, call, arrays)
        return None
    module = load("numba")
    answer = module, getattr(module, part)(geometry, *arrays)
    _spent.pop(kernel, None)
    _refused.pop(call, None)
    return answer


def _run_if_ready(
    module: ModuleType, part: str, call: tuple[Hashable, Geometry], arrays: tuple[Any, ...]
) -> tuple[ModuleType, Any] | None:
    """The answer of a backend, unless it would have to compile first."""
    if _refused.get(call) == module.compiled_functions():
        return None
    try:
        with module.nothing_compiled():
            return module, getattr(module, part)(call[1], *arrays)
    except NotReady:
        _put(_refused, call, module.compiled_functions())
        return None


def _put(memory: dict[Hashable, Any], key: Hashable, value: Any) -> None:
    if len(memory) >= _MOST:
        memory.clear()
    memory[key] = value


def load(name: str) -> ModuleType:
    """The module of a backend; a failure is remembered, since a failing import is slow.

    Raises
    ------
    BackendUnavailable
        It cannot be imported.
    """
    module = _modules.get(name)
    if isinstance(module, ModuleType):
        return module
    if module is None:
        with held_back(), _loading:
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


def _check_name(what: str, name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{what} must be one of {_NAMES}, got {type(name).__name__}")
    if name not in _NAMES:
        raise ValueError(f"{what} must be one of {_NAMES}, got {name!r}")
    return name


@lru_cache(maxsize=1)
def _numba_found() -> bool:
    """Whether Numba seems to be installed, told without importing it."""
    try:
        return find_spec("numba") is not None
    except (ImportError, ValueError):
        return False


@lru_cache(maxsize=1)
def _any_kernel_on_disk() -> bool:
    from . import cache_folders  # its imports take 20 ms

    return cache_folders.filled()


def _warn_once(cause: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        text = f"fastpool: {cause}; NumPy answers instead"
        warnings.warn(text, RuntimeWarning, stacklevel=_levels_to_caller())


def _levels_to_caller() -> int:
    """The ``stacklevel`` of `_warn_once` that names the line which called fastpool."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] == __package__:
        level, frame = level + 1, frame.f_back
    return level
