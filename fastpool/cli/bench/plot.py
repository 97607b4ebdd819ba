"""The pictures of ``python -m fastpool bench``; Matplotlib is imported when one is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

# A library has one colour in all tasks. A task has a style: a grey from 0 to 1, the part of it that
# is mixed into the colour, and a pattern.
COLORS = (
    *("#4477aa", "#cc6677", "#ddaa33", "#228833", "#66ccee", "#aa3377", "#888888"),
    *("#332288", "#bbcc33"),
)
STYLES = ((1, 0.0, ""), (1, 0.5, ""), (1, 0.0, "////"), (0, 0.4, ""))


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


def draw_sweep(
    figure: Any, grid: np.ndarray, axes: Mapping[str, Sequence[int]], title: str
) -> None:
    """One heat map for each value of the first of three `axes`, over the other two."""
    (first, values), (down, rows), (across, columns) = axes.items()
    figure.suptitle(f"Times as fast as torch, flat indices, NCHW: {title}", fontsize=15)
    panels = figure.subplots(len(values), 1)
    # The scale is logarithmic, and white is the speed of torch.
    reach = np.abs(np.log10(grid)).max() + 1e-9
    image = None
    for panel, value, plane in zip(panels, values, grid, strict=True):
        image = panel.imshow(np.log10(plane), "RdBu", vmin=-reach, vmax=reach, aspect="auto")
        panel.set_xticks(range(len(columns)), columns)
        panel.set_yticks(range(len(rows)), rows)
        panel.set(title=f"{first} {value}", xlabel=across, ylabel=down)
        for (row, column), ratio in np.ndenumerate(plane):
            color = "white" if abs(np.log10(ratio)) > 0.6 * reach else "black"
            text = f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.1f}"
            panel.text(column, row, text, ha="center", va="center", color=color, fontsize=13)
    factors = [m * 10.0**e for e in range(-3, 4) for m in (1, 2, 5)]
    factors = [factor for factor in factors if abs(np.log10(factor)) <= reach]
    bar = figure.colorbar(image, ax=panels, ticks=np.log10(factors))
    bar.ax.set_yticklabels([f"{factor:g}x" for factor in factors])


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
    axis.set_xticks(range(len(cases)), list(cases.values()), fontsize=10.5)
    axis.set_xlim(-0.6, len(cases) - 0.4)
