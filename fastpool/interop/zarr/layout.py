"""The arrays of a pyramid's levels: chunks, shards, codecs and names."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import zarr


class Layout(NamedTuple):
    """What the arrays of all levels have in common."""

    zarr_format: int
    chunks: tuple[int, ...] | None  # None: as Zarr chooses for level 0
    shards: tuple[int, ...] | None
    compressors: Any
    fill_value: Any
    names: tuple[str, ...] | None

    @classmethod
    def of(
        cls,
        x: Any,
        zarr_format: int,
        chunks: Sequence[int] | None,
        fill_value: Any,
        names: tuple[str, ...] | None,
    ) -> Layout:
        """That of an array, where nothing else is asked for."""
        shards, compressors = None, "auto"
        if isinstance(x, zarr.Array):
            if chunks is None:
                chunks, shards = x.chunks, x.shards
            if x.metadata.zarr_format == zarr_format:  # codecs are of a format
                compressors = x.compressors
        elif chunks is None and hasattr(x, "chunksize"):  # Dask
            chunks = x.chunksize
        if chunks is not None:
            chunks = tuple(max(1, operator.index(side)) for side in chunks)
            if len(chunks) != len(x.shape):
                raise ValueError(
                    f"write_pyramid: chunks {chunks} must have an entry for each of "
                    f"{len(x.shape)} axes"
                )
        return cls(zarr_format, chunks, shards, compressors, fill_value, names)

    def arguments(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> dict[str, Any]:
        """What makes an array of this layout."""
        chunks: Any = "auto"
        shards = self.shards
        if self.chunks is not None:
            chunks = tuple(
                max(1, min(side, size)) for side, size in zip(self.chunks, shape, strict=True)
            )
            if chunks != self.chunks:
                shards = None  # fewer cells than a chunk need no shards
        made = {
            "shape": shape,
            "chunks": chunks,
            "shards": shards,
            "dtype": dtype,
            "compressors": self.compressors,
            "fill_value": 0 if self.fill_value is None else self.fill_value,
        }
        if self.zarr_format == 2:  # OME-Zarr 0.4 wants folders
            made["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
        elif self.names is not None:
            made["dimension_names"] = self.names
        return made

    def described(self) -> dict[str, Any]:
        """What a record says of it."""
        return {
            "chunks": None if self.chunks is None else list(self.chunks),
            "shards": None if self.shards is None else list(self.shards),
        }


def is_level_0(x: Any, group: zarr.Group) -> bool:
    """Whether an array lies in a group as its level 0."""
    path = f"{group.path}/0".lstrip("/")
    return isinstance(x, zarr.Array) and x.store == group.store and x.path == path


def written_at_once(array: zarr.Array) -> tuple[int, ...]:
    """The part of an array that no two threads may write: a shard, or a chunk."""
    return array.shards or array.chunks
