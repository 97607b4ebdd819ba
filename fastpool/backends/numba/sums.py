"""The plans of sums and averages, and of the gradient of the average."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ...rules import sums as rules
from ...rules.arrays import Storage, is_half
from ...rules.axis import Axis
from ...rules.call import Call
from ...rules.geometry import Geometry
from ...rules.quotients import halves, rounded_quotients
from ..protocol import Entry
from .blocks import sums_in_blocks
from .compile.launch import NO_INDICES, Launch, prepare_drivers, run
from .forward import ForwardSetup
from .memory import Memory, place_of
from .plan import Plan
from .pulls import PullSetup, sums_pull
from .summing import ONE, Summing
from .together import small_planes
from .vectors.types import BYTES


class SumPlan(Plan):
    """A call of sums or averages, or of the gradient of the average."""

    def __init__(self, call: Call, storages: tuple[Storage, ...]) -> None:
        division = call.division
        assert division is not None
        self._call, self._division = call, division
        geometry, result = call.geometry, division.dtype
        source, target = (place_of(storage, geometry) for storage in storages)
        backward = call.part == "backward"
        self._ordered = rules.in_order(geometry, backward)
        self._counts = rules.counted_taps(geometry, division)
        # NumPy divides what is not exact in float64, and rounds float64 to 16 bits.
        total, self._large = rules.exact_sums(call.dtype, division, math.prod(geometry.kernel))
        self._total = total
        self._blocks = not backward and geometry.regular and sums_in_blocks(call)
        dense = self._blocks or source.memory.dense(geometry.channels)
        self._copied = source.copied or not dense
        memory = source.memory
        if self._copied:
            sizes = geometry.outputs if backward else geometry.sizes
            memory = _in_order(geometry, sizes)
        written = result
        if is_half(result) and total != np.float32:
            written = np.dtype(np.float64)
        if self._large:
            written = total = np.dtype(np.int64)
        self._written = written
        self._kept = written == result and not (target.copied or self._large)
        if not self._kept:
            target = place_of(Storage.in_order(storages[1].shape, written), geometry)
        self._small: np.ndarray | None = None  # of windows that vary, those that are no trees
        self._halves: list[np.dtype[Any]] = []
        self._passes: list[Summing | ForwardSetup | PullSetup] = []
        self._launches: list[Launch] | None = None
        pulled = backward and sums_pull(call, (target.memory, memory))
        if pulled and not _fits_lanes(geometry, (target.memory, memory), total):
            self._passes.append(PullSetup(call, (memory, target.memory)))
        elif backward:
            self._plan_backward(total, memory, target.memory)
        else:
            counts = [ONE] * len(geometry.axes) if self._large else self._counts
            reaches = [rules.window_reach(axis) for axis in geometry.axes]
            dtypes = call.dtype, total, written
            if self._blocks:
                self._passes.append(ForwardSetup(call, (memory, target.memory)))
            elif self._large and call.dtype.itemsize == 8:
                # Halves of 32 bits: the high ones have a sign if the integers have one.
                self._halves = [np.dtype(np.uint32), np.dtype(f"{call.dtype.kind}4")]
                memory = _in_order(geometry, geometry.sizes)
                for half in self._halves:
                    dtypes = half, total, written
                    self._passes.append(
                        Summing(
                            geometry,
                            reaches,
                            counts,
                            self._ordered,
                            dtypes,
                            (memory, target.memory),
                        )
                    )
            else:
                if not (self._ordered or geometry.regular) and total.kind == "f":
                    large = rules.trees([reach.counts for reach in reaches])
                    if large is not None:
                        self._small = ~large if geometry.channels_last else ~large[..., 0]
                        apart = memory, _in_order(geometry, geometry.outputs)
                        self._passes.append(Summing(geometry, reaches, counts, True, dtypes, apart))
                self._passes.append(
                    Summing(
                        geometry, reaches, counts, self._ordered, dtypes, (memory, target.memory)
                    )
                )
        self.reason = self._passes[-1].reason

    def _plan_backward(self, total: np.dtype[Any], source: Memory, target: Memory) -> None:
        """What each window passes on, where it is divided; then the sums of that.

        Where cells have one window at most, its gradient is divided as it becomes the cell's.
        """
        call, geometry, counts = self._call, self._call.geometry, self._counts
        dtype, reaches = call.dtype, [rules.cell_reach(axis) for axis in geometry.axes]
        if max(reach.most for reach in reaches) <= 1 and all(along[0] > 0 for along in counts):
            counts = [_of_cells(*pair) for pair in zip(counts, reaches, strict=True)]
        else:
            if any((along != 1).any() for along in counts) or dtype != total:
                whole = _in_order(geometry, geometry.outputs)
                axes = tuple(
                    Axis(axis.output, axis.output, 1, 1, 1, 0, 0) for axis in geometry.axes
                )
                windows = [rules.window_reach(axis) for axis in axes]
                divided = replace(geometry, axes=axes)
                dtypes = dtype, total, total
                self._passes.append(
                    Summing(divided, windows, counts, True, dtypes, (source, whole))
                )
                source, dtype = whole, total
            counts = [ONE] * len(reaches)
        axes = tuple(
            Axis(reach.size, axis.size, reach.most, 1, reach.step, -_first(reach), 0)
            for reach, axis in zip(reaches, geometry.axes, strict=True)
        )
        dtypes = dtype, total, self._division.dtype
        memories = source, target
        self._passes.append(
            Summing(replace(geometry, axes=axes), reaches, counts, self._ordered, dtypes, memories)
        )

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> None:
        """Fill the output."""
        launches = self._launches or self._launched()
        (x,), (output,) = inputs, outputs
        if self._copied:
            x = x.astype(x.dtype.newbyteorder("="), order="C")
        made = output if self._kept else np.empty(output.shape, self._written)
        if self._halves:
            words = np.ascontiguousarray(x)[..., np.newaxis].view(np.uint32)
            parts = []
            for number, launch in enumerate(launches):
                half = np.ascontiguousarray(words[..., number]).view(self._halves[number])
                part = np.empty(output.shape, np.int64)
                run(launch, half, part, NO_INDICES)
                parts.append(part)
            output[...] = self._quotients(parts[1], parts[0])
            return
        if self._small is not None:
            small = np.empty(output.shape, self._written)
            run(launches[0], x, small, NO_INDICES)
            run(launches[1], x, made, NO_INDICES)
            np.copyto(made, small, where=self._small)
            launches = []
        elif len(launches) == 2:
            passed = np.empty(x.shape, self._total)
            run(launches[0], x, passed, NO_INDICES)
            x = passed
        if launches:
            run(launches[-1], x, made, NO_INDICES)
        if self._large:
            output[...] = self._quotients(*halves(made))
        elif made is not output:
            with np.errstate(all="ignore"):
                output[...] = made.astype(output.dtype)

    def _quotients(self, high: np.ndarray, low: np.ndarray) -> np.ndarray:
        divisors = rules.products(self._counts)
        if not self._call.geometry.channels_last:
            divisors = divisors[..., 0]
        return rounded_quotients(high, low, divisors, self._division.dtype)

    def prepare(self, complete: bool) -> None:
        """Compile, or load, what `run` needs."""
        self._launched()
        prepare_drivers(max(each.work for each in self._passes))

    def entry(self) -> Entry | None:
        """Machine code for one thread that needs no Python, or None."""
        if self._copied or not self._kept or self._large or len(self._passes) > 1:
            return None
        (launch,) = self._launched()
        return Entry(launch.address, launch.table, launch.scratch, launch.rows)

    def _launched(self) -> list[Launch]:
        if self._launches is None:
            self._launches = [each.launch() for each in self._passes]
        return self._launches


def _fits_lanes(geometry: Geometry, memories: tuple[Memory, Memory], total: np.dtype[Any]) -> bool:
    """Whether gradients take less time with planes side by side than where cells pull.

    Rows of 8 cells do, and rows of up to 8 windows that share no cell: (32, 512, 7, 7) k7 takes
    0.2 of the time, (32, 512, 14, 14) k2 s2 0.85.
    """
    axis = geometry.axes[-1]
    apart = all(axis.kernel <= axis.stride for axis in geometry.axes)
    if axis.size > 8 and not (apart and axis.output <= 8):
        return False
    return small_planes(geometry, memories, [total.itemsize] * 2, BYTES // total.itemsize)


def _of_cells(counts: np.ndarray, reach: rules.AnyReach) -> np.ndarray:
    """Of each cell along an axis, the count of its window; of one without any that of another."""
    if counts.size == 1:
        return counts
    found: np.ndarray = counts[np.clip(reach.firsts, 0, counts.size - 1)]
    return found


def _first(reach: rules.AnyReach) -> int:
    """Where the first result begins."""
    return reach.first if isinstance(reach, rules.EvenReach) else int(reach.firsts[0])


def _in_order(geometry: Geometry, sizes: tuple[int, ...]) -> Memory:
    """The memory of an array in C order with these spatial sizes."""
    shape = geometry.with_spatial(geometry.lead, sizes)
    return place_of(Storage.in_order(shape, np.dtype(np.uint8)), geometry).memory
