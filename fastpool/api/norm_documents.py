"""The docstrings of norms, and their examples."""

NORM = """Lp norm over windows of the {axes}: the root of the sum of powers.

    Parameters
    ----------
    x : array_like, shape (..., {shape}), or (..., {shape}, C) with ``layout="{last}"``
        The input, as `avgpool{n}d` takes it.
    norm_type : int or inf
        p of ``sum(abs(x) ** p) ** (1 / p)``: a positive integer, or infinity, which is the largest
        magnitude.
    {windows}
    ceil_mode : bool
        Round the output size up instead of down, as in `avgpool{n}d`.
    layout : {{"{first}", "{last}"}}
        Whether the channels stand before the spatial axes, or last.
    out : ndarray, optional
        Where to put the result; no overlap with `x`.
    {backend}

    Returns
    -------
    ndarray, shape (..., {outputs}) or (..., {outputs}, C)
        The norm of every window: floats keep their dtype, integers and bools give float64.

    Raises
    ------
    ValueError, TypeError, MemoryError, BackendUnavailable
        As in `avgpool{n}d`; ValueError for a norm that is no positive integer: other powers are
        rounded in another way by each processor.

    See Also
    --------
    {pool}_backward : The gradient.

    Notes
    -----
    All is computed in float64 and rounded once. Powers are made by squares and products, from the
    highest bit of p to its lowest, and summed as `sumpool{n}d` does; the root is `numpy.sqrt`,
    `numpy.cbrt`, or `numpy.power` with ``1 / p``. A window that sticks out has the norm of its
    cells: it is not scaled up, as it is in PyTorch.
"""

NORM_1D = """
    Examples
    --------
    >>> fastpool.lppool1d([3.0, -4.0, 0.0, 5.0, -12.0, 0.0], 2, 3)
    array([ 5., 13.])
    >>> fastpool.lppool1d([3, -4, 0, 5, -12, 0], np.inf, 3)
    array([ 4., 12.])
    """

BACKWARD = """Gradient of `{pool}`.

    Parameters
    ----------
    grad_output : array_like, shape of the output
        Gradient with respect to the output: float16, float32, float64, or bfloat16.
    x : array_like
        The input of `{pool}`.
    norm_type, kernel_size, stride, ceil_mode, padding, dilation, layout
        As they were given to `{pool}`.
    out : ndarray, optional
        Where to put the result; no overlap with `grad_output` and `x`.
    backend : {{"auto", "numpy", "numba"}}, optional
        As in `{pool}`.

    Returns
    -------
    ndarray, shape of `x`, dtype of `grad_output`
        The gradient with respect to `x`; 0 where the norm is 0.

    Raises
    ------
    ValueError, TypeError, MemoryError, BackendUnavailable
        As in `{pool}`; TypeError for gradients that are integers.

    Notes
    -----
    A window passes on its gradient over ``norm ** (p - 1)``. A cell gets the sum of what its
    windows pass on, as in `avgpool{n}d_backward`, times ``sign(x) * abs(x) ** (p - 1)``. Of the
    norm of infinity, each gradient goes to the first of the largest magnitudes, with its sign. All
    is computed in float64 and rounded once, and no zero is negative.
"""

BACKWARD_1D = """
    Examples
    --------
    >>> fastpool.lppool1d_backward([10.0, 0.0], [3.0, -4.0, 0.0, 0.0], 2, 2)
    array([ 6., -8.,  0.,  0.])
    """
