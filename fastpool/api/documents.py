"""Docstrings of functions that differ by a member of the family and a number of axes.

A template names what differs in braces: ``{pool}``, ``{sizes}``. What all functions have in common
stands here once; what belongs to one of them stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..rules.call import Function

Documented = TypeVar("Documented", bound=Callable[..., Any])

# By the number of axes: how shapes, entries and positions are written.
_WORDS = {
    1: {
        "axes": "last axis",
        "shape": "W",
        "outputs": "OW",
        "entries": "int or (int,)",
        "sides": "Width",
        "per_axis": "(width,)",
        "pads": "((left, right),)",
        "pad_entries": "int, (int,), ((int, int),)",
        "end": "at the right",
        "flat": "w",
        "tap": "kw",
        "order": "from left to right",
    },
    2: {
        "axes": "last two axes",
        "shape": "H, W",
        "outputs": "OH, OW",
        "entries": "int or (int, int)",
        "sides": "Height and width",
        "per_axis": "(height, width)",
        "pads": "((top, bottom), (left, right))",
        "pad_entries": "int, (int, int), ((int, int), (int, int))",
        "end": "at the bottom and right",
        "flat": "h * W + w",
        "tap": "kh * KW + kw",
        "order": "rows first",
    },
    3: {
        "axes": "last three axes",
        "shape": "D, H, W",
        "outputs": "OD, OH, OW",
        "entries": "int or (int, int, int)",
        "sides": "Depth, height and width",
        "per_axis": "(depth, height, width)",
        "pads": "((front, back), (top, bottom), (left, right))",
        "pad_entries": "int, (int, int, int), three pairs",
        "end": "at the back, bottom and right",
        "flat": "(d * H + h) * W + w",
        "tap": "(kd * KH + kh) * KW + kw",
        "order": "slices first, then rows",
    },
}

# By the name of the operation: what it picks.
_PICKED = {
    "max": {"extreme": "maximum", "Extreme": "Maximum", "extremes": "maxima"},
    "min": {"extreme": "minimum", "Extreme": "Minimum", "extremes": "minima"},
}

_BACKEND = """\
backend : {{"auto", "numpy", "numba"}}, optional
        What computes the result, the same to the bit; by default what `use_backend`,
        `set_default_backend` or the environment variable ``FASTPOOL_BACKEND`` say."""

_WINDOWS = """\
kernel_size : {entries}
        {sides} of the window, in taps.
    stride : {entries}, optional
        Cells between the starts of neighbouring windows; `kernel_size` by default.
    padding : {pad_entries}, "valid" or "same"
        Cells by which windows may reach beyond the input: for all sides, for {per_axis}, or
        {pads}. "valid" is none; "same" makes the
        output ``ceil(size / stride)`` long, the odd cell {end}. There
        is no fill value: a tap outside the input is skipped.
    dilation : {entries}
        Cells between neighbouring taps of a window."""


def document(template: str, function: Function) -> str:
    """A docstring for a function: the template, with its own words."""
    n, name = function.dimensions, function.operation.name
    first, last = function.layouts
    words = {
        **_WORDS[n],
        **_PICKED.get(name, {}),
        "n": n,
        "name": name,
        "pool": f"{name}pool{n}d",
        "unpool": f"maxunpool{n}d",
        "backward": f"{name}pool{n}d_backward",
        "plain": f"{name}pool{n}d",
        "adaptive": f"adaptive_{name}pool{n}d",
        "first": first,
        "last": last,
    }
    words["backend"] = _BACKEND.format()
    words["windows"] = _WINDOWS.format(**words)
    return template.format(**words)


def named(
    function: Function, template: str, examples: str = ""
) -> Callable[[Documented], Documented]:
    """Give a function that is made several times the name and documentation of one of them."""

    def name(made: Documented) -> Documented:
        made.__name__ = made.__qualname__ = function.name
        made.__doc__ = document(template, function) + examples
        return made

    return name
