"""The docstrings of filters, with what they have in common filled in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Documented = TypeVar("Documented", bound=Callable[..., Any])

_OUTPUT = """\
output : ndarray or dtype, optional
        Where to put the result, an array of the shape of `input` that may be `input` itself; or the
        dtype of a new one. By default a new one of the dtype of `input`."""

_BORDERS = """\
mode : str, or one for each axis
        What lies beyond the edges of ``a b c d``: "reflect" (``c b a | a b c d | d c b``), "mirror"
        (``d c b | a b c d | c b a``), "nearest" (``a a a | a b c d | d d d``), "wrap"
        (``b c d | a b c d | a b c``) or "constant" (`cval`). "grid-mirror", "grid-wrap" and
        "grid-constant" are other names of "reflect", "wrap" and "constant".
    cval : float
        What lies beyond the edges with "constant"."""

_PLACES = """\
origin : int, or one for each axis
        How far windows are moved: that of cell i begins at ``i - size // 2 - origin``.
    axes : int or ints, optional
        The axes to filter, all by default: any number. What has one entry an axis has it in this
        order.
    backend : {"auto", "numpy", "numba"}, optional
        What computes the result, the same to the bit; by default what `use_backend`,
        `set_default_backend` or the environment variable ``FASTPOOL_BACKEND`` say."""

_ERRORS = """\
TypeError
        The dtype is not supported, an argument has the wrong type, or `input` is a masked array.
    MemoryError
        There is no room for the result.
    BackendUnavailable
        An explicit `backend` cannot be used here."""

EXTREME = """{Extreme} over a window around every cell, as `scipy.ndimage.{extreme}_filter`.

    Parameters
    ----------
    input : array_like
        Any number of axes, any of the library's dtypes.
    size : int, or one for each axis
        Cells of the window along each axis, even numbers too.
    footprint : array_like of bool, optional
        The shape of the window, instead of `size`: one axis for each of `axes`.
    {output}
    {borders}
    {places}

    Returns
    -------
    ndarray, shape of `input`
        The {extreme} of every window.

    Raises
    ------
    ValueError
        An argument has the wrong value: the message names it. Of integers, a `cval` that lies
        beyond their dtype and would be the {extreme}.
    {errors}

    Warns
    -----
    UserWarning
        Both `size` and `footprint` are given: the footprint counts.

    See Also
    --------
    {pool} : Other strides, padding that is never seen, and indices.

    Notes
    -----
    Integers and finite floats are SciPy's to the bit, with three exceptions: 64-bit integers do
    not become floats on the way; where 0.0 and -0.0 meet, the result may be the other one; a result
    of another dtype is cast once. A NaN in a window is the result, which SciPy leaves open. All
    bits are the same with every backend, and any number of threads.

    Nothing is copied for windows that reach equally far to both sides, but for "wrap" and
    "constant"; there, a few rows and columns at the edges are. A footprint that is no
    rectangle is covered by rectangles, and takes a copy of the array and a pass for each.

"""

MAXIMUM = {
    "extreme": "maximum",
    "Extreme": "Maximum",
    "pool": "maxpool2d",
    "examples": """\
    Examples
    --------
    >>> image = np.array([[1, 2, 0, 0], [0, 0, 0, 7], [5, 0, 0, 0]])
    >>> fastpool.maximum_filter(image, 3)
    array([[2, 2, 7, 7],
           [5, 5, 7, 7],
           [5, 5, 7, 7]])
    >>> fastpool.maximum_filter(image, 3, axes=1)  # along rows
    array([[2, 2, 2, 0],
           [0, 0, 7, 7],
           [5, 5, 0, 0]])
    """,
}

MINIMUM = {
    "extreme": "minimum",
    "Extreme": "Minimum",
    "pool": "minpool2d",
    "examples": """\
    Examples
    --------
    >>> cross = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    >>> image = np.array([[4, 5, 6, 7], [8, 1, 9, 9], [5, 6, 7, 8]])
    >>> fastpool.minimum_filter(image, footprint=cross)
    array([[4, 1, 5, 6],
           [1, 1, 1, 7],
           [5, 1, 6, 7]])
    >>> fastpool.minimum_filter([5, 7, 9], 3, mode="constant", cval=6)
    array([5, 5, 6])
    """,
}

UNIFORM = """Average over a window around every cell, as `scipy.ndimage.uniform_filter`.

    Parameters
    ----------
    input : array_like
        Any number of axes, any of the library's dtypes.
    size : int, or one for each axis
        Cells of the window along each axis, even numbers too.
    {output}
    {borders}
    {places}

    Returns
    -------
    ndarray, shape of `input`
        The average of every window.

    Raises
    ------
    ValueError
        An argument has the wrong value: the message names it. Of integers, a `cval` that is none
        of their dtype.
    {errors}

    See Also
    --------
    avgpool2d : Other strides and padding.

    Notes
    -----
    Along up to three axes, an average is that of `avgpool3d`, to the bit, over the cells of the
    window and of what lies beyond the edges; along more, it is an average of averages. So a NaN or
    an infinity stays within the windows that hold it, and integers are exact: where the result is
    one of integers, the quotient is rounded to the nearest, halves to even.

    SciPy rounds after every axis, floats by running sums, from which a NaN never
    goes away, and integers towards 0: its averages of integers in the range of 0 to 255 are up to 1
    lower for each axis. Those of floats differ in the last bits.

"""

UNIFORM_EXAMPLES = {
    "examples": """\
    Examples
    --------
    >>> fastpool.uniform_filter([2, 8, 0, 4, 1, 9, 9, 0], 3)
    array([4, 3, 4, 2, 5, 6, 6, 3])
    >>> fastpool.uniform_filter([2, 8, 0, 4, 1, 9, 9, 0], 2, output=float)
    array([2. , 5. , 4. , 2. , 2.5, 5. , 9. , 4.5])
    """,
}


def described(template: str, words: dict[str, str]) -> Callable[[Documented], Documented]:
    """Give a function a docstring: the template, with what is common and with its own words."""

    def describe(function: Documented) -> Documented:
        common = {"output": _OUTPUT, "borders": _BORDERS, "places": _PLACES, "errors": _ERRORS}
        function.__doc__ = (template + "{examples}").format(**common, **words)
        return function

    return describe
