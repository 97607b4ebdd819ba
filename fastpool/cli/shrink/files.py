"""What the files of ``shrink`` have in common: how they are found, made and refused."""

from __future__ import annotations

import importlib
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from ...api.regions import Grid, Progress, Region, Source, grid_of, of_region
from ...rules.levels import Level

# What a user can do something about: it is said in one line.
ERRORS = (ValueError, TypeError, OverflowError, OSError, ImportError, MemoryError)


class File(Source, Protocol):
    """An array in a file that is read."""

    @property
    def axes(self) -> str:
        """A letter for each axis, or "" if the file does not say."""

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """What of the file is read in one go, if that is known."""

    @property
    def kept(self) -> dict[str, Any]:
        """What a file of the same format takes over, by names of its own."""

    def close(self) -> None:
        """Let go of the file."""

    def notes(self) -> Iterator[str]:
        """What is in the file that will not be in another one, in words."""


class Work(NamedTuple):
    """What is to be written."""

    source: File
    level: Level
    memory: int
    progress: Progress

    def grid(self, chunk: Sequence[int], order: Sequence[int] | None = None) -> Grid:
        """The result cut into regions of whole chunks that memory has room for."""
        return grid_of(self.level, self.source.dtype.itemsize, chunk, self.memory, order)

    def regions(self, grid: Grid) -> Iterator[tuple[Region, np.ndarray]]:
        """The regions one after the other, each with its cells."""
        done, total = 0, math.prod(self.level.shape)
        for number in range(len(grid)):
            region = grid.region(number)
            yield region, of_region(self.level, self.source, region, None)
            done += grid.cells(number)
            self.progress(done, total)


Write: TypeAlias = Callable[[Path, Work], None]

# By the format: the endings of names, and what must be installed.
_ENDINGS = {"npy": (".npy",), "tiff": (".tif", ".tiff"), "zarr": (".zarr",)}
_LIBRARIES = {"tiff": "tifffile", "zarr": "zarr"}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Let errors of codecs name the file: they raise what they like where it is damaged."""
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:
        text = str(error) or type(error).__name__
        raise ValueError(f"{path} cannot be read: {text}") from error


def reader(path: Path) -> File:
    """The array in a file."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    found: File = _module(path).read(path)
    return found


def writer(path: Path) -> Write:
    """What writes a file of this name."""
    found: Write = _module(path).write
    return found


def writer_of_levels(path: Path, levels: int) -> Write:
    """What writes a pyramid of this name."""
    module = _module(path)
    if not hasattr(module, "write_levels"):
        raise ValueError(f"--levels: {path} is no name of a Zarr group, such as out.zarr")
    return lambda part, work: module.write_levels(part, work, levels)


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Make a file, or a folder, under another name, and give it its own when all is written."""
    pattern = f".{path.name}.*.part"
    for left in sorted(path.parent.glob(pattern)):
        print(f"python -m fastpool shrink: {left} is of a run that goes on, or was killed",
              file=sys.stderr)  # fmt: skip
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        _rename(part, path)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def _rename(part: Path, path: Path) -> None:
    """Nothing is overwritten, even if it came to be in the meantime."""
    if part.is_dir():
        part.rename(path)  # fails if there is a file, or a folder with anything in it
        return
    with part.open("rb") as file:  # or a crash might leave the name without the cells
        os.fsync(file.fileno())
    try:
        os.link(part, path)
    except FileExistsError:
        raise FileExistsError(f"{path} exists already, and is not overwritten") from None
    except OSError:  # a file system without hard links
        part.rename(path)


def _module(path: Path) -> Any:
    for name, endings in _ENDINGS.items():
        # Zarr arrays may lie in a folder of their group.
        parts = path.parts if name == "zarr" else [path.name]
        if any(part.lower().endswith(endings) for part in parts):
            break
    else:
        known = ", ".join(ending for endings in _ENDINGS.values() for ending in endings)
        raise ValueError(f"{path}: the format is not known; names end with {known}")
    try:
        return importlib.import_module(f"{__package__}.{name}_file")
    except ModuleNotFoundError as error:
        library = _LIBRARIES.get(name)
        if error.name not in (library, "zarr"):
            raise
        extra = f"pip install 'fastpool[{name}]'"
        raise ImportError(f"{path}: {error.name} is not installed; {extra}") from None
