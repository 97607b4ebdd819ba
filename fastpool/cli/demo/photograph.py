"""A photograph halved four times by mean, maximum and minimum, beside other libraries' times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
from numpy import ndarray

import fastpool

from ..bench.measure import interleaved

LEVELS = 4
SHOWN = slice(11, 427), slice(112, 528)  # 416 x 416 cells: 26 x 26 in the end
SIZE, ROUNDS = 4096, 3  # a plane as high and wide is timed
CREDIT = "photograph: danielbuechele, CC BY 2.0, from scikit-learn"
COLORS = {"numba": "C0", "numpy": "#8fbcdb", "Pillow": "0.6", "scikit-image": "0.6"}

Times: TypeAlias = dict[str, dict[str, float]]  # seconds by function and library

# Each halves an image of uint8, which stays uint8: means are exact, and rounded half to even.
HALVES: dict[str, Callable[..., ndarray]] = {
    "avgpool2d": partial(fastpool.avgpool2d, kernel_size=2, dtype=np.uint8),
    "maxpool2d": partial(fastpool.maxpool2d, kernel_size=2),
    "minpool2d": partial(fastpool.minpool2d, kernel_size=2),
}
REDUCTIONS = {"avgpool2d": np.mean, "maxpool2d": np.max, "minpool2d": np.min}  # scikit-image's


def pyramid(halve: Callable[[Any], Any], image: Any) -> list[Any]:
    """The image at 1/2, 1/4, 1/8, 1/16 of its size, each made of the one before."""
    levels = []
    for _ in range(LEVELS):
        image = halve(image)
        levels.append(image)
    return levels


def tiled(photograph: ndarray, size: int = SIZE) -> ndarray:
    """The photograph's green beside itself, until it has `size` rows and columns."""
    green = photograph[..., 1]
    repeats = [-(-size // cells) for cells in green.shape]
    return np.ascontiguousarray(np.tile(green, repeats)[:size, :size])


def other_libraries(plane: ndarray) -> dict[tuple[str, str], Callable[[], list[Any]]]:
    """The same pyramids by those that are installed: by function and library."""
    calls: dict[tuple[str, str], Callable[[], list[Any]]] = {}
    image = import_module("PIL.Image").fromarray(plane)  # scikit-learn's photographs need it too
    calls["avgpool2d", "Pillow"] = partial(pyramid, lambda x: x.reduce(2), image)
    try:
        reduce = import_module("skimage.measure").block_reduce
    except ImportError:
        return calls
    for name, function in REDUCTIONS.items():
        halve = partial(reduce, block_size=(2, 2), func=function)
        calls[name, "scikit-image"] = partial(pyramid, halve, plane)
    return calls


def measure(plane: ndarray) -> tuple[Times, bool]:
    """How long each library takes, and whether fastpool's backends agree to the bit."""
    backends = [status.name for status in fastpool.available_backends() if status.available]
    calls, agree = other_libraries(plane), True
    for name, halve in HALVES.items():
        for backend in reversed(backends):
            calls[name, backend] = partial(pyramid, partial(halve, backend=backend), plane)
        # These calls compile what is timed below.
        first, *others = ([x.tobytes() for x in calls[name, backend]()] for backend in backends)
        agree = agree and all(levels == first for levels in others)
    times: Times = {name: {} for name in HALVES}
    for (name, library), seconds in interleaved(calls, ROUNDS).items():
        times[name][library] = seconds
    return times, agree


def show(times: Times, agree: bool) -> None:
    """Print the times."""
    libraries = [library for library in COLORS if library in times["avgpool2d"]]
    print(f"{SIZE} x {SIZE} cells of uint8, halved {LEVELS} times by 2 x 2 windows\n")
    print("  milliseconds" + "".join(f"{library:>14}" for library in libraries))
    for name, row in times.items():
        cells = [f"{row[key] * 1e3:.1f}" if key in row else "" for key in libraries]
        print(f"  {name:<12}" + "".join(f"{cell:>14}" for cell in cells))
    verdict = "bit-identical with both backends" if agree else "NOT bit-identical"
    alone = not {"numpy", "numba"} <= times["avgpool2d"].keys()
    print(f"  levels: {'not compared, one backend alone' if alone else verdict}\n")


def draw(figure: Any, photograph: ndarray, times: Times) -> None:
    """The photograph, a row of ever smaller images for each function, and its times."""
    photograph = photograph[SHOWN]
    rows = [["photograph", *[f"{name} {i}" for i in range(LEVELS)], name] for name in HALVES]
    panels = figure.subplot_mosaic(rows, width_ratios=(3.2, *[1] * LEVELS, 1.3))
    panels["photograph"].imshow(photograph)
    panels["photograph"].set(title="{} x {} cells".format(*photograph.shape), xlabel=CREDIT)
    longest = max(max(row.values()) for row in times.values())
    for name, halve in HALVES.items():
        levels = pyramid(partial(halve, layout="NHWC", backend="numpy"), photograph)
        for i, level in enumerate(levels):
            panels[f"{name} {i}"].imshow(level)
            if name == "avgpool2d":
                panels[f"{name} {i}"].set_title("{} x {}".format(*level.shape))
        panels[f"{name} 0"].set_ylabel(name, fontsize="large")
        draw_times(panels[name], times[name], longest)
    for key, panel in panels.items():
        if key not in HALVES:
            panel.set(xticks=(), yticks=())
    panels["avgpool2d"].set_title("milliseconds")
    panels["minpool2d"].set_xlabel(f"for its green, tiled to\n{SIZE} x {SIZE}, all {LEVELS} levels")
    figure.suptitle("A photograph pooled by 2 x 2 cells, again and again", size=14)


def draw_times(panel: Any, row: Mapping[str, float], longest: float) -> None:
    """A bar for each library, from above, with its milliseconds."""
    libraries = [library for library in COLORS if library in row]
    names = {"numba": "fastpool", "numpy": "its NumPy backend"}
    bars = panel.barh(
        range(len(libraries)),
        [row[library] * 1e3 for library in libraries],
        color=[COLORS[library] for library in libraries],
        tick_label=[names.get(library, library) for library in libraries],
    )
    panel.bar_label(bars, fmt="%.1f", padding=3)
    panel.set(xlim=(0, longest * 1.4e3), xticks=(), ylim=(len(COLORS) - 0.5, -0.5))
    panel.tick_params(length=0)
    panel.spines[["top", "right", "bottom"]].set_visible(False)
