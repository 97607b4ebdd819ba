"""Levels of a pyramid, each made from the one before: how many there are, and what makes each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, SupportsIndex, TypeAlias

import numpy as np

from . import downsampling
from .arguments import entries, integer, shown

Factors: TypeAlias = SupportsIndex | Sequence[SupportsIndex]


class Level(NamedTuple):
    """How a level is made from the one before, and what it is.

    Attributes
    ----------
    factors : tuple of int
        Of every axis.
    method, boundary, skipna, nodata, min_count, dtype
        As `downsample` takes them.
    shape, result
        Shape and dtype of the level.
    """

    factors: tuple[int, ...]
    method: str
    boundary: str
    skipna: bool
    nodata: Any
    min_count: int
    dtype: np.dtype[Any] | None
    shape: tuple[int, ...]
    result: np.dtype[Any]

    @property
    def options(self) -> dict[str, Any]:
        """What `downsample` takes beside the array and the factors."""
        names = "method", "boundary", "skipna", "nodata", "min_count", "dtype"
        return {name: getattr(self, name) for name in names}


def plan_levels(
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    factors: Any,
    levels: Any,
    method: str,
    *,
    masked: bool = False,
    axes: Any = None,
    boundary: str = "partial",
    skipna: bool = False,
    nodata: Any = None,
    min_count: int = 1,
    result: np.dtype[Any] | None = None,
) -> list[Level]:
    """The levels of a pyramid on an array of `shape` and `dtype`, without the array itself.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value.
    """
    with _speaking_for(name):
        count = None if levels is None else integer(name, "levels", levels, 0)
        each = entries(factors) if per_level(factors) else None
        if each is not None:
            if count not in (None, len(each)):
                raise ValueError(
                    f"{name}: levels is {count}, and factors has entries for {len(each)} levels"
                )
            count = len(each)
        made: list[Level] = []
        while count is None or len(made) < count:
            given = factors if each is None else each[len(made)]
            wanted = downsampling.factors_of(given, axes, shape)
            if count is None and made and boundary == "exact" and not _divides(wanted, shape):
                break
            # "any" and "all" make bools, of which none is missing.
            missing = nodata if not made or method not in ("any", "all") else None
            blocks = downsampling.understood(
                shape, dtype, masked, given, method, axes, boundary, skipna, missing, min_count,
                result,
            )  # fmt: skip
            if count is None and (blocks.outputs == shape or 0 in blocks.outputs):
                break
            shape, dtype = blocks.outputs, blocks.result
            made.append(
                Level(wanted, method, boundary, skipna, missing, min_count, result, shape, dtype)
            )
    return made


def per_level(factors: Any) -> bool:
    """Whether factors are given for each level: a sequence of sequences."""
    found = entries(factors)
    return found is not None and any(entries(entry) is not None for entry in found)


def by_dim(name: str, dims: Sequence[Any], factors: Any) -> Any:
    """Factors that may be given by the names of axes, as one for each axis."""
    found = entries(factors)
    if found is not None:
        return [by_dim(name, dims, entry) for entry in found]
    if not isinstance(factors, Mapping):
        return factors
    unknown = [dim for dim in factors if dim not in dims]
    if unknown:
        raise ValueError(f"{name}: factors names {shown(unknown)}, and x has dims {tuple(dims)}")
    return [factors.get(dim, 1) for dim in dims]


def _divides(factors: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return not any(size % factor for size, factor in zip(shape, factors, strict=True))


@contextmanager
def _speaking_for(name: str) -> Iterator[None]:
    """Let errors of `downsample` name the function that was called."""
    prefix = f"{downsampling.NAME}: "
    try:
        yield
    except (TypeError, ValueError) as error:
        text = str(error)
        if not text.startswith(prefix):
            raise
        raise type(error)(f"{name}: {text.removeprefix(prefix)}") from None
