"""Filters and peaks of arrays of other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..api import guests


def filtered(function: str, x: object, output: object, given: dict[str, Any]) -> Any:
    """What a filter makes of an array of another library, of its kind; None if it is NumPy's.

    Parameters
    ----------
    function : str
        The public name of the filter.
    x, output : object
        Its input, and what the user wants as a result.
    given : dict
        Its other arguments, by name.

    Raises
    ------
    TypeError
        `output` is an array, or the array's adapter refuses it.
    """
    guest = guests.guest_of(x)
    if guest is None:
        return None
    if isinstance(output, np.ndarray) or guests.guest_of(output) is not None:
        raise TypeError(
            f"{function}: output is {guests.shown(output)}, and input {guest.kind}, whose results "
            "are new arrays; output may be a dtype"
        )
    return guest.load().filtered(function, x, {**given, "output": output})


def as_host(function: str, x: object) -> object:
    """The cells of an array of another library as NumPy's, for results that are none of its kind.

    Raises
    ------
    TypeError
        It has no memory to be read: it is computed later.
    """
    guest = guests.guest_of(x)
    return x if guest is None else guest.load().host(function, x)
