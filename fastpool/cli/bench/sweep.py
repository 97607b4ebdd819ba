"""Where fastpool is slow: windows, widths and sizes, a random part of which is measured.

A cell is a problem. All cells in a random order are a list, of which a sample is the beginning, so
that a larger sample goes on where a smaller one ended.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import measure
from .measure import Times
from .peers import COPY, FASTPOOL
from .problems import FLAT, WINDOW, Problem

KERNELS, STRIDES, DILATIONS = range(1, 17), range(1, 5), (1, 2)
WIDTHS = (7, 14, 28, 37, 56, 112, 113, 224, 1000)
# Input cells. 1 MB, with outputs of up to 3, fits the second or third level of today's caches; 64
# MB, with outputs of up to 192, fits none.
SIZES = {"in cache": 2**18, "beyond": 2**24}
PLAN = {FLAT: (FASTPOOL, "torch"), WINDOW: (FASTPOOL, COPY)}
# Calls of fewer seconds are mostly their start, and are left out of what is judged.
SMALL = 50e-6
SAMPLE = 300


class Measure(NamedTuple):
    """What a cell is judged by: fastpool's speed over that of another at the same task.

    Attributes
    ----------
    label : str
        What it is.
    task, other : str
        The task, and beside whom.
    limit : float
        A cell with less is "below".
    """

    label: str
    task: str
    other: str
    limit: float

    def of(self, times: Times) -> float:
        """The ratio of a cell, NaN if the call is small."""
        own = times[FASTPOOL, self.task]
        return times[self.other, self.task] / own if own >= SMALL else math.nan


MEASURES = (
    Measure("F, times as fast as torch", FLAT, "torch", 5),
    Measure("W, share of a copy's speed", WINDOW, COPY, 0.15),
)


class Panel(NamedTuple):
    """A table whose cells are the least ratios of all problems that belong there.

    Attributes
    ----------
    down, across : str
        What the rows and columns are.
    rows, columns : mapping
        Their names, by what `place` returns.
    place : callable
        The row and the column of a problem.
    """

    down: str
    across: str
    rows: Mapping[Hashable, str]
    columns: Mapping[Hashable, str]
    place: Callable[[Problem], tuple[Hashable, Hashable]]

    def least(self, results: Mapping[Problem, Times], measure: Measure) -> np.ndarray:
        """The least ratio for each row and column; NaN where none is measured."""
        rows, columns = list(self.rows), list(self.columns)
        grid = np.full((len(rows), len(columns)), np.nan)
        for problem, times in results.items():
            row, column = self.place(problem)
            where = rows.index(row), columns.index(column)
            grid[where] = np.fmin(grid[where], measure.of(times))
        return grid


def panels() -> tuple[Panel, Panel]:
    """Over windows, and over planes."""
    windows = itertools.product(DILATIONS, STRIDES)
    planes = itertools.product(SIZES, (False, True))
    return (
        Panel(
            "stride and dilation",
            "kernel",
            {(dilation, stride): f"s{stride} d{dilation}" for dilation, stride in windows},
            {kernel: str(kernel) for kernel in KERNELS},
            lambda problem: ((problem.dilation, problem.stride), problem.kernel),
        ),
        Panel(
            "size and padding",
            "width",
            {
                (size, padded): f"{size}, p{' k // 2' if padded else ' 0'}"
                for size, padded in planes
            },
            {width: str(width) for width in WIDTHS},
            lambda problem: ((size_of(problem), problem.padding > 0), problem.shape[3]),
        ),
    )


def size_of(problem: Problem) -> str:
    """The size that the shape of a problem is made for."""
    cells = math.prod(problem.shape)
    return min(SIZES, key=lambda size: abs(math.log(cells / SIZES[size])))


def problems() -> list[Problem]:
    """All cells: windows that fit their planes."""
    found: dict[Problem, None] = {}
    for width, cells, dilation, stride, kernel in itertools.product(
        WIDTHS, SIZES.values(), DILATIONS, STRIDES, KERNELS
    ):
        height = min(width, max(1, cells // width))
        shape = (1, max(1, cells // (height * width)), height, width)
        for padding in (0, kernel // 2):
            problem = Problem(shape, kernel, stride, padding, dilation if kernel > 1 else 1)
            if min(problem.output_shape) > 0:
                found[problem] = None
    return list(found)


def chosen(sample: int, seed: int) -> list[Problem]:
    """The first cells of all of them in a random order."""
    order = problems()
    random.Random(seed).shuffle(order)
    return order[:sample]


def measure_cells(
    cells: Sequence[Problem], threads: int, rounds: int, path: Path | None = None
) -> dict[Problem, Times]:
    """The seconds of all cells, and of those that a file has.

    Parameters
    ----------
    cells : sequence of Problem
        What to measure.
    threads, rounds : int
        See `measure.measure`.
    path : Path, optional
        A file, to which every cell is added when it is measured. What is there is not measured
        again.

    Raises
    ------
    Disagreement
        The results of one differ.
    NotImplementedError
        torch is missing.
    """
    results = read(path) if path and path.exists() else {}
    missing = [cell for cell in cells if cell not in results]
    start = time.perf_counter()
    for number, cell in enumerate(missing, 1):
        results[cell] = measure.measure(cell, PLAN, threads, rounds)
        if path:
            with path.open("a") as lines:
                lines.write(as_line(cell, results[cell]) + "\n")
        if number % 50 == 0 or number == len(missing):
            seconds = time.perf_counter() - start
            print(f"{number} of {len(missing)} cells measured in {seconds:.0f} s", flush=True)
    return results


def as_line(problem: Problem, times: Times) -> str:
    """A cell in JSON."""
    seconds = [[name, task, each] for (name, task), each in times.items()]
    return json.dumps({"problem": [problem.shape, *problem.arguments], "seconds": seconds})


def read(path: Path) -> dict[Problem, Times]:
    """The cells of a file."""
    results = {}
    for line in path.read_text().splitlines():
        cell = json.loads(line)
        shape, *window = cell["problem"]
        seconds = {(name, task): each for name, task, each in cell["seconds"]}
        results[Problem(tuple(shape), *window)] = seconds
    return results
