"""One pass of sums: which walk takes it, its table, its scratch, and what is compiled for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...rules.axis import Axis
from ...rules.geometry import Geometry
from ...rules.sums import AnyReach, EvenReach
from . import table
from .blocks import interleaved
from .compile.jit import address, cells
from .compile.launch import SPREAD, Launch
from .division import rounding_by
from .kernels import running, sums, trees
from .kernels.sparse_trees import DIGITS, sum_cells, sum_sparsely
from .kernels.staging import spread_lines
from .memory import PAST_BYTES, Memory, held_as
from .scratch import placed, rounded_up
from .table import SUMS, Behind, make_table, three_axes
from .together import brought_bytes, side_by_side, small_planes
from .vectors.halves import mantissa
from .vectors.types import BYTES, Order

# Strides up to which the windows of a row are read as vectors side by side.
MOST_STRIDE = 16
# Bytes of rows that are written past the caches at a time.
HELD_BYTES = 2**13
# Cells of a row that are summed at a time: totals, divisors and cells stay in the nearest cache.
STRETCH = 2048
# How large zeros around may make an axis: so many times as large, or of so many positions.
GROWTH, FEW = 4, 64
# What a band of rows of windows may take: half of a usual second-level cache.
BAND_BYTES = 2**18
# The same of one with twice as many rows as it shares, which are summed again: 0.93 of the time.
WIDE_BAND_BYTES = 2**20
# And where bands share no rows: a usual first-level cache.
NEAR_BYTES = 2**15

# Cells of the longest rows that have running sums, which stay in a usual second-level cache.
MOST_RUNNING = 2**15

ONE = np.ones(1, np.int64)
_POINT = EvenReach(1, 1, 0, 1, 1, 1)


def three_reaches(reaches: Sequence[AnyReach]) -> list[AnyReach]:
    """Those of depth, height and width, as `table.three_axes` has the axes."""
    return [*[_POINT] * (3 - len(reaches)), *reaches]


class Summing:
    """One pass: the sums of some positions, divided and rounded.

    Parameters
    ----------
    geometry : Geometry
        What is read is its input, and what is written its output.
    reaches : sequence of Reach
        For each axis, what is summed. Where results are at even distances, the geometry says the
        same.
    counts : sequence of ndarray
        For each axis what sums are divided by: one number, or one for each window.
    ordered : bool
        Whether taps are added one after the other, or as a tree.
    dtypes : tuple of dtype
        Of cells, of sums, and of results.
    memories : sequence of Memory
        Of what is read, whose rows must be dense, and of what is written.
    """

    def __init__(
        self,
        geometry: Geometry,
        reaches: Sequence[AnyReach],
        counts: Sequence[np.ndarray],
        ordered: bool,
        dtypes: tuple[np.dtype[Any], np.dtype[Any], np.dtype[Any]],
        memories: Sequence[Memory],
    ) -> None:
        self.dtypes = dtypes
        self.reaches = three_reaches(reaches)
        self.counts = [ONE] * (3 - len(geometry.axes)) + list(counts)
        self.divide = any((along != 1).any() for along in self.counts)
        self.lanes = BYTES // dtypes[1].itemsize
        self.work = max(math.prod(geometry.input_shape), math.prod(geometry.output_shape))
        groups = self.planes = geometry.planes
        items = dtypes[0].itemsize, dtypes[2].itemsize
        self.together = ordered and small_planes(geometry, memories, items, self.lanes)
        if self.together:
            groups = -(-groups // self.lanes)
            geometry, memories = side_by_side(geometry, memories, self.lanes)
        self.geometry, self.memories = geometry, memories
        depth, height, width = three_axes(geometry)
        channels = geometry.channels
        self.rows = groups * (1 if self.together else depth.output * height.output)
        self.adder: Any = None
        if not self.together and self._runs():
            self.walk: Any = running.sum_running
            reason = "running sums of integers"
        elif ordered:
            self.walk = sums.sum_rows
            together = width.stride == 1 or interleaved(geometry, self.lanes)
            near = width.stride <= MOST_STRIDE if channels == 1 else together
            regular = isinstance(self.reaches[2], EvenReach)
            self.adder = sums.add_line if regular and near else sums.add_reached
            reason = "one tap after the other"
            if self.together:
                reason += f", {self.lanes} planes side by side, as rows are short"
        elif (
            self._framed(height)
            and self._framed(width)
            and all(isinstance(reach, EvenReach) for reach in self.reaches)
        ):
            self.walk = trees.sum_trees
            reason = "trees, a band of rows at a time"
        else:
            self.walk, self.adder = sum_sparsely, sum_cells
            reason = "trees, cell by cell, as most taps lie outside, or windows vary"
        self.reason = f"backend numba, {self.walk.__name__}: {reason}"

    def _framed(self, axis: Axis) -> bool:
        """Whether zeros around an axis take little memory."""
        return (axis.output - 1) * axis.stride + axis.span <= max(GROWTH * axis.size, FEW)

    def _runs(self) -> bool:
        """Whether these are sums of integers at a stride of 1, over rows that fit in caches."""
        depth, height, width = three_axes(self.geometry)
        even = all(isinstance(reach, EvenReach) for reach in self.reaches)
        if not (even and self.dtypes[1].kind in "iu"):
            return False
        near = all(axis.stride == 1 and axis.span == axis.kernel for axis in (height, width))
        single = depth.kernel == depth.stride == 1 and depth.output == depth.size
        cells = (
            max(width.size, width.output + width.kernel + width.pad_low) * self.geometry.channels
        )
        return near and single and cells <= MOST_RUNNING

    def launch(self) -> Launch:
        """The kernel and its table: everything is compiled, or loaded."""
        geometry = self.geometry
        dtype, total, result = self.dtypes
        held, written = held_as(dtype), held_as(result)
        depth, height, width = three_axes(geometry)
        channels, lanes = geometry.channels, self.lanes
        whole = self.walk in (trees.sum_trees, running.sum_running)
        stretch = width.output if whole else max(1, STRETCH // channels)
        stretch = min(stretch, width.output)
        n = rounded_up(stretch * channels, lanes) + lanes
        own = dict.fromkeys(SUMS.places, 0)
        behind = Behind(SUMS)
        for place, reach in zip(
            (table.REACH_DEPTH, table.REACH_HEIGHT, table.REACH_WIDTH), self.reaches, strict=True
        ):
            if place == table.REACH_WIDTH and self.adder not in (sums.add_reached, sum_cells):
                continue  # may be long
            own[place] = behind.add(reach.firsts, reach.counts)
        for place, along, axis in zip(
            (table.DIVISOR_DEPTH, table.DIVISOR_HEIGHT, table.DIVISOR_WIDTH),
            self.counts,
            (depth, height, width),
            strict=True,
        ):
            each = place == table.DIVISOR_WIDTH
            own[place] = behind.add(along if each else np.broadcast_to(along, axis.output))
        own[table.LANE_PLANES] = lanes if self.together else 1
        own[table.LAST_GROUP] = self.planes - own[table.LANE_PLANES]
        own[table.EACH_COLUMN] = int(self.counts[2].size > 1)
        own[table.STRETCH_WINDOWS] = stretch
        sizes = {table.TOTALS: n * total.itemsize, table.DIVISORS: n * 8, table.RESULTS: 0}
        grain = 1
        if self.walk is trees.sum_trees:
            grain = self._bands(own, sizes)
        elif self.walk is running.sum_running:
            grain = self._running(own, sizes)
        elif self.walk is sum_sparsely:
            sizes[table.PARTS] = 3 * DIGITS * total.itemsize
        dense = self.together or self.memories[1].dense(channels)
        past = dense and self.walk is sums.sum_rows and self._past(written.itemsize)
        if self.together:
            sizes[table.PLANES_IN] = brought_bytes(geometry.sizes, lanes, held)
            sizes[table.PLANES_OUT] = brought_bytes(geometry.outputs, lanes, written)
            sizes[table.PLANES_PAST] = sizes[table.PLANES_OUT] if past else 0
        elif past:
            row = width.output * channels
            follow = stretch == width.output and self.memories[1].row == row
            own[table.HELD_ROWS] = max(1, HELD_BYTES // (row * written.itemsize)) if follow else 1
            sizes[table.RESULTS] = (own[table.HELD_ROWS] + 1) * n * written.itemsize
        if not dense:
            sizes[table.RESULTS] = n * result.itemsize
        own[table.CELL_BYTES], own[table.RESULT_BYTES] = held.itemsize, written.itemsize
        own[table.TOTAL_BYTES] = total.itemsize
        x = cells(held, lanes, Order(truth=dtype.kind == "b"))
        totals, output = cells(total, lanes), cells(written, lanes)
        divisors = cells(total if total.kind == "f" else np.float64, lanes)
        half = mantissa(dtype)
        own |= {
            table.FILL_DIVISORS: address(sums.fill_divisors, divisors=divisors),
            table.FINISH_ROW: address(
                sums.finish_row, totals=totals, divisors=divisors, output=output,
                half=mantissa(result), divide=int(self.divide),
            ),
        }  # fmt: skip
        if self.together:
            own[table.BRING_IN] = address(sums.bring_in, source=x, target=x)
            own[table.BRING_OUT] = address(sums.bring_out, source=output, target=output)
        if past:
            lines = cells(written)
            own[table.WRITE_PAST] = address(sums.write_past, source=lines, target=lines)
        if not dense:
            own[table.SPREAD_ROW] = address(spread_lines, line=output, target=output)
        if self.walk is running.sum_running:
            own |= self._run_functions(x, totals, output, dense, own)
        if self.adder is sum_cells or (self.adder is sums.add_reached and channels == 1):
            x, totals = cells(held, 1, x.order), cells(total, 1)  # each window by itself
        if self.adder is sum_cells:
            kinds: dict[str, Any] = {"source": x, "totals": totals, "parts": totals}
            own[table.ADD_TAPS] = address(sum_cells, **kinds, half=half)
        elif self.adder is not None:
            stride = width.stride if self.adder is sums.add_line else 0
            few = channels if stride > 1 else 1
            kinds = {"source": x, "totals": totals, "stride": stride, "few": few, "half": half}
            own[table.ADD_TAPS] = address(self.adder, **kinds)
        elif self.walk is trees.sum_trees:
            own |= {
                table.FRAME_ROW: address(trees.frame_row, source=x, line=totals, half=half),
                table.JOIN_LINES: address(trees.join_lines, first=totals, line=totals),
                table.TREE_DOWN: address(trees.tree_down, frames=totals, totals=totals),
                table.TREE_ALONG: address(trees.tree_along, line=totals, parts=totals),
            }
        scratch = 64 + placed(own, sizes)
        cleared = {} if self.walk is sum_sparsely else {"scratch": cells(np.uint8)}
        memories = (*self.memories, self.memories[1])
        numbers = make_table(geometry, False, memories, SUMS, own, behind.arrays)
        walk = address(self.walk, **cleared)
        return Launch(walk, numbers, scratch, self.rows, self.work, SPREAD, grain)

    def _running(self, own: dict[int, int], sizes: dict[int, int]) -> int:
        """How running sums lie in the scratch; rows of a task."""
        _, height, width = three_axes(self.geometry)
        channels, item = self.geometry.channels, self.dtypes[1].itemsize
        low, line = width.pad_low * channels, rounded_up(width.size * channels, self.lanes)
        end = (width.output + width.kernel - 1) * channels + self.lanes - low
        end = max(line, rounded_up(end, self.lanes))
        own[table.FRAME_LOW], own[table.FRAME_CELLS] = low, end
        sizes[table.FRAMES] = (line + self.lanes) * item
        sizes[table.PARTS] = (low + channels + end + self.lanes) * item
        sizes[table.ZEROS] = (line + BYTES) * item
        return 2 * height.kernel

    def _run_functions(
        self, x: Any, totals: Any, output: Any, dense: bool, own: dict[int, int]
    ) -> dict[int, int]:
        """Those of running sums: in one step with what becomes of them, if one number divides."""
        geometry, (_, total, result) = self.geometry, self.dtypes
        few = geometry.channels if geometry.channels < self.lanes else 0
        divisor = math.prod(int(along[0]) for along in self.counts)
        taps = math.prod(axis.kernel for axis in geometry.axes)
        bound = taps * 2 ** (8 * self.dtypes[0].itemsize)
        one = all(along.size == 1 for along in self.counts)
        divided, number = rounding_by(divisor, bound, total) if self.divide else (0, 1.0)
        at_once = dense and one and result.kind in "iu" and divided is not None
        target = output if at_once else totals
        found = {
            table.ROUNDED_NUMBER: int(np.float64(number).view(np.int64)),
            table.ADD_TAPS: address(running.enter_row, source=x, columns=totals),
            table.RUN_ALONG: address(
                running.run_along, source=x, left=x, columns=totals, running=totals, few=few
            ),
            table.TAKE_ROW: address(
                running.take_row, running=totals, output=target,
                divided=(divided or 0) if at_once else 0,
            ),
        }  # fmt: skip
        if at_once:
            found[table.FINISH_ROW] = 0
        return found

    def _past(self, itemsize: int) -> bool:
        """Whether so many cells are written that they go past the caches, in streams."""
        windows = math.prod(self.geometry.outputs)
        if self.together and self.memories[1].inner != windows:
            return False
        return math.prod(self.geometry.output_shape) * itemsize >= PAST_BYTES

    def _bands(self, own: dict[int, int], sizes: dict[int, int]) -> int:
        """How rows lie in the scratch while they become trees; rows of a task."""
        depth, height, width = three_axes(self.geometry)
        channels, item = self.geometry.channels, self.dtypes[1].itemsize
        frame = ((width.output - 1) * width.stride + width.span) * channels
        frame = rounded_up(frame, BYTES // item) + 2 * (BYTES // item)
        line = frame * item
        # Rows that the band shares with the next are summed again: at most as many as its own.
        fit = (BAND_BYTES // line - height.span) // (2 * height.stride)
        shared = -(-height.span // height.stride)
        room = (WIDE_BAND_BYTES // line - height.span) // height.stride
        band = max(fit, shared, min(2 * shared, room))
        if height.span <= height.stride:  # none are shared
            band = max(1, NEAR_BYTES // (line * height.stride))
        band = min(height.output, band)
        held = (band - 1) * height.stride + height.span
        own[table.BAND], own[table.FRAME_CELLS] = band, frame
        own[table.FRAME_LOW] = width.pad_low * channels
        levels = min(depth.kernel, depth.size).bit_length() + depth.kernel.bit_length()
        sizes[table.TOTALS] = band * line
        sizes[table.FRAMES] = held * line
        sizes[table.PARTS] = (levels + 2) * line
        return max(1, band // 2)
