"""The plans of backward passes and unpooling: which kernel scatters, or pulls, and its table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...rules.call import Call
from ...rules.geometry import Geometry
from . import table
from .compile.jit import address, cells, compiled
from .compile.launch import SPREAD, Launch
from .kernels.gather import gather_rows
from .kernels.indices import LANES
from .kernels.pull import pull_planes
from .kernels.scatter import scatter_any, scatter_flat, scatter_volumes
from .kernels.streams import CHUNK, STATE, STREAMS, WHOLE, scatter_streams
from .kernels.writing import LINE
from .memory import Memory, held_as
from .pulls import BUFFER, can_pull, pulls, split_rows, writes_past
from .table import GATHER, PULL, SCATTER, Layout, make_table, three_axes
from .vectors.halves import mantissa


class ScatterSetup:
    """What is decided before anything is compiled.

    Parameters
    ----------
    call : Call
        A backward pass or an unpooling.
    memories : sequence of Memory
        Those of the array that is filled, of the values, and of the indices.
    """

    def __init__(self, call: Call, memories: Sequence[Memory]) -> None:
        self.call, self.memories = call, tuple(memories)
        self.add = call.part == "backward"
        # The indices of adaptive windows are checked before.
        self.tied = call.tied and call.geometry.regular
        # Values that are only moved: four kernels serve all dtypes.
        moved = np.dtype(f"u{call.dtype.itemsize}")
        self.dtype = held_as(call.dtype) if self.add else moved
        self.half = mantissa(call.dtype) if self.add else 0
        self.work = math.prod(call.geometry.input_shape)
        self.kernel = self._fastest()

    def _fastest(self) -> Callable[..., Any]:
        geometry = self.call.geometry
        # What is unpooled usually comes from a pooling, whose indices name cells of their own
        # windows. If these do not, the exact kernel does it all.
        likely = self.tied or not self.add
        if likely and len(geometry.axes) < 3 and (self.add or _is_plain(geometry)):
            if gathers(geometry, self.memories):
                return gather_rows
            able = can_pull(geometry, self.memories)
            if able and (self.half or pulls(geometry, self.dtype.itemsize)):
                return pull_planes
            if takes_streams(geometry, self.memories[0]):
                return scatter_streams
        return scatter_flat if self._follows() else self._exact()

    def _follows(self) -> bool:
        """Whether indices are places of cells: flat ones, of cells that follow each other."""
        geometry = self.call.geometry
        return not self.call.window and self.memories[0].whole(geometry, geometry.sizes)

    def _exact(self) -> Callable[..., Any]:
        """The kernel that finds the first bad index among all."""
        if not self.tied and self._follows():
            return scatter_flat
        return scatter_volumes if len(self.call.geometry.axes) == 3 else scatter_any

    @property
    def rounds(self) -> bool:
        """Whether the kernel adds 16-bit floats, as float32."""
        return self.half > 0 and self.kernel in (gather_rows, pull_planes)

    @property
    def reason(self) -> str:
        """Which kernel and why, for the log."""
        why = {
            gather_rows: "each cell looks whether its window names it, as windows of 2 x 2 tile",
            pull_planes: "each cell looks which of its windows name it",
            scatter_streams: "vectors of indices are checked, and streams take turns",
            scatter_flat: "indices are places of cells",
            scatter_any: "any memory, dilation, size and index",
            scatter_volumes: "slices of volumes",
        }
        return f"backend numba, {self.kernel.__name__}: {why[self.kernel]}"

    def launch(self, threads: int, exact: bool) -> Launch:
        """The kernel and its table: everything is compiled, or loaded.

        If `exact`, the kernel that finds the first bad index among all.
        """
        geometry, kernel = self.call.geometry, self._exact() if exact else self.kernel
        depth, height, _ = three_axes(geometry)
        rows, scratch, spread = geometry.planes * depth.size * height.size, 0, SPREAD
        layout: Layout = SCATTER
        own = {table.TIED: int(self.tied), table.ADD: int(self.add)}
        if kernel is pull_planes:
            pull = split_rows(self.call, self.dtype, self.half)
            numbers = make_table(geometry, self.call.window, self.memories, PULL, pull.numbers)
            walk = address(kernel, scratch=cells(np.uint8))
            return Launch(walk, numbers, pull.scratch, rows, self.work, spread, 1)
        if kernel is scatter_volumes:
            rows = geometry.planes * depth.size
        if kernel is gather_rows:
            rows, layout = geometry.planes * height.output, GATHER
            own, scratch = split_gathered(geometry, self.dtype.itemsize)
        elif kernel is scatter_streams:
            layout = table.STREAMS
            own, scratch, rows = split_streams(
                geometry, self.memories, self.dtype.itemsize, threads
            )
            spread = max(1, min(SPREAD, rows // (own[table.TURNS] * threads)))
        elif not self.tied:
            spread = 1  # an index can name any cell: every band walks through all of a plane
        x, codes = cells(self.dtype, LANES), cells(self.call.index_dtype, LANES)
        kinds: dict[str, Any] = {"x": x, "output": x, "places": codes}
        if kernel is gather_rows:
            kinds["half"] = self.half
        made = compiled(kernel, **kinds)
        numbers = make_table(geometry, self.call.window, self.memories, layout, own)
        return Launch(made.address, numbers, scratch, rows, self.work, spread, 1)


def _is_plain(geometry: Geometry) -> bool:
    """Whether each cell lies in one window at most, and each window holds a cell."""
    empty = any(axis.empty_window is not None for axis in geometry.axes)
    return not geometry.overlapping and not empty


def gathers(geometry: Geometry, memories: Sequence[Memory]) -> bool:
    """Whether the kernel that gathers takes this geometry and memory, and is the fastest."""
    _, height, width = three_axes(geometry)
    channels = geometry.channels
    for axis in (height, width):
        if (axis.kernel, axis.stride, axis.dilation, axis.pad_low) != (2, 2, 1, 0):
            return False
        if axis.size < 2 * axis.output:
            return False
    if not all(memory.dense(channels) for memory in memories):
        return False
    # Most lanes are idle in short rows: (32, 512, 7, 7) takes half the time in streams.
    return (channels >= LANES or (channels == 1 and width.output >= LANES)) and width.size < 2**30


def split_gathered(geometry: Geometry, itemsize: int) -> tuple[dict[int, int], int]:
    """The gathering kernel's part of the table, and its bytes of scratch."""
    _, _, width = three_axes(geometry)
    if not writes_past(geometry, itemsize):
        return {table.WINDOWS: width.output, table.PAIRS: 0}, 0
    row = width.size * geometry.channels * itemsize
    pairs = max(1, BUFFER // (2 * row))
    windows = width.output
    if 2 * row > BUFFER:
        windows = max(1, BUFFER // (4 * geometry.channels * itemsize)) // LANES * LANES or 1
        row = 2 * windows * geometry.channels * itemsize
    scratch = 2 * pairs * row + LANES * itemsize + 2 * LINE
    return {table.WINDOWS: windows, table.PAIRS: pairs}, scratch


def takes_streams(geometry: Geometry, memory: Memory) -> bool:
    """Whether the kernel of streams takes this geometry and memory of the output.

    What it computes must fit int32, and float32 where it divides.
    """
    _, height, width = three_axes(geometry)
    if height.dilation != 1 or width.dilation != 1:
        return False
    cells = (height.size + height.kernel) * (width.size + width.kernel) * geometry.channels
    if cells >= 2**30 or (height.kernel + 1) * max(width.size, width.kernel) >= 2**21:
        return False
    return _in_line(memory, (height.size, width.size), geometry) > 0


def split_streams(
    geometry: Geometry, memories: Sequence[Memory], itemsize: int, threads: int
) -> tuple[dict[int, int], int, int]:
    """The kernel's part of the table, its bytes of scratch, and how many streams there are."""
    _, height, width = three_axes(geometry)
    channels = geometry.channels
    turns = STREAMS if channels == 1 and width.kernel > 5 * width.stride else 1
    wanted = turns * threads
    # Bands much taller than a window, which is seen from both sides of a border.
    bands = max(1, min(wanted // geometry.planes, height.size // (2 * height.span)))
    row, planes, rows = width.output * channels, 1, 1
    outputs = height.output, width.output
    sources = [_in_line(memory, outputs, geometry) for memory in memories[1:]]
    if bands == 1 and min(sources) and height.output * row <= WHOLE:
        rows = height.output
        if min(*sources, _in_line(memories[0], (height.size, width.size), geometry)) > 1:
            planes = max(1, min(CHUNK // (rows * row), geometry.planes // wanted))
    line = LANES * (planes * rows * row // LANES + 2)
    size = line * (24 + itemsize) + (4 * CHUNK + 8 * STATE) * STREAMS
    size += (CHUNK * STREAMS + LANES) * itemsize
    own = {
        table.LINE_CELLS: line,
        table.BANDS: bands,
        table.PLANES: planes,
        table.ROWS: rows,
        table.TURNS: turns,
        table.COUNT: geometry.planes,
    }
    return own, size, -(-geometry.planes // planes) * bands


def _in_line(memory: Memory, sizes: tuple[int, int], geometry: Geometry) -> int:
    """2 if all cells lie one behind the other, 1 if those of a plane do, else 0."""
    (rows, columns), channels, planes = sizes, geometry.channels, geometry.planes
    if memory.row != columns * channels or not memory.dense(channels):
        return 0
    plane, split = rows * memory.row, memory.split
    behind = memory.inner == plane and (split == planes or memory.outer == split * plane)
    return 2 if behind else 1
