"""Docstrings of functions that are made once for 1, 2 and 3 axes.

`fastpool.api.documents` fills them in.
"""

_INPUT = """\
    input : torch.Tensor, shape (..., {shape})
        A tensor on the CPU, of any dtype that `fastpool.{pool}` takes and with any number of
        leading axes. Its memory is read where it lies; with one axis of images and one of
        channels, memory with the channels last takes kernels of its own.
"""

_RESULTS = """\
    Returns
    -------
    output : torch.Tensor, shape (..., {outputs}), dtype of `input`
        The bits of `fastpool.{plain}`, in the memory format of `input`.
    indices : torch.Tensor of the shape of `output`, int64
        With ``return_indices=True``: where in its plane each {extreme} stands, ``{flat}``.

    Raises
    ------
    ValueError, TypeError
        As in `fastpool.{plain}`; of a `torch.masked.MaskedTensor` too.
"""

MAXIMUM = (
    """`torch.nn.functional.max_pool{n}d`, computed by fastpool.

    Parameters
    ----------
"""
    + _INPUT
    + """\
    kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As in `torch.nn.functional.max_pool{n}d`; the padding may be larger than half a window.

"""
    + _RESULTS
    + """\
    NotImplementedError
        The tensor is on another device, or sparse, quantized or nested.

    Notes
    -----
    Output, indices and gradients are PyTorch's to the bit, but for two cases. Of several NaNs in a
    window the first one wins (PyTorch: the last one). And where windows overlap, gradients of
    float16 and bfloat16 are added in float32 and rounded once (PyTorch rounds every sum).

    Derivatives of every order are supported, by ``backward``, `torch.func` and
    `torch.autograd.forward_ad`.

    Where PyTorch uses one thread, as in the workers of a ``DataLoader``, so does fastpool.

    What records programs takes it, but for `torch.jit.script`. `torch.onnx.export` sees PyTorch's
    own pooling in its place.
"""
)

MAXIMUM_2D = """
    Examples
    --------
    >>> import torch
    >>> from fastpool.interop.torch import max_pool2d
    >>> x = torch.tensor([[[1.0, 5.0, 5.0, 0.0], [5.0, 4.0, 9.0, 9.0]]], requires_grad=True)
    >>> max_pool2d(x, 2).sum().backward()
    >>> x.grad
    tensor([[[0., 1., 0., 0.],
             [0., 0., 1., 0.]]])
    """

MINIMUM = (
    """Minimum over windows of the {axes} of a tensor: the mirror of `max_pool{n}d`.

    Parameters
    ----------
    input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As in `max_pool{n}d`.

"""
    + _RESULTS
    + """\
    NotImplementedError
        As in `max_pool{n}d`, and in `torch.onnx.export`: ONNX has no pooling of minima.

    Notes
    -----
    PyTorch has none of its own. ``-max_pool{n}d(-x)`` is wrong for unsigned integers and for the
    least integer of a type, and makes two more passes over the input.

    Derivatives and what records programs are as in `max_pool{n}d`, but for ONNX.
"""
)

MINIMUM_2D = """
    Examples
    --------
    >>> import torch
    >>> from fastpool.interop.torch import min_pool2d
    >>> x = torch.tensor([[[9.0, 5.0, 5.0, 7.0], [5.0, 6.0, 1.0, 1.0]]], requires_grad=True)
    >>> min_pool2d(x, 2).sum().backward()
    >>> x.grad
    tensor([[[0., 1., 0., 0.],
             [0., 0., 1., 0.]]])
    """

UNPOOL = """`torch.nn.functional.max_unpool{n}d`, computed by fastpool.

    Parameters
    ----------
    input : torch.Tensor, shape (..., {outputs})
        What was pooled, as `max_pool{n}d` returns it.
    indices : torch.Tensor of the shape of `input`, integers
        The indices that `max_pool{n}d`, `min_pool{n}d` or PyTorch's own returned.
    kernel_size, stride, padding
        As they were given to the pooling.
    output_size : sequence of int, optional
        The sizes of the {axes} of the result, or its whole shape, where several are possible.

    Returns
    -------
    torch.Tensor, shape (..., {shape}), dtype of `input`
        Each value at its index, and zero elsewhere, in the memory format of `input`.

    Raises
    ------
    ValueError, TypeError
        As in `fastpool.{unpool}`; of a `torch.masked.MaskedTensor` too.
    IndexError
        An index names no cell of the plane.
    NotImplementedError
        As in `max_pool{n}d`.

    Notes
    -----
    Of two equal indices in a plane the later one wins, where PyTorch leaves open which. As in
    PyTorch, the gradient of every value is that at its index, also if another one has won.
"""

