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

import numpy as np

from ...rules.arrays import Storage
from ...rules.axis import Axis
from ...rules.call import Call
from ...rules.geometry import LAYOUTS, Geometry
from ..protocol import Entry
from .compile.jit import address, cells
from .compile.launch import NO_INDICES, SPREAD, Launch, prepare_drivers, run
from .kernels.tiles import reduce_rows, tile_rows
from .memory import Memory, held_as
from .plan import Copied, Plan
from .table import make_table, three_axes
from .tile_table import TILING
from .vectors.tiles import MODE, Tile
from .vectors.types import BYTES, Order, pack

# Cells of a tile that are compared in registers, each with each.
MOST_COMPARED = 16


def counts_in_tiles(call: Call) -> bool:
    """Whether the most frequent value is found in registers."""
    small = math.prod(call.geometry.kernel) <= MOST_COMPARED
    return call.operation.counts and call.index_dtype is None and small and call.tiled


class TilePlan(Plan):
    """A forward pass over tiles, without indices."""

    def __init__(self, call: Call, storages: tuple[Storage, ...]) -> None:
        self._arrays = Copied(call, storages, 1)
        geometry, memories = call.geometry, self._arrays.memories
        along = [_parts(axis) for axis in geometry.axes]
        self._boxes = [_Box(call, memories, parts) for parts in itertools.product(*along)]
        self._launches = list[Launch]()
        self.reason = self._boxes[0].reason

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> None:
        """Fill the output."""
        launches, copied = self._launched(), self._arrays.any
        (x,), (output,) = self._arrays.taken(inputs, outputs) if copied else (inputs, outputs)
        if len(launches) == 1:
            run(launches[0], x, output, NO_INDICES)
        else:
            for box, launch in zip(self._boxes, launches, strict=True):
                run(launch, x[box.cells], output[box.windows], NO_INDICES)
        if copied:
            self._arrays.put_back((output,), outputs)

    def prepare(self, complete: bool) -> None:
        """Compile, or load, what `run` needs."""
        self._launched()
        prepare_drivers(max(box.work for box in self._boxes))

    def entry(self) -> Entry | None:
        """Machine code for one thread that needs no Python, or None."""
        if self._arrays.any or len(self._boxes) > 1:
            return None
        (launch,) = self._launched()
        return Entry(launch.address, launch.table, launch.scratch, launch.rows)

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
        Those of its input and output.
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
        self.cells = (..., *(cells for cells, _, _ in parts), *channel)
        self.windows = (..., *(windows for _, windows, _ in parts), *channel)
        geometry = replace(call.geometry, axes=tuple(axis for _, _, axis in parts))
        self.work = max(math.prod(geometry.input_shape), math.prod(geometry.output_shape))
        self._call = call
        self._geometry, (source, target), self._order = _as_it_lies(geometry, memories)
        self._memories = source, target
        self._inside = [min(axis.size, axis.kernel) for axis in three_axes(self._geometry)]
        self._cut = any(axis.size < axis.kernel for axis in self._geometry.axes)
        width, channels = three_axes(self._geometry)[2], self._geometry.channels
        vectors = channels > 1 and source.channel == target.channel == 1
        self._line = source.column == target.column == 1 and width.size >= width.kernel
        self._line = self._line and not vectors
        length = width.output if self._line else channels if vectors else 1
        most = BYTES // call.dtype.itemsize
        self._lanes = min(most, 1 << (length.bit_length() - 1))
        what = "tiles" if self._line else "channels"
        self.reason = f"backend numba, tile_rows: in registers, {self._lanes} {what} side by side"

    def launch(self) -> Launch:
        """The kernel and its table: everything is compiled, or loaded."""
        call, geometry, line = self._call, self._geometry, self._line
        (source, target), (depth, height, width) = self._memories, three_axes(geometry)
        dtype, width_step = held_as(call.dtype), width.kernel * source.column
        tiles = width.output, width_step, target.column
        channels = geometry.channels, source.channel, target.channel
        inner, outer = (tiles, channels) if line else (channels, tiles)
        values = cells(dtype, self._lanes, Order(1, call.dtype.kind == "b"))
        first, second, _ = self._order
        tile = Tile(
            depth.kernel, height.kernel, width.kernel, first, second, MODE, int(line),
            int(self._cut),
        )  # fmt: skip
        numbers = (
            dtype.itemsize, *inner, *outer, *self._inside,
            # The next row of tiles: 0.5 to 1.0 of the time.
            height.kernel * source.row,
            address(reduce_rows, x=values, output=values, tile=pack(tile)),
        )  # fmt: skip
        own = dict(zip(TILING.places, numbers, strict=True))
        made = make_table(geometry, False, (source, target, target), TILING, own)
        rows = geometry.planes * depth.output * height.output
        return Launch(address(tile_rows), made, 64, rows, self.work, SPREAD, 1)


def _parts(axis: Axis) -> list[tuple[slice, slice, Axis]]:
    """The whole tiles along an axis, and the one in which the array ends."""
    whole = min(axis.size // axis.kernel, axis.output)
    found = []
    for first, stop in ((0, whole), (whole, axis.output)):
        if first < stop:
            cells = slice(first * axis.kernel, min(stop * axis.kernel, axis.size))
            count = cells.stop - cells.start
            part = replace(axis, size=count, output=stop - first, stride=axis.kernel)
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
