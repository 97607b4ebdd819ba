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


@cache
def folders() -> tuple[Path, ...]:
    """Where kernels are looked for; the first of them that can be written gets new ones.

    ``NUMBA_CACHE_DIR``; or else where the package is installed, and the user's own folder. None
    of them need exist.
    """
    wished = os.environ.get("NUMBA_CACHE_DIR")
    installed = Path(__file__).parent / "__pycache__"
    places = (Path(wished),) if wished else (installed, _users_own())
    name = f"fastpool-{source_digest()}-{sys.implementation.cache_tag}"
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
    """A number of all sources of compiled code, whatever their dates, in an archive too."""
    digest = hashlib.sha256()
    package = resources.files("fastpool")
    kernels = sorted((package / "backends" / "numba").iterdir(), key=lambda file: file.name)
    for file in (*kernels, package / "interop" / "jitted.py"):
        if file.name.endswith(".py"):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
