"""One spatial axis of a pooling: its cells, its windows, and which of them meet."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from .empty_windows import first_empty_window


@dataclass(frozen=True)
class Axis:
    """The windows along one spatial axis.

    Window o has its taps at the cells ``o * stride - pad_low + k * dilation``, for k from 0 up to
    `kernel`; those outside ``[0, size)`` are skipped. Averages count some of these, of the
    `pad_high` positions after the last cell.
    """

    size: int
    output: int
    kernel: int
    stride: int
    dilation: int
    pad_low: int
    pad_high: int

    regular = True  # whether all windows have the same distance, and as many taps

    @property
    def span(self) -> int:
        """Cells from the first tap of a window to its last, both included."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def overlapping(self) -> bool:
        """Whether a cell can belong to two windows."""
        return self.output > 1 and self.span > self.stride

    @property
    def tiled(self) -> bool:
        """Whether windows stand side by side without padding; the last one may be cut."""
        return (
            self.regular
            and self.kernel == self.stride
            and self.dilation == 1
            and self.pad_low == self.pad_high == 0
        )

    @property
    def empty_window(self) -> int | None:
        """The first window without a cell, which an unpooling may have, or None."""
        return first_empty_window(
            self.size, self.output, self.kernel, self.stride, self.dilation, self.pad_low
        )

    @property
    def starts(self) -> np.ndarray:
        """The position of every window's first tap, negative in the padding; int64."""
        starts: np.ndarray = np.arange(self.output, dtype=np.int64) * self.stride - self.pad_low
        return starts

    @property
    def first_taps(self) -> np.ndarray:
        """The number of every window's first tap inside the input; int64."""
        first: np.ndarray = np.maximum(-(self.starts // self.dilation), 0)
        return first

    @property
    def tap_counts(self) -> np.ndarray:
        """How many taps of every window lie inside the input, at least 1; int64."""
        stops = np.minimum(-((self.starts - self.size) // self.dilation), self.kernel)
        counts: np.ndarray = stops - self.first_taps
        return counts

    def all_count(self, padded: bool) -> bool:
        """Whether an average counts all taps of every window."""
        end = (self.output - 1) * self.stride - self.pad_low + self.span
        if padded:
            return self.regular and end <= self.size + self.pad_high
        return self.regular and self.pad_low == 0 and end <= self.size

    def counted_taps(self, padded: bool) -> np.ndarray:
        """How many taps of every window an average counts; int64.

        Those inside the input, or with `padded` those inside the input with its padding: never what
        ``ceil_mode`` adds beyond.
        """
        if not padded:
            return self.tap_counts
        stops = -((self.starts - self.size - self.pad_high) // self.dilation)
        counts: np.ndarray = np.minimum(stops, self.kernel)
        return counts

    def start(self, window: int) -> int:
        """The position of a window's first tap, negative in the padding."""
        return window * self.stride - self.pad_low

    def part(self, first: int, stop: int) -> tuple[int, int, Axis]:
        """The windows from `first` up to `stop`, with the cells that they reach alone.

        Returns
        -------
        low, high : int
            Those cells are the ones from `low` up to `high`.
        axis : Axis
            The same windows on these cells.
        """
        start = self.start(first)
        low = max(start, 0)
        high = min(self.start(stop - 1) + self.span, self.size)
        return (
            low,
            high,
            replace(
                self,
                size=high - low,
                output=stop - first,
                pad_low=low - start,
                pad_high=self.size + self.pad_high - high,
            ),
        )

    def reaching(self, low: int, high: int) -> tuple[int, int]:
        """The first window that reaches cells from `low` up to `high`, and the one after the last.

        Windows beyond the input, which an unpooling may have, belong to its first and its last
        cells.
        """
        first = max(0, -(-(low + self.pad_low - self.span + 1) // self.stride)) if low else 0
        stop = min((high - 1 + self.pad_low) // self.stride + 1, self.output)
        return first, self.output if high == self.size else max(first, stop)

    def starting(self, end: int) -> int:
        """How many windows start before cell `end`."""
        return min(-(-(end + self.pad_low) // self.stride), self.output)


@dataclass(frozen=True)
class AdaptiveAxis(Axis):
    """Windows that share an axis as evenly as cells can be shared, some with a cell more.

    Of all `windows` on all `cells`, window o has the cells from ``floor(o * cells / windows)`` up
    to ``ceil((o + 1) * cells / windows)``. Those of this axis begin at `first_window`, and its
    cells at `first_cell`. `kernel` is the largest number of cells, and `stride` about that of a
    window.
    """

    cells: int
    windows: int
    first_cell: int
    first_window: int

    regular = False

    @property
    def overlapping(self) -> bool:
        return self.output > 1

    @property
    def empty_window(self) -> None:
        return None

    @property
    def starts(self) -> np.ndarray:
        return shares(self.first_window, self.output, self.cells, self.windows) - self.first_cell

    @property
    def first_taps(self) -> np.ndarray:
        return np.zeros(self.output, np.int64)

    @property
    def tap_counts(self) -> np.ndarray:
        ends = _ends(self.first_window, self.output, self.cells, self.windows)
        counts: np.ndarray = ends - self.first_cell - self.starts
        return counts

    def counted_taps(self, padded: bool) -> np.ndarray:
        return self.tap_counts

    def start(self, window: int) -> int:
        return (self.first_window + window) * self.cells // self.windows - self.first_cell

    def part(self, first: int, stop: int) -> tuple[int, int, Axis]:
        low, last = self.start(first), self.first_window + stop - 1
        high = int(_ends(last, 1, self.cells, self.windows)[0]) - self.first_cell
        return (
            low,
            high,
            replace(
                self,
                size=high - low,
                output=stop - first,
                first_cell=self.first_cell + low,
                first_window=self.first_window + first,
            ),
        )

    def reaching(self, low: int, high: int) -> tuple[int, int]:
        first = (self.first_cell + low) * self.windows // self.cells - self.first_window
        return max(first, 0), self.starting(high)

    def starting(self, end: int) -> int:
        before = -(-(self.first_cell + end) * self.windows // self.cells)
        return min(before - self.first_window, self.output)

    @property
    def cell_windows(self) -> tuple[np.ndarray, np.ndarray]:
        """The first window that has each cell, and how many have it.

        Cells share the windows as windows share the cells.
        """
        firsts = shares(self.first_cell, self.size, self.windows, self.cells)
        ends = _ends(self.first_cell, self.size, self.windows, self.cells)
        return firsts - self.first_window, ends - firsts


def adaptive(size: int, output: int) -> Axis:
    """So many windows on so many cells: a plain axis, if the one number divides the other."""
    if output == 0 or size % output == 0:
        share = size // output if output else 1
        return Axis(size, output, share, share, 1, 0, 0)
    share, rest = divmod(size, output)
    # A window has two cells beyond its share if it begins and ends within cells.
    kernel = share + (2 if rest > math.gcd(rest, output) else 1)
    return AdaptiveAxis(size, output, kernel, share + 1, 1, 0, 0, size, output, 0, 0)


def shares(first: int, count: int, total: int, parts: int) -> np.ndarray:
    """``floor(i * total / parts)`` for i from `first` on; int64, and exact."""
    whole, rest = divmod(total, parts)
    numbers = np.arange(first, first + count, dtype=np.int64)
    if parts < 2**31:
        found: np.ndarray = numbers * whole + numbers * rest // parts
        return found
    more = [number * rest // parts for number in range(first, first + count)]
    return numbers * whole + np.array(more, np.int64)


def _ends(first: int, count: int, total: int, parts: int) -> np.ndarray:
    """``ceil((i + 1) * total / parts)``."""
    return -shares(-first - count, count, total, parts)[::-1]


# What stands for an axis that a pooling of fewer axes lacks.
SINGLE = Axis(size=1, output=1, kernel=1, stride=1, dilation=1, pad_low=0, pad_high=0)