ADAPTIVE_MAXIMUM = (
    """`torch.nn.functional.adaptive_max_pool{n}d`, computed by fastpool.

    Parameters
    ----------
"""
    + _INPUT
    + """\
    output_size, return_indices
        As in `torch.nn.functional.adaptive_max_pool{n}d`: how many windows there are along each
        axis, None for as many as cells. It may be more, and 0.

"""
    + _RESULTS.replace("plain", "adaptive")
    + """\
    NotImplementedError
        The tensor is on another device, or sparse, quantized or nested.

    Notes
    -----
    All that is said of bits, derivatives and programs in `max_pool{n}d` holds here, but that flat
    indices are kept for the backward pass, of eight bytes. PyTorch takes no integers.
"""
)

ADAPTIVE_AVERAGE = (
    """`torch.nn.functional.adaptive_avg_pool{n}d`, computed by fastpool.

    Parameters
    ----------
"""
    + _INPUT
    + """\
    output_size
        As in `torch.nn.functional.adaptive_avg_pool{n}d`: how many windows there are along each
        axis, None for as many as cells. It may be more, and 0.

    Returns
    -------
    torch.Tensor, shape (..., {outputs})
        The bits of `fastpool.{adaptive}`, in the memory format of `input`. Floats keep
        their dtype; integers and bools give float64.

    Raises
    ------
    ValueError, TypeError
        As in `fastpool.{adaptive}`; of a `torch.masked.MaskedTensor` too.
    NotImplementedError
        The tensor is on another device, or sparse, quantized or nested.

    Notes
    -----
    A window of up to 64 cells is summed in PyTorch's order, and its sum divided once, by their
    number. PyTorch divides by one size after the other where channels stand first, so that the last
    bit may differ; and one window on all cells is its ``mean``, with a sum in another order.

    Derivatives and programs are as in `avg_pool{n}d`.
"""
)

NORM = """Lp norm over windows of the {axes} of a tensor, as `torch.nn.functional.lp_pool{n}d`.

    Parameters
    ----------
    input : torch.Tensor, shape (..., {shape})
        As in `avg_pool{n}d`.
    norm_type : int or inf
        p of ``sum(abs(x) ** p) ** (1 / p)``: a positive integer, or infinity, which is the largest
        magnitude.
    kernel_size, stride, ceil_mode
        As in `torch.nn.functional.lp_pool{n}d`.

    Returns
    -------
    torch.Tensor, shape (..., {outputs})
        The bits of `fastpool.lppool{n}d`, in the memory format of `input`. Floats keep their dtype;
        integers and bools give float64.

    Raises
    ------
    ValueError, TypeError
        As in `fastpool.lppool{n}d`; of a `torch.masked.MaskedTensor` too.
    NotImplementedError
        The tensor is on another device, or sparse, quantized or nested; and in
        `torch.onnx.export`, which has PyTorch's own alone.

    Notes
    -----
    It is no replacement for PyTorch's, whose results differ in four ways. PyTorch takes no absolute
    values, so that with an odd p negative numbers count against positive ones. It scales up the
    norm of a window that sticks out, as if it were whole. It computes in the dtype of the input,
    where squares overflow; here all is float64, rounded once. And it takes p of every kind, some of
    them wrong. So `replace_pooling` leaves its modules alone.

    The gradient at a norm of 0 is 0. There are derivatives of every order, as of `avg_pool{n}d`.
"""

NORM_2D = """
    Examples
    --------
    >>> import torch
    >>> from fastpool.interop.torch import lp_pool2d
    >>> x = torch.tensor([[[3.0, 0.0, -5.0, 0.0], [0.0, -4.0, 0.0, 12.0]]], requires_grad=True)
    >>> y = lp_pool2d(x, 2, 2)
    >>> y.tolist()
    [[[5.0, 13.0]]]
    >>> (5 * 13 * y).sum().backward()
    >>> x.grad
    tensor([[[ 39.,   0., -25.,   0.],
             [  0., -52.,   0.,  60.]]])
    """
