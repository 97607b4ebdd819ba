"""What ``python -m fastpool bench`` measures, and how.

The speed of a machine changes from minute to minute, but the ratio of two times taken side by side
hardly does. So all that is compared is measured in rounds, in each of which every call has one
turn, and the least time of each call counts.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias, TypeVar

import numpy as np

from .peers import CONTENDERS, COPY, FASTPOOL, NUMPY, SLICES
from .problems import BACKWARD, CHANNELS_LAST, FLAT, VALUES, WINDOW, Contender, Problem

Key = TypeVar("Key", bound=Hashable)
# Seconds of one call, by contender and task.
Times: TypeAlias = dict[tuple[str, str], float]

ROUNDS = 9
# A call that takes longer than this many seconds has a turn in this many rounds only.
SLOW, SLOW_ROUNDS = 0.05, 3
# Seconds of one turn. After a call, the threads of ONNX Runtime keep a CPU busy for up to 30 ms and
# those of OpenMP for 5, which slows down whoever is next: another call in every round.
TURN = 0.02

CASES = {
    "A": Problem((8, 64, 224, 224), 2, 2),
    "B": Problem((16, 64, 112, 112), 3, 2, 1),
    "C": Problem((8, 192, 28, 28), 3, 1, 1),
    "D": Problem((1, 1, 8192, 8192), 2, 2),
    "E": Problem((1, 512, 20, 20), 13, 1, 6),
    "F": Problem((1, 3, 512, 512), 31, 1, 15),
    "G": Problem((32, 512, 7, 7), 2, 2),
    "H": Problem((32, 512, 7, 7), 3, 1, 1),
    "I": Problem((32, 512, 14, 14), 2, 2),
    "J": Problem((1, 1, 4096, 4096), 2, 2),
    "K": Problem((1, 1, 4096, 4096), 2, 2, dtype="uint8"),
}
FORWARD_PLAN = {
    FLAT: (FASTPOOL, NUMPY, "torch", "ONNX Runtime"),
    WINDOW: (FASTPOOL, COPY),
    VALUES: (
        *(FASTPOOL, NUMPY, "ONNX Runtime", "OpenVINO", "JAX"),
        *("scikit-image", "SciPy", "OpenCV", SLICES),
    ),
    CHANNELS_LAST: (FASTPOOL, "torch"),
}
# Of floats alone.
BACKWARD_PLAN = {BACKWARD: (FASTPOOL, NUMPY, COPY, "torch", "JAX")}

# A call on these few cells is nothing but overhead. It is so brief that the clock is read only once
# for so many calls.
TINY, TINY_CALLS = Problem((1, 1, 4, 4), 2, 2), 1000
KERNEL_SHAPE = (1, 3, 512, 512)
KERNELS, KERNEL_STRIDES, REFERENCE = (3, 5, 7, 13, 31, 101), (1, 2), 5


class Disagreement(Exception):
    """The result of a contender is wrong, so that its time says nothing."""


def interleaved(
    calls: Mapping[Key, Callable[[], object]], rounds: int = ROUNDS, number: int = 1
) -> dict[Key, float]:
    """Measure calls side by side.

    Parameters
    ----------
    calls : mapping of callables
        What to measure: warm, without arguments.
    rounds : int
        In each round every call has a turn of `TURN` seconds, and one call at least, in an
        order that changes from round to round; slow ones only in the first few rounds.
    number : int
        How often to call between two looks at the clock: many times what takes microseconds.

    Returns
    -------
    dict
        The least seconds that one call took, by the keys of `calls`.
    """
    least, order, shuffle = dict.fromkeys(calls, np.inf), list(calls), random.Random(0).shuffle
    for turn in range(rounds):
        shuffle(order)
        for key in order:
            if turn < SLOW_ROUNDS or least[key] < SLOW:
                least[key] = min(least[key], _turn(calls[key], number))
    return least


def _turn(call: Callable[[], object], number: int) -> float:
    least, end = np.inf, time.perf_counter() + TURN
    while True:
        start = time.perf_counter()
        for _ in range(number):
            call()
        now = time.perf_counter()
        least = min(least, (now - start) / number)
        if now >= end:
            return least


def prepare(
    problem: Problem, plan: Mapping[str, Iterable[str]], threads: int
) -> dict[tuple[str, str], Contender]:
    """The contenders that can be used here, after a comparison of their results.

    Parameters
    ----------
    problem : Problem
        The pooling.
    plan : mapping of str to names
        For each task, the names of the contenders.
    threads : int
        How many each contender may use.

    Raises
    ------
    Disagreement
        The result of one is not that of the NumPy backend.
    """
    ready = {}
    problem = replace(problem)  # a copy, so that its data are freed with the contenders
    for task, names in plan.items():
        if task == CHANNELS_LAST and problem.shape[1] == 1:
            continue  # with one channel, the memory is that of NCHW
        makers = {name: partial(CONTENDERS[name], problem, task, threads) for name in names}
        for name, contender in agreeing(makers, problem.expected(task), f"{problem}, {task}"):
            ready[name, task] = contender
    return ready


def agreeing(
    makers: Mapping[str, Callable[[], Contender]], expected: Sequence[np.ndarray], what: str
) -> Iterator[tuple[str, Contender]]:
    """The contenders that can be used here, all of which compute what is expected.

    Raises
    ------
    Disagreement
        One of them does not; it says of `what`.
    """
    for name, make in makers.items():
        try:
            contender = make()
        except NotImplementedError:
            continue
        if name != COPY and not same(contender.outputs, expected, contender.tolerance):
            raise Disagreement(f"{name} and the NumPy backend disagree: {what}")
        yield name, contender


def same(
    outputs: Sequence[np.ndarray], expected: Sequence[np.ndarray], tolerance: float = 0
) -> bool:
    """Whether the arrays are equal, or as near as that, one by one; NaN is equal to NaN."""
    if [output.shape for output in outputs] != [right.shape for right in expected]:
        return False
    if not tolerance:
        return all(map(partial(np.array_equal, equal_nan=True), outputs, expected))
    # Part by part, since the arrays may be large, and bytes would wrap around.
    return all(
        np.allclose(
            part,
            right.astype(np.float64),
            0 if right.dtype.kind in "iu" else tolerance,
            tolerance,
            equal_nan=True,
        )
        for pair in zip(outputs, expected, strict=True)
        for part, right in zip(*pair, strict=True)
    )


def measure(
    problem: Problem, plan: Mapping[str, Iterable[str]], threads: int, rounds: int = ROUNDS
) -> Times:
    """The seconds of one call of each contender that can be used here; see `prepare`."""
    ready = prepare(problem, plan, threads)
    return interleaved({key: contender.call for key, contender in ready.items()}, rounds)


def measure_kernels(threads: int, rounds: int) -> dict[tuple[str, int, int], float]:
    """The seconds of fastpool by task, stride and kernel size.

    The padding makes the output of stride 1 as large as the input, if the kernel is odd.
    """
    calls = {}
    for stride, kernel in itertools.product(KERNEL_STRIDES, KERNELS):
        problem = Problem(KERNEL_SHAPE, kernel, stride, kernel // 2)
        plan = dict.fromkeys((FLAT, WINDOW, VALUES), (FASTPOOL,))
        for (_, task), contender in prepare(problem, plan, threads).items():
            calls[task, stride, kernel] = contender.call
    return interleaved(calls, rounds)


def available_threads() -> int:
    """The CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
