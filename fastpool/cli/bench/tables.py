"""The tables that ``python -m fastpool bench`` prints."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from . import family, measure, sizes, sweep
from .image_libraries import LIBRARIES
from .image_problems import Image
from .measure import Times
from .peers import COPY, FASTPOOL, NUMPY, SLICES
from .problems import BACKWARD, CHANNELS_LAST, FLAT, VALUES, WINDOW, Problem

# The columns of the table of speed-ups: the task, and the contenders of which the best counts.
COLUMNS = {
    "F: torch": (FLAT, ("torch",)),
    "F, NHWC: torch": (CHANNELS_LAST, ("torch",)),
    "V: OpenVINO or ONNX Runtime": (VALUES, ("OpenVINO", "ONNX Runtime")),
    "V: OpenCV": (VALUES, ("OpenCV",)),
    "V: slices": (VALUES, (SLICES,)),
    "F: NumPy backend": (FLAT, (NUMPY,)),
    "W: limit": (WINDOW, (COPY,)),
    "backward: torch": (BACKWARD, ("torch",)),
    "backward: limit": (BACKWARD, (COPY,)),
}
BESIDE = "Times as fast as others, and the share of the limit"
# Of the worst cells, so many are named.
WORST = 10
LABELS = {FLAT: "F", WINDOW: "W", VALUES: "V", CHANNELS_LAST: "F, NHWC", BACKWARD: "backward"}


def speedups(results: Mapping[str, Times], task: str, names: Iterable[str]) -> dict[str, float]:
    """By case, how many times as fast as the fastest of `names` fastpool is at `task`."""
    return {
        case: min(others) / times[FASTPOOL, task]
        for case, times in results.items()
        if (others := [times[name, task] for name in names if (name, task) in times])
    }


def print_speedups(results: Mapping[str, Times]) -> None:
    """One row a case; a column without any number is left out."""
    columns = {label: speedups(results, *column) for label, column in COLUMNS.items()}
    columns = {label: column for label, column in columns.items() if column}
    print_table(
        BESIDE,
        ["case", *columns],
        [
            [f"{case} {measure.CASES[case]}"]
            + [
                (share if "limit" in label else multiple)(column.get(case))
                for label, column in columns.items()
            ]
            for case in results
        ],
    )


def print_milliseconds(results: Mapping[str, Times]) -> None:
    """One row a contender, one column a case."""
    plan = measure.FORWARD_PLAN | measure.BACKWARD_PLAN
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


def print_overhead(seconds: Mapping[tuple[str, str], float]) -> None:
    """One row a task and contender."""
    print_table(
        f"Overhead: one call on {measure.TINY}",
        ["", "microseconds", "of fastpool's"],
        [
            [f"{what}: {name}", f"{1e6 * each:.2f}", f"{each / seconds[what, FASTPOOL]:.2f}"]
            for (what, name), each in seconds.items()
        ],
    )


def print_kernels(seconds: Mapping[tuple[str, int, int], float]) -> None:
    """Two rows a task and stride: the milliseconds, and the ratio to the reference kernel's."""
    rows = []
    for task, stride in dict.fromkeys(key[:2] for key in seconds):
        cells = [seconds[task, stride, kernel] for kernel in measure.KERNELS]
        reference = seconds[task, stride, measure.REFERENCE]
        label = f"{LABELS[task]}, stride {stride}"
        rows.append([f"{label}, ms", *map(milliseconds, cells)])
        rows.append(
            [f"{label}, of k{measure.REFERENCE}'s", *(share(cell / reference) for cell in cells)]
        )
    title = f"Kernel size: fastpool on {measure.KERNEL_SHAPE} with padding k // 2"
    print_table(title, ["", *(f"k{kernel}" for kernel in measure.KERNELS)], rows)


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown, with aligned columns."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    print(f"\n{title}\n")
    for row in (head, ["-" * width for width in widths], *rows):
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        print(f"| {' | '.join(cells)} |")


def multiple(ratio: float | None) -> str:
    """A speed-up, with two digits."""
    return "" if ratio is None else f"{ratio:.{0 if ratio >= 9.95 else 1}f}x"


def share(ratio: float | None) -> str:
    """A ratio, with two digits after the point."""
    return "" if ratio is None else f"{ratio:.2f}"


