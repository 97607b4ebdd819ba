"""Files of NumPy, ``.npy``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...api.regions import Region
from .files import Work


class Npy:
    """The array in such a file, of which regions are mapped into memory."""

    axes = ""
    chunks = None

    def __init__(self, path: Path) -> None:
        try:
            array = _loaded(path)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # Python's tokenizer reads the header, and has errors of its own
            raise ValueError(f"{path} is no array in a file of NumPy: {error}") from None
        self.shape, self.dtype = array.shape, array.dtype
        self.in_columns = array.flags.fnc
        self._path, self._offset = path, getattr(array, "offset", 0)
        self.kept: dict[str, Any] = {}

    def __getitem__(self, region: Region) -> np.ndarray:
        # A mapping of its own for each region: what was read before is no longer in memory.
        mapped = _mapped(self._path, "r", self._offset, self.shape, self.dtype, self.in_columns)
        return np.asarray(mapped[region])

    def close(self) -> None:
        """Nothing is open between two regions."""

    def notes(self) -> Iterator[str]:
        """There is nothing in it but the array."""
        return iter(())


read = Npy


def write(path: Path, work: Work) -> None:
    """Write such a file, in the order of one that is read."""
    shape, dtype = work.level.shape, work.level.result
    in_columns = getattr(work.source, "in_columns", False)
    header = {
        "shape": shape,
        "fortran_order": in_columns,
        "descr": np.lib.format.dtype_to_descr(dtype),
    }
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        offset = file.tell()
        size = offset + dtype.itemsize * int(np.prod(shape, dtype=object))
        if hasattr(os, "posix_fallocate"):  # or a disk that is full would end the process
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    axes = range(len(shape))
    grid = work.grid([1] * len(axes), axes if in_columns else axes[::-1])
    for region, cells in work.regions(grid):
        _mapped(path, "r+", offset, shape, dtype, in_columns)[region] = cells


def _loaded(path: Path) -> np.ndarray:
    """The array of a file, mapped into memory unless it has no cell."""
    try:
        # `numpy.load` takes archives and pickles for arrays too.
        array: np.ndarray = np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        if "greater than file size" in str(error):
            raise ValueError("it ends before the array does") from None
        if "mmap" not in str(error):
            raise
        array = np.load(path, allow_pickle=False)
    return array


def _mapped(
    path: Path,
    mode: Literal["r", "r+"],
    offset: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    in_columns: bool,
) -> np.ndarray:
    """The array of a file, none of it in memory yet; a file without a cell cannot be mapped."""
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, mode, offset, shape, "F" if in_columns else "C")
