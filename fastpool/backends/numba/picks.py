"""The plans of windows that are searched one by one: adaptive ones that vary, and labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...rules import indices as rules
from ...rules.arrays import infinity_bits, is_half
from ...rules.call import Call
from ...rules.sums import window_reach
from . import table
from .compile.jit import address, cells
from .compile.launch import SPREAD, Launch
from .kernels.counting import count_row
from .kernels.picking import pick_row, pick_rows
from .memory import Memory, held_as
from .plan import Plan
from .summing import three_reaches
from .table import PICKING, Behind, make_table, three_axes
from .vectors.types import BYTES, Order


class PickSetup:
    """A forward pass that searches each window by itself, or counts its values.

    Parameters
    ----------
    call : Call
        Such a pass.
    memories : sequence of Memory
        Those of the input, the output, and the indices if there are any.
    """

    def __init__(self, call: Call, memories: Sequence[Memory]) -> None:
        self._call, self._memories = call, tuple(memories)
        geometry, counts = call.geometry, call.operation.counts
        why = "labels are counted" if counts else "windows are not alike"
        self.reason = f"backend numba, pick_rows: each window by itself, as {why}"
        self.work = max(math.prod(geometry.input_shape), math.prod(geometry.output_shape))

    def launch(self) -> Launch:
        """The kernel and its table: everything is compiled, or loaded."""
        call, geometry = self._call, self._call.geometry
        dtype = held_as(call.dtype)
        depth, height, _ = three_axes(geometry)
        side_by_side = all(memory.channel == 1 for memory in self._memories)
        counts = call.operation.counts
        together = side_by_side and geometry.channels > 1 and not counts
        lanes = BYTES // dtype.itemsize if together else 1
        order = Order(call.operation.sign, call.dtype.kind == "b")
        values = cells(dtype, lanes, order)
        codes = None if call.index_dtype is None else cells(call.index_dtype, lanes)
        reaches = three_reaches([window_reach(axis) for axis in geometry.axes])
        behind = Behind(PICKING)
        own = {
            table.PICK_BYTES: dtype.itemsize,
            table.PICK_INDEX: 0 if call.index_dtype is None else call.index_dtype.itemsize,
            table.PICK_INFINITY: infinity_bits(call.dtype) if is_half(call.dtype) else 0,
            table.SLOTS_OF_COUNTS: 0,
            table.SCRATCH_CLEARED: 0,
        }
        kinds: dict[str, Any] = {"x": values, "output": values, "places": codes}
        scratch = 64
        if counts:
            taps = math.prod(min(axis.kernel, axis.size) for axis in geometry.axes)
            slots = 1 << (2 * taps - 1).bit_length()
            own[table.SLOTS_OF_COUNTS], scratch = slots, 192 + 24 * slots
            own[table.SCRATCH_CLEARED] = 64 + 24 * slots
            truth = int(call.dtype.kind == "b")
            own[table.PICK_ROW] = address(count_row, **kinds, half=truth)
        else:
            own[table.PICK_ROW] = address(pick_row, **kinds, half=int(is_half(call.dtype)))
        places = table.PICK_REACH_DEPTH, table.PICK_REACH_HEIGHT, table.PICK_REACH_WIDTH
        for place, reach in zip(places, reaches, strict=True):
            own[place] = behind.add(reach.firsts, reach.counts)
        memories = (*self._memories, self._memories[-1])[:3]
        numbers = make_table(geometry, call.window, memories, PICKING, own, behind.arrays)
        rows = geometry.planes * depth.output * height.output
        walk = address(pick_rows, scratch=cells(np.uint8))
        return Launch(walk, numbers, scratch, rows, self.work, SPREAD, 1)


class CheckedPlan(Plan):
    """A backward pass whose indices are checked before: each must name a cell of its own window."""

    def __init__(self, call: Call, plan: Plan) -> None:
        self._call, self._plan = call, plan
        self.reason = f"{plan.reason}; indices checked before"

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> int | None:
        geometry = self._call.geometry
        axes, codes = geometry.axes, geometry.canonical(inputs[1])
        starts, spans = rules.starts_of(axes), rules.spans_of(axes)
        begin = 0
        for _, planes in geometry.plane_blocks(2**17):
            some = codes[planes].astype(np.int64)
            _, _, own = rules.named_cells(axes, some, starts, False, spans)
            if not own.all():
                return begin + int(own.argmin())
            begin += some.size
        return self._plan.run(inputs, outputs)

    def prepare(self, complete: bool) -> None:
        self._plan.prepare(complete)
