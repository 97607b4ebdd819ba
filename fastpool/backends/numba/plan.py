"""What all plans of this backend have in common."""

from __future__ import annotations

import numpy as np

from ...rules.arrays import Storage
from ...rules.call import Call
from ..protocol import Entry
from .memory import place_of


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


class Copied:
    """The arrays of a call in memory that kernels can use: themselves, or copies."""

    def __init__(self, call: Call, storages: tuple[Storage, ...], inputs: int) -> None:
        places = [place_of(storage, call.geometry) for storage in storages]
        self.memories = tuple(place.memory for place in places)
        self._copied = tuple(place.copied for place in places)
        self.any = any(self._copied)
        self._inputs = inputs

    def taken(
        self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]
    ) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """What the kernel is to read and write."""
        read, write = self._copied[: self._inputs], self._copied[self._inputs :]
        return (
            tuple(
                array.astype(array.dtype.newbyteorder("="), order="C") if copied else array
                for array, copied in zip(inputs, read, strict=True)
            ),
            tuple(
                np.empty(array.shape, array.dtype) if copied else array
                for array, copied in zip(outputs, write, strict=True)
            ),
        )

    @staticmethod
    def put_back(written: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> None:
        """Copy what was computed elsewhere to where it belongs."""
        for array, output in zip(written, outputs, strict=True):
            if array is not output:
                output[...] = array
