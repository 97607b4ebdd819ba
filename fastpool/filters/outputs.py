"""Where a filter puts its result: SciPy's `output`, an array or a dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..rules import arrays


class Output:
    """What the user wants as a result, read once.

    Attributes
    ----------
    dtype : dtype
        That of the result, in the machine's byte order.
    """

    def __init__(self, function: str, output: object, x: np.ndarray) -> None:
        self._given: np.ndarray | None = None
        self._function = function
        self._x = x
        if output is None:
            self.dtype: np.dtype[Any] = x.dtype.newbyteorder("=")
        elif isinstance(output, np.ndarray):
            arrays.check_dtype(function, "output", output.dtype)
            arrays.check_output(function, "output", output, x.shape, output.dtype)
            self._given, self.dtype = output, output.dtype.newbyteorder("=")
        else:
            self.dtype = arrays.data_type(function, "output", output)

    def room(self, dtype: np.dtype[Any]) -> np.ndarray:
        """An array for a result of `dtype`: the user's, or a new one if that does not do."""
        given, x = self._given, self._x
        fits = given is not None and given.dtype == dtype
        if fits and not np.may_share_memory(given, x):
            return np.asarray(given)
        try:
            return np.empty(x.shape, dtype)
        except (MemoryError, ValueError):
            raise arrays.too_large(self._function, [(x.shape, dtype)]) from None

    def finish(self, made: np.ndarray) -> np.ndarray:
        """The result, once it is made: cast where it has another dtype."""
        given = self._given
        if given is None:
            if made.dtype == self.dtype:
                return made
            given = np.empty(made.shape, self.dtype)
        if not (made.dtype == given.dtype and np.may_share_memory(made, given)):
            with np.errstate(all="ignore"):  # too large a number becomes an infinity
                given[...] = made
        return given
