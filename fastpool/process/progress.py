"""A bar of text that says how far long work has come."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_WIDTH = 30
_PAUSE = 0.1  # seconds between two drawings


class Bar:
    """Draws itself on a terminal, and does nothing anywhere else.

    Parameters
    ----------
    label : str
        What is being done.
    stream : file, optional
        Standard error by default.
    """

    def __init__(self, label: str, stream: TextIO | None = None) -> None:
        self._label = label
        self._stream = sys.stderr if stream is None else stream
        self._shown = self._stream.isatty()
        self._begun = time.monotonic()
        self._drawn = 0.0

    def __call__(self, done: int, total: int) -> None:
        """So much is done, of so much."""
        now = time.monotonic()
        if not self._shown or (done < total and now < self._drawn + _PAUSE):
            return
        self._drawn = now
        share = done / total if total else 1.0
        left = (now - self._begun) * (1 / share - 1) if share else 0.0
        bar = "#" * int(share * _WIDTH)
        text = f"{self._label} [{bar:<{_WIDTH}}] {share:4.0%}  {left:.0f} s left"
        self._stream.write(f"\r{text:<78}"[:79])
        self._stream.flush()

    def close(self) -> None:
        """Leave the bar as it is, and go on below it."""
        if self._shown and self._drawn:
            self._stream.write("\n")
            self._stream.flush()
            self._shown = False
