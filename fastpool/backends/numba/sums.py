"""The plans of sums and averages, and of the gradient of the average."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ...rules import sums as rules
from ...rules.arrays import Storage, is_half
from ...rules.axis import Axis
from ...rules.call import Call
from ...rules.geometry import Geometry
from ...rules.quotients import halves, rounded_quotients
from ...rules.sums import Division
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


def plan_sums(call: Call, storages: tuple[Storage, ...]) -> Plan:
    """How to answer a call of sums or averages, or of the gradient of the average."""
    geometry, division = call.geometry, call.division
    assert division is not None
    total, large = rules.exact_sums(call.dtype, division, math.prod(geometry.kernel))
    if large:
        return QuotientPlan(call, storages)
    if call.part == "forward" and not geometry.regular and total.kind == "f":
        trees = rules.trees([rules.window_reach(axis).counts for axis in geometry.axes])
        if trees is not None and trees.any():
            return MixedPlan(call, storages, trees)
    return SumPlan(call, storages, rules.in_order(geometry, call.part == "backward"))


class SumPlan(Plan):
    """Sums or averages, or the gradient of the average: passes one after the other.

    Parameters
    ----------
    call : Call
        Such a call.
    storages : tuple of Storage
        Of the array that is read, and of the result.
    ordered : bool
        Whether all is added one after the other, or as trees.
    """

    def __init__(self, call: Call, storages: tuple[Storage, ...], ordered: bool) -> None:
        division = call.division
        assert division is not None
        geometry, result = call.geometry, division.dtype
        source, target = (place_of(storage, geometry) for storage in storages)
        backward = call.part == "backward"
        total, _ = rules.exact_sums(call.dtype, division, math.prod(geometry.kernel))
        blocks = not backward and geometry.regular and sums_in_blocks(call)
        self._copied = source.copied or not (blocks or source.memory.dense(geometry.channels))
        memory = source.memory
        if self._copied:
            memory = _in_order(geometry, geometry.outputs if backward else geometry.sizes)
        # NumPy rounds float64 to 16 bits.
        wide = is_half(result) and total != np.float32
        self._written = np.dtype(np.float64) if wide else result
        self._kept = self._written == result and not target.copied
        if not self._kept:
            target = place_of(Storage.in_order(storages[1].shape, self._written), geometry)
        self._total, self._launches = total, list[Launch]()
        memories, pair = (memory, target.memory), (target.memory, memory)
        self._passes: list[Summing | ForwardSetup | PullSetup]
        if blocks:
            self._passes = [ForwardSetup(call, memories)]
        elif not backward:
            dtypes = call.dtype, total, self._written
            reaches = [rules.window_reach(axis) for axis in geometry.axes]
            counts = rules.counted_taps(geometry, division)
            self._passes = [Summing(geometry, reaches, counts, ordered, dtypes, memories)]
        elif sums_pull(call, pair) and not _fits_lanes(geometry, pair, total):
            self._passes = [PullSetup(call, memories)]
        else:
            self._passes = list(_gradient_passes(call, memories, total, ordered))
        self._passed = math.prod(storages[0].shape) * total.itemsize
        self.reason = self._passes[-1].reason

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> None:
        """Fill the output."""
        launches = self._launched()
        (x,), (output,) = inputs, outputs
        if self._copied:
            x = x.astype(x.dtype.newbyteorder("="), order="C")
        made = output if self._kept else np.empty(output.shape, self._written)
        if len(launches) == 2:
            passed = np.empty(x.shape, self._total)
            run(launches[0], x, passed, NO_INDICES)
            x = passed
        run(launches[-1], x, made, NO_INDICES)
        if made is not output:
            with np.errstate(all="ignore"):
                output[...] = made.astype(output.dtype)

    def prepare(self, complete: bool) -> None:
        """Compile, or load, what `run` needs."""
        self._launched()
        prepare_drivers(max(each.work for each in self._passes))

    def steps(self, threads: int) -> tuple[Entry, ...]:
        """Machine code for so many threads that needs no Python, or none."""
        if self._copied or not self._kept:
            return ()
        *before, last = (launch.entry(threads) for launch in self._launched())
        return (*(each._replace(passed=self._passed) for each in before), last)

    def _launched(self) -> list[Launch]:
        if not self._launches:
            self._launches = [each.launch() for each in self._passes]
        return self._launches


class MixedPlan(Plan):
    """Adaptive averages of which some are trees, and the smaller ones are not: both are made."""

    def __init__(self, call: Call, storages: tuple[Storage, ...], trees: np.ndarray) -> None:
        self._small = ~trees if call.geometry.channels_last else ~trees[..., 0]
        in_order = Storage.in_order(storages[1].shape, storages[1].dtype)
        self._trees = SumPlan(call, storages, False)
        self._others = SumPlan(call, (storages[0], in_order), True)
        self.reason = self._trees.reason

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> None:
        """Fill the output."""
        (output,) = outputs
        small = np.empty(output.shape, output.dtype)
        self._others.run(inputs, (small,))
        self._trees.run(inputs, outputs)
        np.copyto(output, small, where=self._small)

    def prepare(self, complete: bool) -> None:
        """Compile, or load, what `run` needs."""
        self._others.prepare(complete)
        self._trees.prepare(complete)


class QuotientPlan(Plan):
    """Integer averages whose sums are no exact float64: NumPy divides them, in two halves.

    Cells of 64 bits are summed as halves of 32, the high ones with a sign if the integers have one.
    """

    def __init__(self, call: Call, storages: tuple[Storage, ...]) -> None:
        division = call.division
        assert division is not None
        self._dtype, self._last = division.dtype, call.geometry.channels_last
        self._counts = rules.counted_taps(call.geometry, division)
        source, target = storages
        sums = replace(call, division=Division(np.dtype(np.int64), 1, True))
        made = Storage.in_order(target.shape, np.dtype(np.int64))
        ordered = rules.in_order(call.geometry, False)
        self._halves = [np.dtype(np.uint32), np.dtype(f"{call.dtype.kind}4")]
        if call.dtype.itemsize < 8:
            self._plans = [SumPlan(sums, (source, made), ordered)]
        else:
            self._plans = [
                SumPlan(
                    replace(sums, dtype=half), (Storage.in_order(source.shape, half), made), ordered
                )
                for half in self._halves
            ]
        self.reason = self._plans[0].reason

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> None:
        """Fill the output."""
        (x,), (output,) = inputs, outputs
        made = [np.empty(output.shape, np.int64) for _ in self._plans]
        if len(made) == 1:
            self._plans[0].run(inputs, (made[0],))
            high, low = halves(made[0])
        else:
            native = x.astype(x.dtype.newbyteorder("="), order="C", copy=False)
            words = native[..., np.newaxis].view(np.uint32)
            for number, half in enumerate(self._halves):
                part = np.ascontiguousarray(words[..., number]).view(half)
                self._plans[number].run((part,), (made[number],))
            low, high = made
        divisors = rules.products(self._counts)
        if not self._last:
            divisors = divisors[..., 0]
        output[...] = rounded_quotients(high, low, divisors, self._dtype)

    def prepare(self, complete: bool) -> None:
        """Compile, or load, what `run` needs."""
        for plan in self._plans:
            plan.prepare(complete)


def _gradient_passes(
    call: Call, memories: tuple[Memory, Memory], total: np.dtype[Any], ordered: bool
) -> Iterator[Summing]:
    """What each window passes on, where it is divided; then the sums of that.

    Where cells have one window at most, its gradient is divided as it becomes the cell's.
    """
    geometry, division, dtype = call.geometry, call.division, call.dtype
    assert division is not None
    source, target = memories
    counts = rules.counted_taps(geometry, division)
    reaches = [rules.cell_reach(axis) for axis in geometry.axes]
    if max(reach.most for reach in reaches) <= 1 and all(along[0] > 0 for along in counts):
        counts = [_of_cells(*pair) for pair in zip(counts, reaches, strict=True)]
    else:
        if any((along != 1).any() for along in counts) or dtype != total:
            whole = _in_order(geometry, geometry.outputs)
            axes = tuple(Axis(size, size, 1, 1, 1, 0, 0) for size in geometry.outputs)
            windows = [rules.window_reach(axis) for axis in axes]
            each, dtypes = replace(geometry, axes=axes), (dtype, total, total)
            yield Summing(each, windows, counts, True, dtypes, (source, whole))
            source, dtype = whole, total
        counts = [ONE] * len(reaches)
    axes = tuple(
        Axis(reach.size, axis.size, reach.most, 1, reach.step, -_first(reach), 0)
        for reach, axis in zip(reaches, geometry.axes, strict=True)
    )
    dtypes = dtype, total, division.dtype
    cells = replace(geometry, axes=axes)
    yield Summing(cells, reaches, counts, ordered, dtypes, (source, target))


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
