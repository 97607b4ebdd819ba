"""``python -m fastpool bench``: fastpool beside other libraries and the limit of a copy."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

import fastpool

from . import bench_plot
from .bench_measure import (
    BACKWARD_PLAN,
    CASES,
    FORWARD_PLAN,
    KERNEL_SHAPE,
    KERNELS,
    REFERENCE,
    ROUNDS,
    SLOW,
    SLOW_ROUNDS,
    SWEEP,
    SWEEP_SHAPE,
    TINY,
    Disagreement,
    Times,
    available_threads,
    measure,
    measure_kernels,
    measure_overhead,
    measure_sweep,
)
from .peers import (
    BACKWARD,
    CHANNELS_LAST,
    CONTENDERS,
    COPY,
    FASTPOOL,
    FLAT,
    NUMPY,
    PEERS,
    VALUES,
    WINDOW,
    peer_version,
)

# What --cases takes besides.
OVERHEAD, KERNEL_SIZES = PARTS = ("overhead", "kernels")
# What the table of speed-ups tells: on which task, and against the best of whom.
COLUMNS = {
    "F: torch": (FLAT, ("torch",)),
    "F, NHWC: torch": (CHANNELS_LAST, ("torch",)),
    "V: OpenVINO or ONNX Runtime": (VALUES, ("OpenVINO", "ONNX Runtime")),
    "F: NumPy backend": (FLAT, (NUMPY,)),
    "W: limit": (WINDOW, (COPY,)),
    "backward: torch": (BACKWARD, ("torch",)),
    "backward: limit": (BACKWARD, (COPY,)),
}
LABELS = {FLAT: "F", WINDOW: "W", VALUES: "V", CHANNELS_LAST: "F, NHWC", BACKWARD: "backward"}
LEGEND = """\
F: maxima and flat int64 indices; W: maxima and window indices; V: maxima alone;
backward: from F; limit: a copy that reads and writes as many bytes."""


def run(
    cases: Sequence[str] = (*CASES, *PARTS),
    rounds: int = ROUNDS,
    threads: int | None = None,
    plot: str | None = None,
    sweep: bool = False,
) -> int:
    """Measure, print, and draw on request; the exit status.

    0: done. 1: a contender computes something else than fastpool. 2: it cannot run.
    """
    threads = threads or available_threads()
    try:
        for name in (FASTPOOL, *(("torch",) if sweep else ())):
            CONTENDERS[name](TINY, VALUES, threads)
        figure = bench_plot.new_figure(plot) if plot else None
    except (ImportError, NotImplementedError, OSError, ValueError) as error:
        print(f"bench cannot run: {error}", file=sys.stderr)
        return 2
    machine = f"{processor()}, {threads} thread{'s' * (threads > 1)}"
    print(f"fastpool {fastpool.__version__} on {machine}")
    print(versions(["torch"] if sweep else PEERS))
    print(f"float32, the least of {rounds} interleaved rounds", end="")
    print(f" ({min(rounds, SLOW_ROUNDS)} of calls of more than {1e3 * SLOW:.0f} ms)")
    try:
        if sweep:
            run_sweep(rounds, threads, figure, machine)
        else:
            run_cases(cases, rounds, threads, figure, machine)
    except Disagreement as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    if figure:
        figure.savefig(plot)
        print(f"\nPicture: {plot}")
    return 0


def run_cases(cases: Sequence[str], rounds: int, threads: int, figure: Any, machine: str) -> None:
    """The short form: a table or two of each part, and a panel."""
    print(LEGEND, end="\n\n")
    results: dict[str, Times] = {}
    for case in (case for case in cases if case in CASES):
        problem, start = CASES[case], time.perf_counter()
        results[case] = measure(problem, FORWARD_PLAN, threads, rounds)
        results[case] |= measure(problem, BACKWARD_PLAN, threads, rounds)
        print(f"{case} {problem}: measured in {time.perf_counter() - start:.0f} s", flush=True)
    if results:
        print_speedups(results)
        print_milliseconds(results)
    if OVERHEAD in cases:
        print_overhead(measure_overhead(threads, rounds))
    kernels = measure_kernels(threads, rounds) if KERNEL_SIZES in cases else {}
    if kernels:
        print_kernels(kernels)
    if figure:
        bars = {
            f"{LABELS[task]}: {name}": speedups(results, task, (name,))
            for task, names in (FORWARD_PLAN | BACKWARD_PLAN).items()
            for name in names
            if name not in (FASTPOOL, COPY)
        }
        shares = {
            label: speedups(results, task, (COPY,))
            for label, task in {"forward, W": WINDOW, "backward": BACKWARD}.items()
        }
        costs = {
            f"{LABELS[task]}, stride {stride}": {
                kernel: kernels[task, stride, kernel] / kernels[task, stride, REFERENCE]
                for kernel in KERNELS
            }
            for task, stride in dict.fromkeys(key[:2] for key in kernels)
        }
        names = {
            case: "\n".join([case, "x".join(map(str, CASES[case].shape)), CASES[case].window])
            for case in results
        }
        bench_plot.draw(figure, names, bars, shares, costs, machine)


def run_sweep(rounds: int, threads: int, figure: Any, machine: str) -> None:
    """Speed-up against torch over kernel, stride and dilation, and where it is least."""
    results = measure_sweep(threads, rounds)
    grid = np.reshape(
        [times["torch", FLAT] / times[FASTPOOL, FLAT] for times in results.values()],
        [len(values) for values in SWEEP.values()],
    )
    dilations, strides, kernels = SWEEP.values()
    print_table(
        f"F, times as fast as torch, on {SWEEP_SHAPE} with padding (k - 1) // 2",
        ["dilation", "stride", *(f"k{kernel}" for kernel in kernels)],
        [
            [str(dilation), str(stride), *map(multiple, grid[i, j])]
            for i, dilation in enumerate(dilations)
            for j, stride in enumerate(strides)
        ],
    )
    worst = sorted(zip(grid.flat, results.items(), strict=True), key=lambda item: item[0])[:5]
    print_table(
        "The five worst",
        ["", "speed-up", "fastpool, ms", "torch, ms"],
        [
            [str(problem), f"{ratio:.2f}"]
            + [milliseconds(times[name, FLAT]) for name in (FASTPOOL, "torch")]
            for ratio, (problem, times) in worst
        ],
    )
    if figure:
        bench_plot.draw_sweep(figure, grid, SWEEP, f"{SWEEP_SHAPE}, {machine}")


def speedups(results: Mapping[str, Times], task: str, names: Iterable[str]) -> dict[str, float]:
    """By case, how many times as fast as the fastest of `names` fastpool is at `task`."""
    return {
        case: min(others) / times[FASTPOOL, task]
        for case, times in results.items()
        if (others := [times[name, task] for name in names if (name, task) in times])
    }


def print_speedups(results: Mapping[str, Times]) -> None:
    """One row a case; columns that are empty here are left out."""
    columns = {label: speedups(results, *column) for label, column in COLUMNS.items()}
    columns = {label: column for label, column in columns.items() if column}
    print_table(
        "Times as fast as others, and the share of the limit",
        ["case", *columns],
        [
            [f"{case} {CASES[case]}"]
            + [
                (share if "limit" in label else multiple)(column.get(case))
                for label, column in columns.items()
            ]
            for case in results
        ],
    )


def print_milliseconds(results: Mapping[str, Times]) -> None:
    """One row a contender, one column a case."""
    plan = FORWARD_PLAN | BACKWARD_PLAN
    keys = [(name, task) for task, names in plan.items() for name in names]
    print_table(
        "Milliseconds",
        ["", *results],
        [
            [f"{LABELS[task]}: {name}"]
            + [milliseconds(times.get((name, task))) for times in results.values()]
            for name, task in keys
            if any((name, task) in times for times in results.values())
        ],
    )


def print_overhead(seconds: Mapping[str, float]) -> None:
    """One row a contender."""
    print_table(
        f"Overhead: one call on {TINY}, V",
        ["", "microseconds", "of fastpool's"],
        [
            [name, f"{1e6 * each:.2f}", f"{each / seconds[FASTPOOL]:.2f}"]
            for name, each in seconds.items()
        ],
    )


def print_kernels(seconds: Mapping[tuple[str, int, int], float]) -> None:
    """Two rows a task and stride: milliseconds, and the multiple of the reference's."""
    rows = []
    for task, stride in dict.fromkeys(key[:2] for key in seconds):
        cells = [seconds[task, stride, kernel] for kernel in KERNELS]
        reference = seconds[task, stride, REFERENCE]
        label = f"{LABELS[task]}, stride {stride}"
        rows.append([f"{label}, ms", *map(milliseconds, cells)])
        rows.append([f"{label}, of k{REFERENCE}'s", *(share(cell / reference) for cell in cells)])
    title = f"Kernel size: fastpool on {KERNEL_SHAPE} with padding k // 2"
    print_table(title, ["", *(f"k{kernel}" for kernel in KERNELS)], rows)


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """In Markdown, the columns lined up."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    print(f"\n{title}\n")
    for row in (head, ["-" * width for width in widths], *rows):
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        print(f"| {' | '.join(cells)} |")


def multiple(ratio: float | None) -> str:
    """A speed-up with two digits."""
    return "" if ratio is None else f"{ratio:.{0 if ratio >= 9.95 else 1}f}x"


def share(ratio: float | None) -> str:
    """A part of something."""
    return "" if ratio is None else f"{ratio:.2f}"


def milliseconds(seconds: float | None) -> str:
    """With three digits, or all before the point."""
    if seconds is None:
        return ""
    number = 1e3 * seconds
    return f"{number:.{0 if number >= 99.5 else 1 if number >= 9.95 else 2}f}"


def processor() -> str:
    """The name of the processor, as the system tells it."""
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def versions(names: Iterable[str]) -> str:
    """What is compared, and what is not because it cannot be imported."""
    present = [f"Python {platform.python_version()}", f"NumPy {np.__version__}"]
    present.append(f"Numba {import_module('numba').__version__}")
    absent = []
    for name in names:
        try:
            present.append(f"{name} {peer_version(name)}")
        except NotImplementedError as reason:
            absent.append(f"\nwithout {name}: {reason}")
    return ", ".join(present) + "".join(absent)