def milliseconds(seconds: float | None) -> str:
    """Milliseconds, with three digits, or all that stand before the point."""
    if seconds is None:
        return ""
    number = 1e3 * seconds
    return f"{number:.{0 if number >= 99.5 else 1 if number >= 9.95 else 2}f}"


def print_sweep(results: Mapping[Problem, Times], whole: int) -> None:
    """How many cells are below a limit, the least ratios by window and plane, and the worst ten."""
    print(f"\n{len(results)} of {whole} cells; calls below {1e6 * sweep.SMALL:.0f} us are left out")
    rows = []
    for each in sweep.MEASURES:
        ratios = np.array([each.of(times) for times in results.values()])
        ratios = ratios[~np.isnan(ratios)]
        parts = np.quantile(ratios, (0, 0.1, 0.5)) if len(ratios) else ()
        below = (ratios < each.limit).sum()
        rows.append(
            [each.label, str(len(ratios)), f"{below} below {each.limit:g}", *map(share, parts)]
            + [""] * (3 - len(parts))
        )
    print_table("Cells", ["", "judged", "", "least", "10 %", "median"], rows)
    for each, panel in itertools.product(sweep.MEASURES, sweep.panels()):
        grid = panel.least(results, each)
        print_table(
            f"{each.label}: the least by {panel.down} and {panel.across}",
            ["", *panel.columns.values()],
            [
                [name, *map(_present, line)]
                for name, line in zip(panel.rows.values(), grid, strict=True)
            ],
        )
    for each in sweep.MEASURES:
        judged = [item for item in results.items() if not np.isnan(each.of(item[1]))]
        worst = sorted(judged, key=lambda item: each.of(item[1]))[:WORST]
        print_table(
            f"The worst: {each.label}",
            ["", "", "fastpool, ms", f"{each.other}, ms"],
            [
                [str(problem), _present(each.of(times))]
                + [milliseconds(times[name, each.task]) for name in (FASTPOOL, each.other)]
                for problem, times in worst
            ],
        )


def _present(ratio: float) -> str:
    """A ratio, or nothing for NaN."""
    return "" if np.isnan(ratio) else f"{ratio:.3g}"


def print_sizes(shares: Mapping[str, Mapping[int, float]]) -> None:
    """One row a size, one column a series."""
    print_table(
        f"Share of a copy's speed, on planes of {sizes.PLANE} x {sizes.PLANE}",
        ["input", *shares],
        [
            [sizes.name_of(size), *(share(line[size]) for line in shares.values())]
            for size in sizes.SIZES
        ],
    )


def print_family(results: Mapping[Problem, Times]) -> None:
    """One row a problem and task; the NumPy backend again in a table of its own."""
    labels = LABELS | {CHANNELS_LAST: "NHWC"}
    rows = [
        (f"{problem.function} {problem.shape} {problem.window}, {labels[task]}", task, times)
        for problem, times in results.items()
        for task in dict.fromkeys(task for _, task in times)
    ]
    seconds = {
        label: {name: each for (name, other), each in times.items() if other == task}
        for label, task, times in rows
    }
    print_ratios(BESIDE, seconds, FASTPOOL, (COPY, NUMPY, *family.PEERS))
    title = "The NumPy backend: times as fast as others on one thread"
    print_ratios(title, seconds, NUMPY, family.ARRAYS)


def print_images(results: Mapping[Image, Mapping[str, float]]) -> None:
    """One row a call."""
    rows = {str(image): times for image, times in results.items()}
    print_ratios(BESIDE, rows, FASTPOOL, (COPY, NUMPY, *LIBRARIES))


def print_ratios(
    title: str, rows: Mapping[str, Mapping[str, float]], own: str, others: Iterable[str]
) -> None:
    """The milliseconds of `own`, and how many times those of `others` are; none without any."""
    ratios = {
        label: {name: times[name] / times[own] for name in others if {name, own} <= times.keys()}
        for label, times in rows.items()
    }
    found = [name for name in others if any(name in each for each in ratios.values())]
    if not found:
        return
    print_table(
        title,
        ["", "ms", *("limit" if name == COPY else name for name in found)],
        [
            [label, milliseconds(times[own])]
            + [(share if name == COPY else multiple)(ratios[label].get(name)) for name in found]
            for label, times in rows.items()
            if ratios[label]
        ],
    )
