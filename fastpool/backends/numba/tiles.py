"""The plans of tiles: windows that share no cell and leave none out, without padding.

Where the array ends within tiles, these are boxes of their own, at its ends::

    whole whole whole | cut
    whole whole whole | cut
    ------------------+----
     cut   cut   cut  | cut
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...rules.arrays import Storage, is_half
from ...rules.axis import Axis
from ...rules.call import Call
from ...rules.geometry import LAYOUTS, Geometry
from ...rules.splits import across
from ..protocol import Entry
from . import tile_table as table
from .compile.jit import address, cells
from .compile.launch import NO_INDICES, SPREAD, Launch, prepare_drivers, run
from .kernels.tiles import reduce_rows, tile_rows
from .memory import Memory, held_as
from .plan import Copied, Plan
from .table import make_table, three_axes
from .tile_table import TILING
from .vectors import tiles as methods
from .vectors.halves import mantissa
from .vectors.tiles import Tile
from .vectors.types import BYTES, Order, pack

# Cells of a tile, in all and along an axis, up to which it is reduced in registers; sums of more
# are trees. 8 x 8 uint8 take 0.02 of the time of NumPy's median, and of the mode that is counted;
# their networks are compiled in a second.
MOST, MOST_ALONG = 64, 31


def method_of(call: Call) -> int:
    """What tiles are reduced to, as kernels know it."""
    operation = call.operation
    if call.division is not None:
        return methods.SUM if call.division.divisor == 1 else methods.MEAN
    if operation.counts:
        return methods.MODE
    if operation.ranks:
        return methods.MEDIAN
    if operation.truth:
        return methods.ANY if operation.sign > 0 else methods.ALL
    return methods.MAXIMUM if operation.sign > 0 else methods.MINIMUM


def fits_tiles(call: Call) -> bool:
    """Whether tiles can be reduced in registers."""
    kernel = call.geometry.kernel
    if not call.tiled or call.index_dtype is not None or call.part != "forward":
        return False
    small = math.prod(kernel) <= MOST and max(kernel) <= MOST_ALONG
    return small and _has_sums(call)


def is_special(call: Call) -> bool:
    """Whether a call has cells that are missing, or a value of another kind than other windows."""
    operation = call.operation
    return call.missing is not None or operation.counts or operation.ranks or operation.truth


def lies_across(call: Call, storages: Sequence[Storage]) -> bool:
    """Whether the rows of x, and of the output, lie along another axis than the last."""
    axis, (source, target) = across(call, storages[0]), storages
    if axis is None or call.geometry.channels > 1:
        return False
    at = len(call.geometry.lead) + axis
    return all(each.strides[at] == each.dtype.itemsize for each in (source, target))


def _has_sums(call: Call) -> bool:
    """Whether there are sums or means of these dtypes, if that is what is wanted."""
    division, dtype = call.division, call.dtype
    if division is None:
        return True
    result, mean = division.dtype, method_of(call) == methods.MEAN
    if division.divisor not in (None, 1):
        return False
    if is_half(dtype) or is_half(result) or dtype.kind == "f":
        return dtype == result or not (is_half(dtype) or is_half(result))
    if mean:
        if dtype.kind == "b":
            return result == np.uint8
        return dtype.itemsize < 8 and (result == dtype or result.kind == "f")
    return result.kind in "iu"


class TilePlan(Plan):
    """A forward pass over tiles, without indices."""

    def __init__(self, call: Call, storages: tuple[Storage, ...]) -> None:
        masked = call.missing is not None and call.missing.masked
        self._arrays = Copied(call, storages, 1 + masked)
        geometry, memories = call.geometry, self._arrays.memories
        self._masked, self._spare = masked, None
        if call.masks and memories[-1] != memories[-2]:  # both outputs must lie alike
            self._spare = [storage.dtype for storage in storages[-2:]]
            in_order = [Storage.in_order(storages[-1].shape, dtype) for dtype in self._spare]
            memories = Copied(call, (*storages[:-2], *in_order), 1 + masked).memories
        source, hidden, target = memories[0], memories[masked], memories[1 + masked]
        along = [_parts(axis) for axis in geometry.axes]
        self._boxes = [
            _Box(call, (source, target, hidden), parts) for parts in itertools.product(*along)
        ]
        self._launches = list[Launch]()
        self.reason = self._boxes[0].reason

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> None:
        """Fill the outputs."""
        launches, written = self._launched(), outputs
        if self._arrays.any:
            inputs, written = self._arrays.taken(inputs, outputs)
        if self._spare is not None:
            written = tuple(np.empty(outputs[0].shape, dtype) for dtype in self._spare)
        for box, launch in zip(self._boxes, launches, strict=True):
            x, *mask = (box.cells_of(array) for array in inputs)
            output, *few = (box.windows_of(array) for array in written)
            if few:  # of this call alone: others may run at the same time
                numbers = launch.table.copy()
                numbers[table.TILE_FEW] = few[0].ctypes.data
                launch = launch._replace(table=numbers)
            run(launch, x, output, mask[0] if mask else NO_INDICES)
        if written is not outputs:
            Copied.put_back(written, outputs)

    def prepare(self, complete: bool) -> None:
        """Compile, or load, what `run` needs."""
        self._launched()
        prepare_drivers(max(box.work for box in self._boxes))

    def steps(self, threads: int) -> tuple[Entry, ...]:
        """Machine code for so many threads that needs no Python, or none."""
        if self._arrays.any or len(self._boxes) > 1 or self._boxes[0].several:
            return ()
        (launch,) = self._launched()
        return (launch.entry(threads),)

    def _launched(self) -> list[Launch]:
        if not self._launches:
            self._launches = [box.launch() for box in self._boxes]
        return self._launches


class _Box:
    """Tiles of which all are whole along an axis, or all are cut.

    Parameters
    ----------
    call : Call
        A forward pass over tiles.
    memories : sequence of Memory
        Those of its input, its output, and its mask or anything.
    parts : sequence
        For each axis the cells, the windows, and these as an axis.
    """

    def __init__(
        self,
        call: Call,
        memories: Sequence[Memory],
        parts: Sequence[tuple[slice, slice, Axis]],
    ) -> None:
        channel = (slice(None),) if call.geometry.channels_last else ()
        self._cells: Any = (..., *(cells for cells, _, _ in parts), *channel)
        self._windows: Any = (..., *(windows for _, windows, _ in parts), *channel)
        geometry = replace(call.geometry, axes=tuple(axis for _, _, axis in parts))
        self.all = geometry.axes == call.geometry.axes
        self.work = max(math.prod(geometry.input_shape), math.prod(geometry.output_shape))
        self._call, missing = call, call.missing
        masked = missing is not None and missing.masked
        self.several = masked or call.masks
        self._geometry, self._memories, self._order = _as_it_lies(geometry, memories)
        alike = self._memories if masked else self._memories[:2]
        self._inside = [min(axis.size, axis.kernel) for axis in three_axes(self._geometry)]
        self._cut = any(axis.size < axis.kernel for axis in self._geometry.axes)
        width, channels = three_axes(self._geometry)[2], self._geometry.channels
        vectors = channels > 1 and all(memory.channel == 1 for memory in alike)
        whole = width.size >= width.kernel
        self._line = whole and not vectors and all(memory.column == 1 for memory in alike)
        length = width.output if self._line else channels if vectors else 1
        self._lanes = min(BYTES // call.dtype.itemsize, 1 << (length.bit_length() - 1))
        what = "tiles" if self._line else "channels"
        self.reason = f"backend numba, tile_rows: in registers, {self._lanes} {what} side by side"

    def cells_of(self, array: np.ndarray) -> np.ndarray:
        """The cells of an input that are in the box."""
        return array if self.all else array[self._cells]

    def windows_of(self, array: np.ndarray) -> np.ndarray:
        """The cells of an output that are those of the box."""
        return array if self.all else array[self._windows]

    def launch(self) -> Launch:
        """The kernel and its table: everything is compiled, or loaded."""
        call, geometry, missing = self._call, self._geometry, self._call.missing
        source, target, hidden = self._memories
        depth, height, width = three_axes(geometry)
        dtype, result = held_as(call.dtype), held_as(call.results[0][1])
        order = Order(1, call.dtype.kind == "b")
        kinds: dict[str, Any] = {
            "x": cells(dtype, self._lanes, order),
            "output": cells(result, self._lanes, order),
            "mask": None,
            "few": cells(np.uint8, self._lanes) if call.masks else None,
        }
        number, enough, fill, which = 0, 0, 0, 0
        if missing is not None:
            which += (
                methods.NAN if missing.nan and (dtype.kind == "f" or is_half(call.dtype)) else 0
            )
            if missing.nodata is not None:
                which, number = which + methods.NUMBER, _bits(missing.nodata, call.dtype)
            if missing.masked:
                which, kinds["mask"] = which + methods.MASKED, cells(np.uint8, self._lanes)
            enough = min(missing.min_count, MOST + 1)
            if missing.fill is not None and not call.operation.truth:
                fill = _bits(missing.fill, call.results[0][1])
        tile = Tile(
            depth.kernel, height.kernel, width.kernel, self._order[0], self._order[1],
            method_of(call), int(self._line), int(self._cut), which, mantissa(call.dtype),
        )  # fmt: skip
        tiles, channels = (
            (
                count,
                *(step * n for step, n in zip(steps, (kernel, 1, kernel), strict=True)),
            )
            for count, kernel, steps in (
                (width.output, width.kernel, [memory.column for memory in self._memories]),
                (geometry.channels, 1, [memory.channel for memory in self._memories]),
            )
        )
        numbers = (
            dtype.itemsize, result.itemsize,
            *((*tiles, *channels) if self._line else (*channels, *tiles)), *self._inside,
            # The next row of tiles is fetched: 0.5 to 1.0 of the time.
            height.kernel * source.row,
            number, enough, fill, 0, address(reduce_rows, **kinds, tile=pack(tile)),
        )  # fmt: skip
        own = dict(zip(TILING.places, numbers, strict=True))
        made = make_table(geometry, False, (source, target, hidden), TILING, own)
        rows = geometry.planes * depth.output * height.output
        return Launch(address(tile_rows), made, 64, rows, self.work, SPREAD, 1)


def _bits(number: Any, dtype: np.dtype[Any]) -> int:
    """A number of some dtype as an integer with the same bits."""
    value = np.array(number).astype(dtype)
    return int(value.view(f"i{dtype.itemsize}"))


def _parts(axis: Axis) -> list[tuple[slice, slice, Axis]]:
    """The whole tiles along an axis, and the one in which the array ends."""
    whole = min(axis.size // axis.kernel, axis.output)
    if whole == axis.output:
        return [(slice(None), slice(None), axis)]
    found = []
    for first, stop in ((0, whole), (whole, axis.output)):
        if first < stop:
            cells = slice(first * axis.kernel, min(stop * axis.kernel, axis.size))
            part = replace(axis, size=cells.stop - cells.start, output=stop - first)
            found.append((cells, slice(first, stop), part))
    return found


def _as_it_lies(
    geometry: Geometry, memories: Sequence[Memory]
) -> tuple[Geometry, list[Memory], list[int]]:
    """The axes in the order in which the input's cells lie in memory, and where each is then.

    Of an array in Fortran's order a row of cells lies along the first axis.
    """
    axes, source = three_axes(geometry), memories[0]
    apart = [abs(step) for step in (source.slice, source.row, source.column)]
    # Axes of one cell in front, then from the largest distance to the least.
    order = sorted(range(3), key=lambda at: (axes[at].size > 1, -apart[at] * (axes[at].size > 1)))
    found = []
    for memory in memories:
        steps = memory.slice, memory.row, memory.column
        back, down, along = (steps[number] for number in order)
        found.append(memory._replace(slice=back, row=down, column=along))
    layout = LAYOUTS[3][geometry.channels_last]
    lying = replace(geometry, axes=tuple(axes[number] for number in order), layout=layout)
    return lying, found, [order.index(number) for number in range(3)]
