"""The pictures of ``python -m fastpool bench``; Matplotlib is imported when one is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

# A library has one colour in all tasks. A task has a style: a grey from 0 to 1, the part of it that
# is mixed into the colour, and a pattern.
COLORS = (
    *("#4477aa", "#cc6677", "#ddaa33", "#228833", "#66ccee", "#aa3377", "#888888"),
    *("#332288", "#bbcc33"),
)
STYLES = ((1, 0.0, ""), (1, 0.5, ""), (1, 0.0, "////"), (0, 0.4, ""))


class Heat(NamedTuple):
    """A heat map: ratios by rows and columns, NaN where there is none; see `draw_sweep`."""

    label: str
    limit: float
    across: str
    rows: Sequence[str]
    columns: Sequence[str]
    grid: np.ndarray


def new_figure(path: str) -> Any:
    """An empty figure, which is saved at once: a bad path is known before the measurement."""
    figure = import_module("matplotlib.figure").Figure((14, 9), dpi=100, layout="constrained")
    figure.savefig(path)
    return figure


def draw(
    figure: Any,
    cases: Mapping[str, str],
    speedups: Mapping[str, Mapping[str, float]],
    shares: Mapping[str, Mapping[str, float]],
    costs: Mapping[str, Mapping[int, float]],
    machine: str,
) -> None:
    """Three panels: speed-ups by case, cost by kernel size, share of the limit by case.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Where to draw.
    cases : mapping
        The name of each case on the axis.
    speedups, shares : mapping of mappings
        By series and case; a series is called "task: library".
    costs : mapping of mappings
        By series and kernel size.
    machine : str
        For the title.
    """
    figure.suptitle(f"fastpool on {machine}", fontsize=15)
    rows = [["speedups"] * 2, ["costs" if costs else "shares", "shares" if cases else "costs"]]
    axes = figure.subplot_mosaic(rows[not cases :], height_ratios=(5, 4)[not cases :])
    if cases:
        above, right = axes["speedups"], axes["shares"]
        _bars(above, cases, speedups, 1)
        above.set_yscale("log")
        above.yaxis.set_major_formatter("{x:g}x")
        low, high = above.get_ylim()
        above.set_ylim(low, high * (high / low) ** 0.3)  # room for the legend
        above.set_title(
            "How many times as fast as others, for the same result"
            " (with F: flat indices, W: window indices, V: values alone)"
        )
        _bars(right, {case: case for case in cases}, shares, 0)
        right.set_ylim(top=1.25 * max(1, right.get_ylim()[1]))
        right.set_title("Speed over that of a copy that reads and writes as many bytes")
        for each in (above, right):
            each.axhline(1, color="black", linewidth=1)
    if costs:
        left = axes["costs"]
        for number, (series, line) in enumerate(costs.items()):
            style = {"color": COLORS[number % 3], "linestyle": "-" if number < 3 else "--"}
            left.plot(list(line), list(line.values()), marker="o", label=series, **style)
        kernels = list(next(iter(costs.values())))
        left.set_xscale("log")
        left.set_xticks(kernels, [f"{kernel}x{kernel}" for kernel in kernels], fontsize=11)
        left.set_xticks([], minor=True)
        left.set_ylim(bottom=0)
        left.set_title("Time over kernel size, that of 5x5 being 1")
    for name, each in axes.items():
        each.grid(axis="y", alpha=0.3)
        each.set_axisbelow(True)
        if each.get_legend_handles_labels()[0]:
            place = "upper left" if name == "costs" else "upper center"
            each.legend(ncols=6 if name == "speedups" else 2, fontsize=10, loc=place)


def draw_sweep(figure: Any, maps: Sequence[Sequence[Heat]], title: str) -> None:
    """A heat map for each element: a column for what is judged, one below the other."""
    figure.suptitle(f"The least of all cells measured: {title}", fontsize=15)
    heights = [len(heat.rows) for heat in maps[0]]
    panels = figure.subplots(len(heights), len(maps), squeeze=False, height_ratios=heights)
    for column, heats in zip(panels.T, maps, strict=True):
        # The scale is logarithmic, and white is the limit.
        parts = [np.log10(heat.grid / heat.limit) for heat in heats]
        present = np.concatenate([part[~np.isnan(part)] for part in parts])
        reach = np.abs(present).max(initial=0) + 1e-9
        for panel, heat, part in zip(column, heats, parts, strict=True):
            panel.imshow(part, "RdBu", vmin=-reach, vmax=reach, aspect="auto")
            panel.set_xticks(range(len(heat.columns)), heat.columns)
            panel.set_yticks(range(len(heat.rows)), heat.rows)
            panel.set_xlabel(heat.across)
            for (row, place), ratio in np.ndenumerate(heat.grid):
                if not np.isnan(ratio):
                    color = "white" if abs(part[row, place]) > 0.6 * reach else "black"
                    text = f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.{1 + (ratio < 1)}f}"
                    text = text.removeprefix("0")
                    style = {"ha": "center", "va": "center", "color": color, "fontsize": 10}
                    panel.text(place, row, text, **style)
        column[0].set_title(f"{heats[0].label}; white is {heats[0].limit:g}, red is less")


def draw_sizes(
    figure: Any, shares: Mapping[str, Mapping[int, float]], names: Mapping[int, str], title: str
) -> None:
    """Lines over the size of the input; `names` are those of the ticks."""
    figure.suptitle(f"Speed over that of a copy that reads and writes as many bytes: {title}")
    axis = figure.subplots()
    for color, (series, line) in zip(COLORS, shares.items(), strict=False):
        axis.plot(list(line), list(line.values()), marker="o", color=color, label=series)
    axis.axhline(1, color="black", linewidth=1)
    axis.set_xscale("log", base=2)
    axis.set_xticks(list(names), list(names.values()))
    axis.set_xticks([], minor=True)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("bytes of the input")
    axis.grid(alpha=0.3)
    axis.set_axisbelow(True)
    axis.legend()


def _bars(
    axis: Any,
    cases: Mapping[str, str],
    series: Mapping[str, Mapping[str, float]],
    bottom: float,
) -> None:
    """Draw a group of bars for each case; a series that a case lacks leaves no gap."""
    to_rgb = import_module("matplotlib.colors").to_rgb
    names = list(dict.fromkeys(label.partition(": ")[2] for label in series))
    tasks = list(dict.fromkeys(label.partition(": ")[0] for label in series))
    width = 0.9 / max(1, max(sum(case in line for line in series.values()) for case in cases))
    for label, line in series.items():
        task, _, name = label.partition(": ")
        places, heights = [], []
        for position, case in enumerate(cases):
            present = [other for other, values in series.items() if case in values]
            if label in present:
                offset = present.index(label) - (len(present) - 1) / 2
                places.append(position + width * offset)
                heights.append(line[case] - bottom)
        if places:
            grey, part, hatch = STYLES[tasks.index(task) % len(STYLES)]
            color = to_rgb(COLORS[names.index(name) % len(COLORS)])
            axis.bar(
                places,
                heights,
                width,
                bottom,
                color=[(1 - part) * channel + part * grey for channel in color],
                hatch=hatch,
                edgecolor="white",
                linewidth=0.3,
                label=label,
            )
    axis.set_xticks(range(len(cases)), list(cases.values()), fontsize=8.5)
    axis.set_xlim(-0.6, len(cases) - 0.4)
