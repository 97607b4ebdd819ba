"""What all plans of this backend have in common."""

from __future__ import annotations

import numpy as np

from ..protocol import Entry


class Plan:
    """A call on arrays that lie in memory in one way: what ready, compile and entry have in common.

    Attributes
    ----------
    refused : int
        How many functions were compiled when it was last found to need another.
    """

    refused = -1
    reason = ""

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> int | None:
        """Fill the outputs; the position of the first bad index, or None."""
        raise NotImplementedError

    def prepare(self, complete: bool) -> None:
        """Compile, or load, what `run` needs."""
        raise NotImplementedError

    def steps(self, threads: int) -> tuple[Entry, ...]:
        """Machine code for so many threads that needs no Python, or none."""
        return ()
