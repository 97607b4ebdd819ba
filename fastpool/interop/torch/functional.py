"""`torch.nn.functional.max_pool2d`, computed by fastpool, and its like for minima."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import handle_torch_function, has_torch_function_unary

from ...rules.arguments import check_flag
from .arguments import (
    IntOrSequence,
    check_tensor,
    is_exported,
    numbers,
    own,
    prepare,
    refuse_masks,
    strides,
)
from .calls import NAMES
from .derivatives import FUNCTIONS, call


def max_pool2d(
    input: torch.Tensor,  # noqa: A002 (PyTorch's name)
    kernel_size: IntOrSequence,
    stride: IntOrSequence | None = None,
    padding: IntOrSequence = 0,
    dilation: IntOrSequence = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`torch.nn.functional.max_pool2d`, computed by fastpool.

    Parameters
    ----------
    input : torch.Tensor, shape (..., H, W)
        A tensor on the CPU, of any dtype that `fastpool.maxpool2d` takes and with any number of
        leading axes. Its memory is read where it lies; (N, C, H, W) in
        ``torch.channels_last`` takes kernels of its own.
    kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As in `torch.nn.functional.max_pool2d`; the padding may be larger than half a window.

    Returns
    -------
    output : torch.Tensor, shape (..., OH, OW), dtype of `input`
        In the memory format of `input`.
    indices : torch.Tensor of the shape of `output`, int64
        With ``return_indices=True``: where in its plane each maximum stands, as in PyTorch.

    Raises
    ------
    ValueError, TypeError
        As in `fastpool.maxpool2d`; of a `torch.masked.MaskedTensor` too.
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
    rules = kernel_size, stride, padding, dilation, ceil_mode, return_indices
    return _pooled("max", max_pool2d, input, *rules)


def min_pool2d(
    input: torch.Tensor,  # noqa: A002 (as in `max_pool2d`)
    kernel_size: IntOrSequence,
    stride: IntOrSequence | None = None,
    padding: IntOrSequence = 0,
    dilation: IntOrSequence = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Minimum over windows of the last two axes of a tensor: the mirror of `max_pool2d`.

    Parameters
    ----------
    input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As in `max_pool2d`.

    Returns
    -------
    output : torch.Tensor, shape (..., OH, OW), dtype of `input`
        The bits of `fastpool.minpool2d`, in the memory format of `input`.
    indices : torch.Tensor of the shape of `output`, int64
        With ``return_indices=True``: where in its plane each minimum stands.

    Raises
    ------
    ValueError, TypeError
        As in `max_pool2d`.
    NotImplementedError
        As in `max_pool2d`, and in `torch.onnx.export`: ONNX has no pooling of minima.

    Notes
    -----
    PyTorch has none of its own. ``-max_pool2d(-x)`` is wrong for unsigned integers and for the
    least integer of a type, and makes two more passes over the input.

    Derivatives and what records programs are as in `max_pool2d`, but for ONNX.

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
    rules = kernel_size, stride, padding, dilation, ceil_mode, return_indices
    return _pooled("min", min_pool2d, input, *rules)


def _pooled(
    operation: str,
    public: Callable[..., Any],
    input: torch.Tensor,  # noqa: A002
    kernel_size: IntOrSequence,
    stride: IntOrSequence | None,
    padding: IntOrSequence,
    dilation: IntOrSequence,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    """What a public function returns."""
    name, functions = NAMES[operation], FUNCTIONS[operation]
    rest = stride, padding, dilation, ceil_mode, return_indices
    if has_torch_function_unary(input):  # a Proxy of torch.fx, a subclass, or below a mode
        refuse_masks(name, input)
        return handle_torch_function(public, (input,), input, kernel_size, *rest)
    check_tensor(name, input)
    if is_exported():
        if operation != "max":
            raise NotImplementedError(f"{name}: ONNX has no pooling of minima")
        # ONNX has a node for PyTorch's own.
        return torch.nn.functional.max_pool2d(input, kernel_size, *rest)
    check_flag(name, "ceil_mode", ceil_mode)
    kernel = numbers(name, "kernel_size", kernel_size, 2)
    windows = (
        kernel,
        strides(name, stride, kernel, 2),
        numbers(name, "padding", padding, 2),
        numbers(name, "dilation", dilation, 2),
        bool(ceil_mode),
    )
    if return_indices:
        return call(functions.with_indices, input, *windows, False)
    # `torch.jit.trace` compares the graphs of a call with gradients and of one without.
    if torch.is_grad_enabled() and input.requires_grad and not torch.jit.is_tracing():
        return call(functions.with_indices, input, *windows, True)[0]
    return call(functions.pool, input, *windows)


refuse_script = prepare(max_pool2d, own("max_pool2d"))
prepare(min_pool2d, "torch.jit.trace")
