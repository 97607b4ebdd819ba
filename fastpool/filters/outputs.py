"""Where a filter puts its result: SciPy's `output`, an array or a dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..rules import arrays


def result_dtype(function: str, output: object, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of a result for an input of `dtype`, in the machine's byte order.

    Raises
    ------
    TypeError
        `output` is no array, nor a dtype, that can be pooled.
    """
    named: Any = dtype
    if isinstance(output, np.ndarray):
        arrays.check_dtype(function, "output", output.dtype)
        named = output.dtype
    elif output is not None:
        named = arrays.data_type(function, "output", output)
    native: np.dtype[Any] = named.newbyteorder("=")
    return native


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
        self.dtype = result_dtype(function, output, x.dtype)
        if isinstance(output, np.ndarray):
            arrays.check_output(function, "output", output, x.shape, output.dtype)
            self._given = output

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
