"""The docstrings of sums and averages, and their examples."""

_INPUT = """\
x : array_like, shape (..., {shape}), or (..., {shape}, C) with ``layout="{last}"``
        The input: any number of leading axes, none included; any strides and byte order;
        read-only and memory-mapped arrays too. Dtypes: float16, float32, float64,
        bfloat16 (of ml_dtypes), int8 to int64, uint8 to uint64, bool.
    {windows}
    ceil_mode : bool
        Round the output size up instead of down, which lets the last window reach beyond
        the padded input. As in PyTorch and ONNX, it must start before the padding's end."""

_OUT = """\
layout : {{"{first}", "{last}"}}
        Whether the channels stand before the spatial axes, or last.
    dtype : dtype, optional
        Of the result. %s
    out : ndarray, optional
        Where to put the result: its shape and dtype, any strides, no overlap with `x`.
    {backend}

    Returns
    -------
    ndarray, shape (..., {outputs}) or (..., {outputs}, C)
        ``OW = floor((W + pad_left + pad_right - dilation * (KW - 1) - 1) / stride) + 1``, and
        so along each axis.

    Raises
    ------
    ValueError
        An argument has a bad value or shape, or some window would hold no input cell.
    TypeError
        An argument has a bad type or dtype, or `dtype` is an integer and `x` has floats.
    MemoryError
        The result cannot be allocated, or the memory to compute it in; in the second case,
        what `out` holds is undefined.
    BackendUnavailable
        A backend asked for by name cannot be used here."""

_BITS = """\
Notes
    -----
    A result depends on the cells of its window alone: a NaN or an infinity stays within the
    windows that hold it. Floats are summed in float32, or in float64 if `x` or the result is
    float64; a tap outside the input counts as 0.0. Windows of up to 64 taps are summed one tap
    after the other, {order}, which gives PyTorch's bits. Larger ones are summed as a tree, along
    the first spatial axis, then the next: the first m of n taps, m the largest power of two below
    n, and the others. Its error grows with the logarithm of the window. Integers are summed
    exactly, but those of 64 bits that become floats are made float64 first."""

AVERAGE = (
    """Average over windows of the {axes}.

    Parameters
    ----------
    """
    + _INPUT
    + """
    count_include_pad : bool
        Whether taps in the padding count. What ``ceil_mode`` adds beyond never does.
    divisor_override : int, optional
        What sums are divided by, whatever taps count: any integer but 0, below 2**62 in
        magnitude.
    """
    + _OUT
    % """Floats keep theirs by default, and integers and bools give float64, as in
        `numpy.mean`. An integer dtype gives integers the exact quotient, rounded to the nearest
        integer, of two to the even one: so ``dtype="uint8"`` keeps an image what it is."""
    + """

    See Also
    --------
    {pool}_backward : The gradient.
    sumpool{n}d : The sums.

    """
    + _BITS
    + """ The
    sum is divided once, and rounded once to the result. The payload of a NaN is undefined.
"""
)

AVERAGE_1D = """
    Examples
    --------
    >>> fastpool.avgpool1d([1.0, 5.0, 2.0, 0.0, 9.0, 9.0], 3)
    array([2.66666667, 6.        ])
    """

AVERAGE_2D = """
    Examples
    --------
    >>> x = np.array([[1, 5, 2, 0], [3, 4, 9, 9], [7, 7, 6, 8], [7, 0, 8, 1]])
    >>> fastpool.avgpool2d(x, 2)
    array([[3.25, 5.  ],
           [5.25, 5.75]])
    >>> fastpool.avgpool2d(x.astype(np.uint8), 2, dtype="uint8")
    array([[3, 5],
           [5, 6]], dtype=uint8)
    >>> fastpool.avgpool2d(x, 3, stride=3, padding=1, count_include_pad=False)
    array([[3.25, 5.  ],
           [5.25, 5.75]])
    """

BACKWARD = """Gradient of `{pool}`: each window's gradient is spread over its cells.

    Parameters
    ----------
    grad_output : array_like, shape of the output
        Gradient with respect to the output: float16, float32, float64, or bfloat16.
    input_shape : sequence of int
        Shape of the input of the pooling.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dilation, layout
        As they were given to `{pool}`.
    out : ndarray, optional
        Where to put the result; no overlap with `grad_output`.
    backend : {{"auto", "numpy", "numba"}}, optional
        As in `{pool}`.

    Returns
    -------
    ndarray, shape `input_shape`, dtype of `grad_output`
        The gradient with respect to the input.

    Raises
    ------
    ValueError, TypeError, MemoryError, BackendUnavailable
        As in `{pool}`; TypeError for gradients that are integers.

    See Also
    --------
    {pool} : The forward pass.

    Notes
    -----
    A window's gradient is divided once. A cell's gradient is the sum of what the windows that hold
    it pass on: in float32, or in float64 for float64, and rounded once. Where up to 64 windows can
    hold a cell, they are added one after the other, in the order of the output; otherwise as a
    tree, as in `{pool}`.
"""

BACKWARD_2D = """
    Examples
    --------
    >>> gradient = np.array([[4.0, 8.0]])
    >>> fastpool.avgpool2d_backward(gradient, (2, 3), 2, stride=1)
    array([[1., 3., 2.],
           [1., 3., 2.]])
    """

SUM = (
    """Sum over windows of the {axes}.

    Parameters
    ----------
    """
    + _INPUT
    + """
    """
    + _OUT
    % """Floats keep theirs by default; integers and bools are summed in 64 bits, as in
        `numpy.sum`, and wrap."""
    + """

    See Also
    --------
    avgpool{n}d : The averages.

    """
    + _BITS
    + """
"""
)

SUM_2D = """
    Examples
    --------
    >>> fastpool.sumpool2d([[True, False, True], [True, True, False]], 2, stride=1)
    array([[3, 2]])
    """
