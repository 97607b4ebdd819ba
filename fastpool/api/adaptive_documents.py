"""The docstrings of adaptive pooling, and their examples."""

_INPUT = """\
x : array_like, shape (..., {shape}), or (..., {shape}, C) with ``layout="{last}"``
        The input, as `{plain}` takes it.
    output_size : int, None, or one of them for each axis
        How many windows there are along each axis: any number, also more than there are cells. None
        keeps an axis as it is; 0 gives an empty result."""

_LAYOUT = """\
layout : {{"{first}", "{last}"}}
        Whether the channels stand before the spatial axes, or last."""

_WINDOWS = """\
Window i of O windows on L cells has the cells from ``floor(i * L / O)`` up to
    ``ceil((i + 1) * L / O)``, as in PyTorch. If O divides L, windows tile the axis; otherwise
    neighbours may share a cell."""

_ERRORS = """\
Raises
    ------
    ValueError, TypeError, MemoryError, BackendUnavailable
        As in `{plain}`."""

POOL = (
    """Maximum over so many windows that share the {axes}.

    Parameters
    ----------
    """
    + _INPUT
    + """
    return_indices : bool
        Whether to return the indices too: int64, ``{flat}`` in the input.
    """
    + _LAYOUT
    + """
    out : ndarray or (ndarray, ndarray), optional
        Where to put the output, or output and indices; no overlap with `x`.
    {backend}

    Returns
    -------
    output : ndarray, shape (..., {outputs}) or (..., {outputs}, C), dtype of `x`
        The maximum of every window.
    PoolResult(output, indices)
        With ``return_indices=True``.

    """
    + _ERRORS
    + """

    See Also
    --------
    {adaptive}_backward : The gradient.
    {plain} : Windows of a given size.

    Notes
    -----
    """
    + _WINDOWS
    + """ The first maximum of a window wins, and the first NaN before it,
    as in `{plain}`.
"""
)

POOL_1D = """
    Examples
    --------
    >>> fastpool.adaptive_maxpool1d([1, 5, 2, 0, 9, 9, 3], 3, return_indices=True)
    PoolResult(output=array([5, 9, 9]), indices=array([1, 4, 4]))
    """

BACKWARD = """Gradient of `{adaptive}`: each window's gradient goes to the one cell it came from.

    Parameters
    ----------
    grad_output : array_like, shape of the output
        Gradient with respect to the output.
    indices : array_like of integers, shape of the output
        The indices that `{adaptive}` returned. Each must name a cell of its own window.
    input_shape : sequence of int
        Shape of the input of the pooling.
    output_size, layout
        As they were given to `{adaptive}`.
    out : ndarray, optional
        Where to put the result; no overlap with `grad_output` and `indices`.
    backend : {{"auto", "numpy", "numba"}}, optional
        As in `{adaptive}`.

    Returns
    -------
    ndarray, shape `input_shape`, dtype of `grad_output`
        The gradient with respect to the input; see `{plain}_backward` for its bits.

    Raises
    ------
    IndexError
        An index names no cell of its window; the message says which.
    ValueError, TypeError, MemoryError, BackendUnavailable
        As in `{plain}`.
"""

BACKWARD_1D = """
    Examples
    --------
    >>> fastpool.adaptive_maxpool1d_backward([1.0, 2.0, 3.0], [1, 4, 4], (7,), 3)
    array([0., 1., 0., 0., 5., 0., 0.])
    """

AVERAGE = (
    """Average over so many windows that share the {axes}.

    Parameters
    ----------
    """
    + _INPUT
    + """
    """
    + _LAYOUT
    + """
    dtype : dtype, optional
        Of the result, as in `{plain}`.
    out : ndarray, optional
        Where to put the result; no overlap with `x`.
    {backend}

    Returns
    -------
    ndarray, shape (..., {outputs}) or (..., {outputs}, C)
        The average of every window.

    """
    + _ERRORS
    + """

    See Also
    --------
    {adaptive}_backward : The gradient.
    {plain} : Windows of a given size.

    Notes
    -----
    """
    + _WINDOWS
    + """ A window has the bits that `{plain}` gives to one of
    its size.
"""
)

AVERAGE_2D = """
    Examples
    --------
    >>> fastpool.adaptive_avgpool2d(np.arange(15.0).reshape(3, 5), (1, 3))
    array([[5.5, 7. , 8.5]])
    >>> fastpool.adaptive_avgpool2d(np.arange(15.0).reshape(3, 5), (None, 1))
    array([[ 2.],
           [ 7.],
           [12.]])
    """

AVERAGE_BACKWARD = """Gradient of `{adaptive}`: each window's gradient is spread over its cells.

    Parameters
    ----------
    grad_output : array_like, shape of the output
        Gradient with respect to the output: float16, float32, float64, or bfloat16.
    input_shape : sequence of int
        Shape of the input of the pooling.
    output_size, layout
        As they were given to `{adaptive}`.
    out : ndarray, optional
        Where to put the result; no overlap with `grad_output`.
    backend : {{"auto", "numpy", "numba"}}, optional
        As in `{adaptive}`.

    Returns
    -------
    ndarray, shape `input_shape`, dtype of `grad_output`
        The gradient with respect to the input.

    Raises
    ------
    ValueError, TypeError, MemoryError, BackendUnavailable
        As in `{plain}`; TypeError for gradients that are integers.

    Notes
    -----
    A window's gradient is divided once. What the windows that hold a cell pass on is added one
    after the other, in the order of the output.
"""

AVERAGE_BACKWARD_1D = """
    Examples
    --------
    >>> fastpool.adaptive_avgpool1d_backward([2.0, 4.0], (3,), 2)
    array([1., 3., 2.])
    """
