"""The NumPy backend: advanced indexing and whole-array selection, one block at a time.

How one routes a gradient to exactly one cell per window, for many images and channels,
without a Python loop: the forward finds the *tap* of each window's first maximum as an
integer array, taps and window starts add up to positions in the flattened block, and one
indexing operation with them reads all maxima (`select`) or writes all gradients
(`scatter`). Ties are settled by the strict comparison, once, in the forward. Where no index is
asked for, NumPy's own maximum finds the values (`values`).

Arrays are canonical here: (leading axes, spatial axes, channels). Blocks are copied out of
and into them, whatever their strides and byte order are, so that the working memory does not
depend on the size of the input, and most of it stays in the cache (`blocks`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...rules.arrays import Storage
from ...rules.call import Call
from ...rules.splits import Part, split_tiles
from ..protocol import Entry, Service
from ..protocol import Plan as AnyPlan
from . import counting, scatter, select, sums, tiles, values

_PARTS: dict[str, Callable[..., int | None]] = {
    "forward": select.forward,
    "backward": scatter.backward,
    "unpool": scatter.unpool,
}


class Plan:
    """A call, whose arrays may lie anywhere."""

    reason = "backend numpy, block by block"

    def __init__(self, call: Call) -> None:
        self._call, self._part = call, _PARTS[call.part]
        operation = call.operation
        labels = operation.counts and call.index_dtype is None and call.tiled
        if labels or operation.ranks or operation.truth or call.missing is not None:
            self._part = tiles.forward
        elif call.division is not None:
            self._part = sums.forward if call.part == "forward" else sums.backward
        elif operation.counts:
            self._part = counting.forward
        elif call.part == "forward" and call.index_dtype is None:
            self._part = values.forward

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> int | None:
        """Fill the outputs; the position of the first bad index, or None."""
        canonical = self._call.geometry.canonical
        return self._part(self._call, *map(canonical, inputs), *map(canonical, outputs))


class SplitPlan:
    """Tiles whose rows lie along another axis than the last."""

    reason = "backend numpy, block by block, tiles of a row as channels"

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self._parts = [(part, Plan(part.call)) for part in parts]

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> None:
        """Fill the outputs."""
        for part, plan in self._parts:
            plan.run(*part.views(inputs, outputs))


def plan(call: Call, storages: tuple[Storage, ...]) -> AnyPlan:
    """How to answer a call."""
    parts = split_tiles(call, storages)
    return SplitPlan(parts) if parts else Plan(call)


def answers(call: Call) -> bool:
    """NumPy answers every call."""
    return True


def ready(plan: AnyPlan) -> bool:
    """There is nothing to compile."""
    return True


def compile(plan: AnyPlan, complete: bool = False) -> None:  # noqa: A001
    """There is nothing to compile."""


def steps(plan: AnyPlan, threads: int) -> tuple[Entry, ...]:
    """There is no machine code."""
    return ()


def xla_handler(otherwise: int) -> int | None:
    """There is no machine code."""
    return None


def serve(key: int, service: Service) -> None:
    """There is nobody to tell."""


def describe() -> dict[str, str]:
    """NumPy's version stands in every report."""
    return {}
