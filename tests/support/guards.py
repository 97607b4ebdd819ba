"""Outputs in the middle of memory that nobody may write."""

import numpy as np

MARGIN = 512  # bytes, several vectors
PATTERN = 0xA5
KINDS = ("inside", "unaligned", "cropped", "apart", "reversed")


class Guarded:
    """An output, the view of a larger array whose other cells have a known pattern."""

    def __init__(self, shape, dtype, kind):
        self.shape, self.dtype, self.kind = shape, np.dtype(dtype), kind
        self.step = {"apart": 2, "reversed": -1}.get(kind, 1)
        self.rim = {"cropped": 2, "apart": 1}.get(kind, 0)
        axes = range(len(shape))
        self.outer = [abs(self.step) * shape[i] + 2 * self.rim for i in axes[-2:]]
        self.outer = (*shape[:-2], *self.outer)
        size = int(np.prod(self.outer, dtype=np.int64)) * self.dtype.itemsize
        self.memory = np.full(size + 2 * MARGIN, PATTERN, np.uint8)
        self.array = self._view(self.memory, self.dtype)

    def _view(self, memory, dtype):
        offset = MARGIN + (1 if self.kind == "unaligned" else dtype.itemsize)
        whole = np.ndarray(self.outer, dtype, memory, offset)
        inner = [slice(self.rim, n - self.rim) for n in self.outer[-2:]]
        return whole[(..., *inner)][(..., *[slice(None, None, self.step)] * 2)]

    def check(self):
        """Fail if a cell around the output was written."""
        rest = self.memory.copy()
        bits = np.dtype(f"u{self.dtype.itemsize}")
        self._view(rest, bits)[...] = int.from_bytes(bytes([PATTERN]) * bits.itemsize, "little")
        assert (rest == PATTERN).all(), f"written outside: {np.flatnonzero(rest != PATTERN)}"

    def check_untouched(self):
        """Fail if the output, or a cell around it, was written."""
        assert (self.memory == PATTERN).all()
