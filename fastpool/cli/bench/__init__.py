"""``python -m fastpool bench``: fastpool beside other libraries and the limit of a copy."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import fastpool

from . import family, images, measure, overhead, plot, sizes, sweep, tables
from .image_libraries import LIBRARIES
from .peers import CONTENDERS, COPY, FASTPOOL, PEERS, peer_version
from .problems import BACKWARD, VALUES, WINDOW

# What --cases takes besides the cases.
OVERHEAD, KERNEL_SIZES = PARTS = ("overhead", "kernels")
# What can be measured instead of the cases.
SWEEP, SIZES, FAMILY, IMAGES = "sweep", "sizes", "family", "images"
LEGEND = """\
F: maxima and flat int64 indices; W: maxima and window indices; V: maxima alone;
backward: from F; limit: a copy that reads and writes as many bytes."""
FAMILY_LEGEND = """\
V: values; F: values and flat int64 indices; NHWC: V of channels-last data; limit: as many bytes
copied; slices, reshape: NumPy's; local mean: scikit-image's downscale_local_mean."""
IMAGES_LEGEND = """\
k: factor, size of windows, or distance of peaks; limit: as many bytes copied; slices, reshape:
NumPy's."""


def run(
    cases: Sequence[str] = (*measure.CASES, *PARTS),
    rounds: int = measure.ROUNDS,
    threads: int | None = None,
    picture: str | None = None,
    part: str | None = None,
    sample: int = sweep.SAMPLE,
    seed: int = 0,
    results: str | None = None,
    parts: Sequence[str] = (),
) -> int:
    """Measure, print, and draw on request; the exit status.

    `part` is `SWEEP`, `SIZES`, `FAMILY` or `IMAGES` for these alone. What follows is of the sweep,
    and `parts` of the family or the images, all if empty.

    0: done. 1: a contender computes something else than fastpool. 2: it cannot run.
    """
    threads = threads or measure.available_threads()
    if part in (FAMILY, IMAGES) and picture:
        print(f"bench cannot run: --{part} has no picture", file=sys.stderr)
        return 2
    try:
        for name in (FASTPOOL, *(("torch",) if part == SWEEP else ())):
            CONTENDERS[name](measure.TINY, VALUES, threads)
        figure = plot.new_figure(picture) if picture else None
    except (ImportError, NotImplementedError, OSError, ValueError) as error:
        print(f"bench cannot run: {error}", file=sys.stderr)
        return 2
    machine = f"{processor()}, {threads} thread{'s' * (threads > 1)}"
    print(f"fastpool {fastpool.__version__} on {machine}")
    print(versions(libraries(part)))
    few, slow = min(rounds, measure.SLOW_ROUNDS), 1e3 * measure.SLOW
    print(f"float32 unless said, the least of {rounds} interleaved rounds", end="")
    print(f" ({few} of calls of more than {slow:.0f} ms)")
    try:
        if part == SWEEP:
            run_sweep(sample, seed, results, rounds, threads, figure, machine)
        elif part == SIZES:
            run_sizes(rounds, threads, figure, machine)
        elif part == FAMILY:
            run_family(parts or list(family.PARTS), rounds, threads)
        elif part == IMAGES:
            run_images(parts or list(images.PARTS), rounds, threads)
        else:
            run_cases(cases, rounds, threads, figure, machine)
    except measure.Disagreement as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    if figure:
        figure.savefig(picture)
        print(f"\nPicture: {picture}")
    return 0


