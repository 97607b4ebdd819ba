"""What lies beyond the edges of an axis, and which windows need to know.

A window that sticks out of the array sees cells beyond the edge. For a maximum these are often
cells that the window holds anyway: then they may be skipped, and nothing is copied.

::

    window of cell 1 (x), 5 taps, "mirror":     c b | a b c d e f
                                                  ^^^^^^x^^^^     b lies in the window

With `low` taps before a window's own cell and `high` taps behind it, cell i of an axis sees the
cells from i - low to i + high. At the low edge, those beyond it are

* "nearest": cell 0, which the window holds, since i - low < 0 <= i;
* "reflect": the cells up to low - i - 1, all in the window if that is at most i + high;
* "mirror": the cells up to low - i, all in the window if that is at most i + high;

and the same at the high edge with `low` and `high` exchanged. Windows longer than the axis are no
exception: beyond so many cells there are no others. So a window that is as long on both sides needs
none of them, nor one that is a cell longer on one side but with "mirror".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Rims = tuple[tuple[int, int], ...]  # outputs from the first number up to the second


class Window(NamedTuple):
    """The windows along one axis."""

    axis: int
    length: int  # cells of the axis
    low: int  # taps before the cell itself
    high: int  # taps behind it
    mode: str  # what lies beyond the edges

    @property
    def size(self) -> int:
        """All taps."""
        return self.low + 1 + self.high

    def bounded(self) -> Window:
        """The same for a maximum, with no more taps on a side than tell anything new."""
        most = 2 * self.length  # the longest period of a mode
        return self._replace(low=min(self.low, most), high=min(self.high, most))

    def extreme_rims(self, fill: bool) -> Rims:
        """The outputs whose maximum is not that of the cells inside; `fill`: if cval may win."""
        surplus = self.low - self.high
        if self.mode == "nearest" or (self.mode == "constant" and not fill):
            return ()
        if self.mode == "reflect" and surplus in (0, 1, -1):
            return ()
        if self.mode == "mirror" and surplus == 0:
            return ()
        # With all that stick out, though fewer would do: which of equal cells comes first, such as
        # zeros of both signs, must not depend on how much is copied.
        return self._rims(self.low, self.high)

    def average_rims(self, fill: bool) -> Rims:
        """The outputs whose average needs cells beyond the edges; `fill`: if cval is not 0."""
        if self.mode == "constant" and not fill:
            return ()
        return self._rims(self.low, self.high)

    def _rims(self, low: int, high: int) -> Rims:
        low, high = max(low, 0), max(high, 0)
        if low + high >= self.length:
            return ((0, self.length),)
        ends = (0, low), (self.length - high, self.length)
        return tuple(end for end in ends if end[0] < end[1])

    def cells(self, first: int, stop: int) -> np.ndarray:
        """Which cell lies at each position from `first` to `stop`, beyond the edges too.

        -1 stands for cval.
        """
        at, length = np.arange(first, stop), self.length
        if self.mode == "constant":
            return np.where((at < 0) | (at >= length), -1, at)
        if self.mode == "nearest":
            return at.clip(0, length - 1)
        if self.mode == "wrap":
            return at % length
        # A period goes there and back: with both ends twice, or with each once.
        twice = self.mode == "reflect"
        period = max(2 * length - 2 * (not twice), 1)
        at %= period
        return np.where(at < length, at, period - twice - at)
