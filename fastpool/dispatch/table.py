"""The table of backends, and what is usable here.

A backend is loaded on first use: importing Numba takes longer than most programs pool, so a
program whose calls NumPy answers soon enough never pays for it.
"""

from __future__ import annotations

import importlib
import threading
from functools import lru_cache
from importlib.util import find_spec
from typing import NamedTuple, cast

from .. import backends
from ..backends.protocol import Backend, BackendUnavailable
from ..process import forks
from ..process.interrupts import held_back

# The one that is always there, and the one that is faster and has a compiler.
PLAIN, COMPILED = "numpy", "numba"
TABLE = {name: f"{backends.__name__}.{name}" for name in (PLAIN, COMPILED)}


class BackendStatus(NamedTuple):
    """One row of `available_backends`.

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


_loaded: dict[str, Backend | Exception] = {}
_loading = forks.wait_for(threading.RLock())


def available_backends() -> tuple[BackendStatus, ...]:
    """List the backends, whether each can be used here, and if not, why.

    Returns
    -------
    tuple of BackendStatus
        One ``(name, available, reason)`` per backend.

    Examples
    --------
    >>> fastpool.available_backends()[0]
    BackendStatus(name='numpy', available=True, reason='')
    """
    rows = []
    for name in TABLE:
        try:
            load(name)
        except BackendUnavailable as error:
            rows.append(BackendStatus(name, False, str(error)))
        else:
            rows.append(BackendStatus(name, True, ""))
    return tuple(rows)


def load(name: str) -> Backend:
    """A backend; a failure is remembered, since a failing import is slow.

    Raises
    ------
    BackendUnavailable
        It cannot be imported.
    """
    backend = _loaded.get(name)
    if backend is None:
        with held_back(), _loading:
            try:
                backend = cast(Backend, importlib.import_module(TABLE[name]))
            except Exception as error:  # a Numba at odds with this NumPy raises any of several
                backend = error
            _loaded[name] = backend
    if isinstance(backend, Exception):
        raise BackendUnavailable(
            f"backend {name!r} cannot be used: {type(backend).__name__}: {backend}"
        ) from backend
    return backend


def is_loaded(name: str) -> bool:
    """Whether `load` was called for it, whatever came of it."""
    return name in _loaded


@lru_cache(maxsize=1)
def compiler_found() -> bool:
    """Whether the compiled backend's library seems to be installed, told without importing it."""
    try:
        return find_spec(COMPILED) is not None
    except (ImportError, ValueError):
        return False
