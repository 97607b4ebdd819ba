"""Compiled functions on disk: one file each, found by what it was compiled from and for.

Numba's own cache has no check of what it reads, numbers its files, so that two processes can
mistake each other's, passes on whatever error a disk has, and uses no folder that it cannot write
to, as that of an image which was built with its kernels. Here a file that cannot be
read or written, or is not whole, is as good as none.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from ....process.cache_folders import folders

# What changes the code besides the function, its types and the processor.
_SETTINGS = (
    numba.__version__,
    llvmlite.__version__,
    object.__basicsize__,
    *(getattr(numba.config, name, None) for name in ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")),
)
_DIGEST_BYTES = 32
_dumps: Any = dumps
_rebuild: Any = CompileResult._rebuild

_thread = threading.local()


class NotReady(Exception):
    """Something would have to be compiled, which this caller does not wait for."""


@contextmanager
def nothing_compiled() -> Iterator[None]:
    """Raise `NotReady` in this thread instead of compiling."""
    _thread.ready_only = True
    try:
        yield
    finally:
        _thread.ready_only = False


def must_be_ready() -> bool:
    """Whether this thread is inside `nothing_compiled`."""
    return getattr(_thread, "ready_only", False)


class KernelCache:
    """The cache of one function, in the place of Numba's own: called with its lock held."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = function.__name__
        self._module = function.__module__
        self.loaded = False  # from disk, the last time

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """What was compiled for these types; None if that is to be done.

        Raises
        ------
        NotReady
            It is to be done, but not now.
        """
        target_context.refresh()
        self.loaded = False
        name = self._file_name(signature, target_context.codegen())
        for folder in folders():
            with suppress(Exception):  # an unpickler raises anything
                content = _read(folder / name)
                if content is not None:
                    result = _rebuild(target_context, *pickle.loads(content))
                    self.loaded = True
                    return result
        if must_be_ready():
            raise NotReady(self._name)
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep what was compiled, where there is a place for it."""
        if result.library.has_dynamic_globals:
            return
        content = _dumps(result._reduce())
        name = self._file_name(signature, result.codegen)
        for folder in folders():
            with suppress(OSError):
                _write(folder / name, content)
                return

    def _file_name(self, signature: Any, codegen: Any) -> str:
        made_for = (self._module, self._name, str(signature), codegen.magic_tuple(), _SETTINGS)
        return f"{self._name}-{hashlib.sha256(repr(made_for).encode()).hexdigest()[:32]}.nbc"


def _read(path: Path) -> bytes | None:
    """What a file keeps; None unless it is whole."""
    content = path.read_bytes()
    digest, kept = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return kept if hashlib.sha256(kept).digest() == digest else None


def _write(path: Path, content: bytes) -> None:
    """Make a file at once: no other process ever sees a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{uuid.uuid4().hex}")
    try:
        new.write_bytes(hashlib.sha256(content).digest() + content)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