def run_cases(cases: Sequence[str], rounds: int, threads: int, figure: Any, machine: str) -> None:
    """Measure the cases and parts that are asked for; print their tables, draw their panels."""
    print(LEGEND, end="\n\n")
    results: dict[str, measure.Times] = {}
    for case in (case for case in cases if case in measure.CASES):
        problem, start = measure.CASES[case], time.perf_counter()
        results[case] = measure.measure(problem, measure.FORWARD_PLAN, threads, rounds)
        if problem.floats:
            results[case] |= measure.measure(problem, measure.BACKWARD_PLAN, threads, rounds)
        print(f"{case} {problem}: measured in {time.perf_counter() - start:.0f} s", flush=True)
    if results:
        tables.print_speedups(results)
        tables.print_milliseconds(results)
    if OVERHEAD in cases:
        tables.print_overhead(overhead.measure_overhead(threads, rounds))
    kernels = measure.measure_kernels(threads, rounds) if KERNEL_SIZES in cases else {}
    if kernels:
        tables.print_kernels(kernels)
    if figure:
        bars = {
            f"{tables.LABELS[task]}: {name}": tables.speedups(results, task, (name,))
            for task, names in (measure.FORWARD_PLAN | measure.BACKWARD_PLAN).items()
            for name in names
            if name not in (FASTPOOL, COPY)
        }
        shares = {
            label: tables.speedups(results, task, (COPY,))
            for label, task in {"forward, W": WINDOW, "backward": BACKWARD}.items()
        }
        costs = {
            f"{tables.LABELS[task]}, stride {stride}": {
                kernel: kernels[task, stride, kernel] / kernels[task, stride, measure.REFERENCE]
                for kernel in measure.KERNELS
            }
            for task, stride in dict.fromkeys(key[:2] for key in kernels)
        }
        names = {
            case: "\n".join([case, "x".join(map(str, problem.shape)), problem.window])
            for case, problem in measure.CASES.items()
            if case in results
        }
        plot.draw(figure, names, bars, shares, costs, machine)


def run_sweep(
    sample: int, seed: int, results: str | None, rounds: int, threads: int, figure: Any, title: str
) -> None:
    """Speed beside torch and a copy over windows, widths and sizes, and where it is least."""
    cells = sweep.chosen(sample, seed)
    measured = sweep.measure_cells(cells, threads, rounds, Path(results) if results else None)
    tables.print_sweep(measured, len(sweep.problems()))
    if figure:
        maps = [
            [
                plot.Heat(
                    each.label,
                    each.limit,
                    panel.across,
                    list(panel.rows.values()),
                    list(panel.columns.values()),
                    panel.least(measured, each),
                )
                for panel in sweep.panels()
            ]
            for each in sweep.MEASURES
        ]
        plot.draw_sweep(figure, maps, title)


def run_sizes(rounds: int, threads: int, figure: Any, title: str) -> None:
    """The share of a copy's speed over the size of the input."""
    shares = sizes.measure_sizes(threads, rounds)
    tables.print_sizes(shares)
    if figure:
        plot.draw_sizes(figure, shares, {size: sizes.name_of(size) for size in sizes.SIZES}, title)


def run_family(parts: Sequence[str], rounds: int, threads: int) -> None:
    """Measure parts of the family, one after the other, and print the tables of all."""
    print(FAMILY_LEGEND, end="\n\n")
    results = {}
    for part in parts:
        start = time.perf_counter()
        for problem, tasks in family.PARTS[part].items():
            results[problem] = family.measure_problem(problem, tasks, threads, rounds)
        print(f"{part}: measured in {time.perf_counter() - start:.0f} s", flush=True)
    tables.print_family(results)


def run_images(parts: Sequence[str], rounds: int, threads: int) -> None:
    """Measure parts of the images, one after the other, and print the table of all."""
    print(IMAGES_LEGEND, end="\n\n")
    results = {}
    for part in parts:
        start = time.perf_counter()
        for image in images.PARTS[part]:
            results[image] = images.measure_image(image, threads, rounds)
        print(f"{part}: measured in {time.perf_counter() - start:.0f} s", flush=True)
    tables.print_images(results)


def libraries(part: str | None) -> list[str]:
    """The other libraries that are measured."""
    plan = measure.FORWARD_PLAN | measure.BACKWARD_PLAN
    cases = {name for names in plan.values() for name in names}
    others = {SWEEP: {"torch"}, SIZES: set(), FAMILY: {*family.PEERS}, IMAGES: {*LIBRARIES}}
    return [name for name in PEERS if name in others.get(part or "", cases)]


def processor() -> str:
    """The name of the processor, as the system tells it."""
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def versions(names: Iterable[str]) -> str:
    """The versions of all that is compared, and what is left out because it cannot be imported."""
    present = [f"Python {platform.python_version()}", f"NumPy {np.__version__}"]
    present.append(f"Numba {import_module('numba').__version__}")
    absent = []
    for name in names:
        try:
            present.append(f"{name} {peer_version(name)}")
        except NotImplementedError as reason:
            absent.append(f"\nwithout {name}: {reason}")
    return ", ".join(present) + "".join(absent)
