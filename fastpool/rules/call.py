"""What a call asks for: one record, made once from what the user wrote, for every layer below.

Public functions make it (`calls`), backends plan from it, and adapters keep it: as JAX's static
parameter, as a part of Dask's token, as the key of what PyTorch's operators remember.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from .arguments import IndexFormat
from .axis import Axis
from .geometry import LAYOUTS, Geometry
from .missing import Missing
from .operation import Operation
from .sums import Division

# What a function does: pool, route gradients back, or put values back.
Part = Literal["forward", "backward", "unpool"]


@dataclass(frozen=True)
class Function:
    """One public function.

    Attributes
    ----------
    name : str
        As messages call it.
    part : {"forward", "backward", "unpool"}
        What it does.
    operation : Operation
        What it reduces a window to.
    dimensions : int
        How many spatial axes it has.
    inputs : tuple of str
        The names of its arrays.
    adaptive : bool
        Whether windows are given by how many there are.
    """

    name: str
    part: Part
    operation: Operation
    dimensions: int
    inputs: tuple[str, ...]
    adaptive: bool = False

    @property
    def layouts(self) -> tuple[str, str]:
        """Channels first, and channels last."""
        return LAYOUTS[self.dimensions]


@dataclass(frozen=True)
class Call:
    """One call of a function, checked.

    Attributes
    ----------
    function : Function
        Which one.
    geometry : Geometry
        The pooling; an unpooling's output is the geometry's input.
    index_format : {"flat", "window"}
        What an index counts.
    dtype : numpy.dtype
        Of the values, in the machine's byte order.
    index_dtype : numpy.dtype or None
        Of the indices that are returned or come in; None if there are none.
    division : Division or None
        Of sums and averages: what becomes of a sum.
    missing : Missing or None
        Which cells of the input count nowhere; None if all count.

    Notes
    -----
    ``downsample`` makes forward calls, whose windows are *tiles*: they stand side by side without
    padding, and the last one along an axis may be cut. A **median** has the operation `MEDIAN`, one
    input and one output of the same dtype, and no division. "any" and "all" have `ANY` and `ALL`,
    and a bool output.

    A call **with missing cells** has any operation (`MAXIMUM`, `MINIMUM`, `MODE`, `MEDIAN`, `SUM`,
    `AVERAGE`, `ANY`, `ALL`), and no index:

    * Inputs are x, and a bool mask if ``missing.masked``.
    * Cells that are not missing are valid. The value of a tile is that of its valid cells: an
      average divides by their number (``division.divisor`` is None), a sum by nothing (it is 1).
      Sums add them in their order, +0.0 for each missing one; the kernel decides whether as trees.
    * A tile with fewer valid cells than ``missing.min_count`` gets ``missing.fill``, or False if
      the operation is `ANY` or `ALL`. One with none that is not too few has the sum 0, "any" False,
      and "all" True.
    * If ``missing.fill`` is None, and the operation is neither `ANY` nor `ALL`, there is a second
      output, a bool array of the shape of the first: True where a tile has too few, whose value
      is 0 then.
    """

    function: Function
    geometry: Geometry
    index_format: IndexFormat
    dtype: np.dtype[Any]
    index_dtype: np.dtype[Any] | None
    division: Division | None = None
    missing: Missing | None = None

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.name

    @property
    def part(self) -> Part:
        """What the function does."""
        return self.function.part

    @property
    def operation(self) -> Operation:
        """What a window is reduced to."""
        return self.function.operation

    @property
    def window(self) -> bool:
        """Whether indices count the taps of the window."""
        return self.index_format == "window"

    @property
    def tied(self) -> bool:
        """Whether an index can name no cell beyond its own window."""
        return self.part == "backward" or self.window

    @property
    def tiled(self) -> bool:
        """Whether windows are tiles: they stand side by side without padding."""
        return all(axis.tiled for axis in self.geometry.axes)

    @property
    def masks(self) -> bool:
        """Whether the second output says which blocks have too few cells."""
        missing = self.missing
        return missing is not None and missing.fill is None and not self.operation.truth

    @property
    def inputs(self) -> tuple[tuple[tuple[int, ...], np.dtype[Any]], ...]:
        """The shape and native dtype of each array that the call takes."""
        geometry = self.geometry
        if self.part == "forward":
            shape = geometry.input_shape
            if self.missing is not None and self.missing.masked:
                return (shape, self.dtype), (shape, np.dtype(np.bool_))
            return ((shape, self.dtype),)
        if not self.operation.picks_cell:
            return ((geometry.output_shape, self.dtype),)
        codes = np.dtype(np.int64) if self.index_dtype is None else self.index_dtype
        return (geometry.output_shape, self.dtype), (geometry.output_shape, codes)

    @property
    def results(self) -> tuple[tuple[tuple[int, ...], np.dtype[Any]], ...]:
        """The shape and dtype of each array that the call makes."""
        geometry = self.geometry
        dtype = self.dtype if self.division is None else self.division.dtype
        if self.operation.truth:
            dtype = np.dtype(np.bool_)
        if self.part != "forward":
            return ((geometry.input_shape, dtype),)
        output = geometry.output_shape, dtype
        if self.masks:
            return output, (geometry.output_shape, np.dtype(np.bool_))
        if self.index_dtype is None:
            return (output,)
        return output, (geometry.output_shape, self.index_dtype)

    @property
    def kind(self) -> tuple[Any, ...]:
        """What "auto" counts together: the calls that need the same kernels, more or less."""
        dtypes = self.dtype, self.index_dtype, self.division and self.division.dtype
        return self.name, self.operation.name, *dtypes, self.geometry.windows, self.missing

    def check_indices(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Check indices that come in by their shape and dtype.

        Raises
        ------
        TypeError
            They are no integers, or too narrow for the cells that flat indices count: then they
            are window indices.
        ValueError
            They have another shape than the output.
        """
        required, cells = self.geometry.output_shape, math.prod(self.geometry.sizes)
        if dtype.kind not in "iu":
            raise TypeError(f"{self.name}: indices must be integers, got dtype {dtype}")
        if shape != required:
            raise ValueError(f"{self.name}: indices has shape {shape}, required is {required}")
        narrow = dtype.itemsize < 8 and cells - 1 > np.iinfo(dtype).max
        if narrow and not self.window:
            raise TypeError(
                f"{self.name}: indices of dtype {dtype} cannot count the {cells} cells of a plane; "
                f'are they window indices? Then pass index_format="window"'
            )

    def bad_index(self, position: tuple[int, ...], value: object) -> IndexError:
        """What is raised for an index; its attribute `position` serves who passed a part."""
        where = "a tap of its window inside the input" if self.tied else "a cell of the plane"
        error = IndexError(
            f"{self.name}: indices{list(position)} = {value} is not {where} "
            f"(index_format {self.index_format!r}, plane {self.geometry.sizes})"
        )
        error.position = position  # type: ignore[attr-defined]
        return error

    def with_axes(self, axes: tuple[Axis, ...], lead: tuple[int, ...], channels: int) -> Call:
        """The same windows on other cells: what a chunk of an array is pooled by."""
        geometry = replace(self.geometry, axes=axes, lead=lead, channels=channels)
        return replace(self, geometry=geometry)

    def with_lead(self, lead: tuple[int, ...]) -> Call:
        """The same planes, more or fewer of them."""
        return replace(self, geometry=replace(self.geometry, lead=lead))
