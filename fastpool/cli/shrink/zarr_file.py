"""Zarr: arrays in folders, and pyramids in groups."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import zarr

from ...api.regions import Region
from ...interop.zarr import write_pyramid
from ...interop.zarr.layout import Layout, written_at_once
from ...interop.zarr.metadata import check_axes
from .files import Work, reading


class Zarr:
    """The array in such a folder."""

    def __init__(self, path: Path) -> None:
        try:
            found = zarr.open(str(path), mode="r")
        except MemoryError:
            raise
        except Exception as error:  # whatever damaged metadata lead to
            raise ValueError(f"{path} is no Zarr array: {error}") from None
        if isinstance(found, zarr.Group):
            arrays = ", ".join(sorted(name for name, _ in found.arrays())) or "none"
            raise ValueError(f"{path} is a Zarr group; name one of its arrays: {arrays}")
        self.array, self.path = found, path
        self.shape, self.dtype, self.chunks = found.shape, found.dtype, found.chunks
        self.kept = dict(found.attrs)
        names = getattr(found.metadata, "dimension_names", None) or ()
        letters = [str(name).upper() for name in names]
        self.axes = "".join(letters) if all(len(name) == 1 for name in letters) else ""

    def __getitem__(self, region: Region) -> Any:
        with reading(self.path):
            return self.array[region]

    def close(self) -> None:
        """Zarr opens each chunk by itself."""

    def notes(self) -> Iterator[str]:
        """Attributes that may say how large a cell is."""
        if self.kept:
            yield f"attributes go on as they are, whatever they say: {', '.join(self.kept)}"


read = Zarr


def write(path: Path, work: Work) -> None:
    """Write an array, with the chunks, codecs and attributes of one that is read."""
    source = work.source
    like = source.array if isinstance(source, Zarr) else source
    own = getattr(like, "metadata", None)
    zarr_format, names = getattr(own, "zarr_format", 3), getattr(own, "dimension_names", None)
    layout = Layout.of(like, zarr_format, None, work.level.nodata, names)
    array = zarr.create_array(
        str(path),
        zarr_format=zarr_format,
        attributes=source.kept if isinstance(source, Zarr) else None,
        **layout.arguments(work.level.shape, work.level.result),
    )
    for region, cells in work.regions(work.grid(written_at_once(array))):
        array[region] = cells


def write_levels(path: Path, work: Work, levels: int) -> None:
    """Write a pyramid into a group, with the array itself as its level 0."""
    source, level = work.source, work.level
    try:
        names = check_axes(source.axes.lower(), len(source.shape))
    except ValueError:
        names = None
        print("python -m fastpool shrink: without metadata of OME-Zarr, which needs axes named "
              f"as tczyx; these are {source.axes or 'without names'}", file=sys.stderr)  # fmt: skip
    with reading(source.path) if isinstance(source, Zarr) else nullcontext():
        write_pyramid(
            source.array if isinstance(source, Zarr) else source,
            zarr.open_group(str(path), mode="w"),
            level.factors,
            levels,
            names=names,
            memory=work.memory,
            progress=work.progress,
            **level.options,
        )
