"""The Numba backend: compiled and parallel.

Kernels read and write arrays where they are, whatever their strides; `memory` tells the few cases
where they cannot, and only those are copied, whole. A plan is made in two steps: a *setup* decides
(`forward`, `scatter`, `choice`), its *launch* has everything compiled (`compile`), and is run with
the arrays' addresses.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import cast

import numba
import numpy as np

from ...rules.arrays import Storage, is_half, storage_of
from ...rules.call import Call
from ...rules.geometry import LAYOUTS
from ...rules.splits import Part, split_tiles
from ..protocol import Entry
from ..protocol import Plan as AnyPlan
from .compile import disk, jit
from .compile.describe import describe as describe
from .compile.disk import NotReady
from .compile.launch import NO_INDICES, Launch, prepare_drivers, run, thread_count
from .forward import ForwardSetup
from .picks import CheckedPlan, PickSetup
from .plan import Copied, Plan
from .scatter import ScatterSetup
from .services import serve as serve
from .services import xla_handler as xla_handler
from .sums import plan_sums
from .tiles import TilePlan, fits_tiles, is_special, lies_across

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
    raise ImportError("NUMBA_DISABLE_JIT is set, and vectors exist in compiled code alone")

# Cells that a backward pass of 16-bit floats holds in float32 at a time.
BLOCK = 2**22


class ForwardPlan(Plan):
    """A forward pass."""

    def __init__(self, call: Call, storages: tuple[Storage, ...]) -> None:
        self._arrays = Copied(call, storages, 1)
        self._copied = self._arrays.any
        alike = call.geometry.regular and not call.operation.counts
        setup = ForwardSetup if alike else PickSetup
        self._setup: ForwardSetup | PickSetup = setup(call, self._arrays.memories)
        self._launch: Launch | None = None
        self.reason = self._setup.reason

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> None:
        launch = self._launch or self._prepared()
        if not self._copied:
            run(launch, inputs[0], outputs[0], outputs[1] if len(outputs) == 2 else NO_INDICES)
            return
        (x,), written = self._arrays.taken(inputs, outputs)
        run(launch, x, written[0], written[1] if len(written) == 2 else NO_INDICES)
        self._arrays.put_back(written, outputs)

    def prepare(self, complete: bool) -> None:
        self._prepared()
        prepare_drivers(self._setup.work)

    def steps(self, threads: int) -> tuple[Entry, ...]:
        return () if self._arrays.any else (self._prepared().entry(threads),)

    def _prepared(self) -> Launch:
        if self._launch is None:
            self._launch = self._setup.launch()
        return self._launch


class ScatterPlan(Plan):
    """A backward pass or an unpooling, in the dtype of the values."""

    def __init__(self, call: Call, storages: tuple[Storage, ...]) -> None:
        self._arrays = Copied(call, storages, 2)
        values, codes, output = self._arrays.memories
        self._setup = ScatterSetup(call, (output, values, codes))
        self.rounds = self._setup.rounds
        self._launches: dict[tuple[int, bool], Launch] = {}
        self.reason = self._setup.reason

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> int | None:
        copied, written = self._arrays.any, outputs
        if copied:
            inputs, written = self._arrays.taken(inputs, outputs)
        (x, codes), (output,) = inputs, written
        threads = thread_count(self._setup.work)
        offender = run(self._launched(threads, False), x, output, codes)
        if offender >= 0:  # which need not be bad, nor the first: the exact kernel knows
            offender = run(self._launched(threads, True), x, output, codes)
            if offender >= 0:
                return offender
        if copied:
            self._arrays.put_back(written, outputs)
        return None

    def prepare(self, complete: bool) -> None:
        threads = thread_count(self._setup.work)
        for exact in (False, True) if complete else (False,):
            self._launched(threads, exact)
        prepare_drivers(self._setup.work)

    def steps(self, threads: int) -> tuple[Entry, ...]:
        return () if self._arrays.any else (self._launched(threads, False).entry(threads),)

    def _launched(self, threads: int, exact: bool) -> Launch:
        found = self._launches.get((threads, exact))
        if found is None:
            found = self._launches[threads, exact] = self._setup.launch(threads, exact)
        return found


class SummedPlan(Plan):
    """A backward pass whose gradients are added in float32, a block of planes at a time.

    For 16-bit floats where the kernels that round them do not apply. And the sum of bools is their
    disjunction: whether it is not 0.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self.reason = "blocks of planes in float32: " + self._block(1).reason

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> int | None:
        geometry = self._call.geometry
        values, codes = map(geometry.canonical, inputs)
        target = geometry.canonical(outputs[0])
        for first, planes in geometry.plane_blocks(BLOCK):
            count = len(planes[0])
            sums = np.empty((count, *target.shape[-len(geometry.axes) - 1 :]), np.float32)
            block = np.ascontiguousarray(codes[planes])
            # A signalling NaN is invalid to cast, on some processors, and a sum may overflow.
            with np.errstate(all="ignore"):
                gradients = np.ascontiguousarray(values[planes].astype(np.float32))
                offender = self._block(count, storage_of(block)).run((gradients, block), (sums,))
                if offender is not None:
                    return offender + first * (codes.size // geometry.planes)
                target[planes] = sums.astype(target.dtype)
        return None

    def prepare(self, complete: bool) -> None:
        _, planes = next(self._call.geometry.plane_blocks(BLOCK))
        self._block(len(planes[0])).prepare(complete)

    def _block(self, count: int, codes: Storage | None = None) -> Plan:
        """The plan of a block of so many planes, which are contiguous."""
        call, geometry = self._call, self._call.geometry
        layout = LAYOUTS[len(geometry.axes)][1]  # what canonical arrays are
        block = replace(
            call,
            geometry=replace(geometry, lead=(count,), layout=layout),
            dtype=np.dtype(np.float32),
        )
        shape = block.geometry.output_shape
        index_dtype = call.index_dtype or np.dtype(np.int64)
        storages = (
            Storage.in_order(shape, block.dtype),
            codes or Storage.in_order(shape, index_dtype),
            Storage.in_order(block.geometry.input_shape, block.dtype),
        )
        return plan(block, storages)


class SplitPlan(Plan):
    """Tiles whose rows lie along another axis than the last, and that no vectors take so."""

    def __init__(self, parts: tuple[Part, ...], storages: tuple[Storage, ...]) -> None:
        self._parts = [(part, plan(part.call, part.storages(storages))) for part in parts]
        self.reason = self._parts[0][1].reason + ", tiles of a row as channels"

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> None:
        for part, each in self._parts:
            each.run(*part.views(inputs, outputs))

    def prepare(self, complete: bool) -> None:
        for _, each in self._parts:
            each.prepare(complete)


@lru_cache(maxsize=1024)
def plan(call: Call, storages: tuple[Storage, ...]) -> Plan:
    """How to answer a call."""
    if fits_tiles(call) and (is_special(call) or lies_across(call, storages)):
        return TilePlan(call, storages)
    # Of extremes on a plane the rows come one after the other: 0.03 to 0.3 of the time. On a volume
    # that takes 5 times as long, and sums 2 to 5 times.
    on_plane = call.operation.idempotent and len(call.geometry.axes) < 3
    parts = () if on_plane else split_tiles(call, storages)
    if parts:
        return SplitPlan(parts, storages)
    if call.division is not None:
        return plan_sums(call, storages)
    if call.part == "forward":
        return ForwardPlan(call, storages)
    made = ScatterPlan(call, storages)
    sums = call.part == "backward" and (is_half(call.dtype) or call.dtype.kind == "b")
    if sums and not made.rounds:
        return SummedPlan(call)
    return made if call.geometry.regular else CheckedPlan(call, made, storages[1])


def answers(call: Call) -> bool:
    """Whether there are kernels for a call."""
    counted = call.operation.counts and call.dtype.kind in "iub" and call.missing is None
    return counted or not is_special(call) or fits_tiles(call)


def ready(plan: AnyPlan) -> bool:
    """Whether a plan can run without compiling; what lies on disk is loaded."""
    known, compiled = cast(Plan, plan), jit.compiled_functions()
    if known.refused == compiled:
        return False
    try:
        with disk.nothing_compiled():
            known.prepare(False)
        return True
    except NotReady:
        known.refused = jit.compiled_functions()
        return False


def compile(plan: AnyPlan, complete: bool = False) -> None:  # noqa: A001
    """Compile what a plan needs; if `complete`, what it may need later, too."""
    cast(Plan, plan).prepare(complete)


def steps(plan: AnyPlan, threads: int) -> tuple[Entry, ...]:
    """A plan for so many threads that needs no Python, compiled: one step, two, or none."""
    return cast(Plan, plan).steps(threads)
