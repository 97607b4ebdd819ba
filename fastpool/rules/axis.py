"""One spatial axis of a pooling: its cells, its windows, and which of them meet."""

from __future__ import annotations

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

    @property
    def span(self) -> int:
        """Cells from the first tap of a window to its last, both included."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def overlapping(self) -> bool:
        """Whether a cell can belong to two windows."""
        return self.output > 1 and self.span > self.stride

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

    def part(self, first: int, stop: int) -> tuple[int, int, Axis]:
        """The windows from `first` up to `stop`, with the cells that they reach alone.

        Returns
        -------
        low, high : int
            Those cells are the ones from `low` up to `high`.
        axis : Axis
            The same windows on these cells.
        """
        start = first * self.stride - self.pad_low
        low = max(start, 0)
        high = min((stop - 1) * self.stride - self.pad_low + self.span, self.size)
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


# What stands for an axis that a pooling of fewer axes lacks.
SINGLE = Axis(size=1, output=1, kernel=1, stride=1, dilation=1, pad_low=0, pad_high=0)
