"""Where compiled kernels are kept between processes, told without importing Numba.

The folder's name says which sources the kernels were compiled from. Numba's own cache looks at
the file of one function alone: after an update it could run kernels that do not fit the code
around them.
"""

from __future__ import annotations

import hashlib
import os
import sys
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

# What kernels, and the users' own functions around them, are compiled from: modules or packages.
_COMPILED = (("backends", "numba"), ("interop", "jitted"))


@cache
def folders() -> tuple[Path, ...]:
    """Where kernels are looked for; the first of them that can be written gets new ones.

    ``NUMBA_CACHE_DIR``; or else where the package is installed, and the user's own folder. None
    of them need exist. Nowhere if nothing can tell which code they would be compiled from.
    """
    sources = source_digest()
    if not sources:
        return ()
    wished = os.environ.get("NUMBA_CACHE_DIR")
    installed = Path(__file__).parents[1] / "__pycache__"
    places = (Path(wished),) if wished else (installed, _users_own())
    name = f"fastpool-{sources}-{sys.implementation.cache_tag}"
    return tuple(place.absolute() / name for place in places if place)


def filled() -> bool:
    """Whether there is any compiled kernel."""
    for folder in folders():
        try:
            with os.scandir(folder) as entries:
                if any(entries):
                    return True
        except OSError:
            pass
    return False


def _users_own() -> Path | None:
    """The user's folder for what can be made again; None without a home."""
    home = os.path.expanduser("~")
    if not os.path.isabs(home):
        return None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home), "fastpool", "Cache")
    if sys.platform == "darwin":
        return Path(home, "Library", "Caches", "fastpool")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path(home, ".cache"), "fastpool")


@cache
def source_digest() -> str:
    """A number of all compiled code's sources, whatever their dates, in an archive too.

    A module without a source counts by its bytecode. Empty where neither can be listed, as in
    applications that keep all code in one file.
    """
    digest = hashlib.sha256()
    for parts in _COMPILED:
        found = _modules_at(parts)
        if not found:
            return ""
        for name, content in sorted(found.items()):
            digest.update(name.encode() + b"\0" + content + b"\0")
    return digest.hexdigest()[:16]


def _modules_at(parts: tuple[str, ...]) -> dict[str, bytes]:
    """The files of a module, or of all modules of a package, by their paths in fastpool."""
    *outer, last = parts
    found: dict[str, bytes] = {}
    try:
        folder = resources.files("fastpool").joinpath(*outer)
        for file in folder.iterdir():
            if file.name == last and file.is_dir():
                found |= _files_in(file, "/".join(parts))
            elif file.name in (f"{last}.py", f"{last}.pyc"):
                found["/".join((*outer, file.name))] = file.read_bytes()
    except Exception:  # an importer's own reader may raise any
        return {}
    return {name: content for name, content in found.items() if name[:-1] not in found}


def _files_in(folder: Any, path: str) -> dict[str, bytes]:
    """The modules below a folder, sources and bytecode, by their paths."""
    found: dict[str, bytes] = {}
    for file in folder.iterdir():
        name = f"{path}/{file.name}"
        if file.is_dir():
            if file.name != "__pycache__":
                found |= _files_in(file, name)
        elif name.endswith((".py", ".pyc")):
            found[name] = file.read_bytes()
    return found
