"""The plans of windows that are searched one by one: adaptive ones that vary, and labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...rules.arrays import Storage, infinity_bits, is_half
from ...rules.call import Call
from ...rules.geometry import Geometry
from ...rules.sums import window_reach
from . import table
from .compile.jit import address, cells
from .compile.launch import SPREAD, Launch, prepare_drivers, run
from .kernels.counting import count_row
from .kernels.picking import check_rows, pick_row, pick_rows
from .kernels.sums import bring_in, bring_out
from .memory import Memory, held_as, place_of
from .plan import Plan
from .scratch import placed
from .summing import three_reaches
from .table import PICKING, Behind, make_table, three_axes
from .together import MOST_PLANES, brought_bytes, side_by_side, small_planes
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
        geometry, counts = call.geometry, call.operation.counts
        why = "labels are counted" if counts else "windows are not alike"
        self.reason = f"backend numba, pick_rows: each window by itself, as {why}"
        self.work = max(math.prod(geometry.input_shape), math.prod(geometry.output_shape))
        self.planes, self.lanes = geometry.planes, BYTES // call.dtype.itemsize
        group = min(self.lanes, MOST_PLANES)
        items = [call.dtype.itemsize] * 2
        if call.index_dtype is not None:
            items.append(call.index_dtype.itemsize)
        self.together = not counts and small_planes(geometry, memories, items, group)
        if self.together:
            self.lanes = group
            geometry, memories = side_by_side(geometry, memories, group)
            self.reason += f"; {group} planes side by side, as rows are short"
        self._call, self._geometry, self._memories = call, geometry, tuple(memories)

    def launch(self) -> Launch:
        """The kernel and its table: everything is compiled, or loaded."""
        call, geometry, together = self._call, self._geometry, self.together
        dtype = held_as(call.dtype)
        depth, height, _ = three_axes(geometry)
        counts = call.operation.counts
        dense = geometry.channels > 1 and all(memory.channel == 1 for memory in self._memories)
        lanes = self.lanes if together or (dense and not counts) else 1
        order = Order(call.operation.sign, call.dtype.kind == "b")
        values = cells(dtype, lanes, order)
        codes = None if call.index_dtype is None else cells(call.index_dtype, lanes)
        own, behind = _of_windows(geometry)
        own |= {
            table.PICK_BYTES: dtype.itemsize,
            table.PICK_INDEX: 0 if call.index_dtype is None else call.index_dtype.itemsize,
            table.PICK_INFINITY: infinity_bits(call.dtype) if is_half(call.dtype) else 0,
            table.PICK_PLANES: lanes if together else 1,
            table.PICK_LAST_GROUP: self.planes - (lanes if together else 1),
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
        if together:
            own |= {
                table.PICK_IN: address(bring_in, source=values, target=values),
                table.PICK_OUT: address(bring_out, source=values, target=values),
            }
            sizes = {
                table.PICKED_FROM: brought_bytes(geometry.sizes, lanes, dtype),
                table.PICKED: brought_bytes(geometry.outputs, lanes, dtype),
            }
            if call.index_dtype is not None:
                own[table.PICK_PLACES_OUT] = address(bring_out, source=codes, target=codes)
                sizes[table.PICKED_PLACES] = brought_bytes(
                    geometry.outputs, lanes, call.index_dtype
                )
            scratch = 64 + placed(own, sizes)
        memories = (*self._memories, self._memories[-1])[:3]
        numbers = make_table(geometry, call.window, memories, PICKING, own, behind.arrays)
        rows = self.planes * depth.output * height.output
        if together:
            rows = -(-self.planes // lanes)
        walk = address(pick_rows, scratch=cells(np.uint8))
        return Launch(walk, numbers, scratch, rows, self.work, SPREAD, 1)


def _of_windows(geometry: Geometry) -> tuple[dict[int, int], Behind]:
    """The kernels' part of the table, with nothing but where windows lie, which stands behind."""
    own, behind = dict.fromkeys(PICKING.places, 0), Behind(PICKING)
    places = table.PICK_REACH_DEPTH, table.PICK_REACH_HEIGHT, table.PICK_REACH_WIDTH
    reaches = three_reaches([window_reach(axis) for axis in geometry.axes])
    for place, reach in zip(places, reaches, strict=True):
        own[place] = behind.add(reach.firsts, reach.counts)
    return own, behind


class CheckedPlan(Plan):
    """A backward pass whose indices are checked before: each must name a cell of its own window."""

    def __init__(self, call: Call, plan: Plan, indices: Storage) -> None:
        self._call, self._plan = call, plan
        self.reason = f"{plan.reason}; indices checked before"
        self._memory, self._copied = place_of(indices, call.geometry)
        self._dtype = indices.dtype.newbyteorder("=")
        self._launch: Launch | None = None

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> int | None:
        codes = inputs[1]
        if self._copied:
            codes = codes.astype(self._dtype, order="C")
        bad = run(self._launched(), codes, codes, codes)
        return bad if bad >= 0 else self._plan.run(inputs, outputs)

    def prepare(self, complete: bool) -> None:
        self._plan.prepare(complete)
        prepare_drivers(self._launched().cells)

    def _launched(self) -> Launch:
        if self._launch is None:
            geometry = self._call.geometry
            depth, height, _ = three_axes(geometry)
            own, behind = _of_windows(geometry)
            numbers = make_table(geometry, False, (self._memory,) * 3, PICKING, own, behind.arrays)
            rows = geometry.planes * depth.output * height.output
            work = math.prod(geometry.output_shape)
            walk = address(check_rows, places=cells(self._dtype, 1))
            self._launch = Launch(walk, numbers, 64, rows, work, SPREAD, 1)
        return self._launch
