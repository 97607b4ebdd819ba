"""`torch.nn.functional.avg_pool1d`, `avg_pool2d` and `avg_pool3d`, computed by fastpool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, SupportsIndex

import torch

from ...rules.arguments import check_flag
from .arguments import IntOrSequence, elsewhere, number, numbers, pads, prepare, strides
from .derivatives import AVERAGED, call


@prepare
def avg_pool1d(
    input: torch.Tensor,  # noqa: A002 (PyTorch's name)
    kernel_size: IntOrSequence,
    stride: IntOrSequence | None = None,
    padding: IntOrSequence = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> torch.Tensor:
    """`torch.nn.functional.avg_pool1d`, computed by fastpool.

    Parameters
    ----------
    input : torch.Tensor, shape (..., W)
        As in `avg_pool2d`.
    kernel_size, stride, padding, ceil_mode, count_include_pad
        As in `torch.nn.functional.avg_pool1d`; the padding may be larger than half a window.

    Returns
    -------
    torch.Tensor, shape (..., OW)
        As in `avg_pool2d`.

    Raises
    ------
    ValueError, TypeError, NotImplementedError
        As in `avg_pool2d`.

    See Also
    --------
    avg_pool2d : What is said there holds here.

    Examples
    --------
    >>> import torch
    >>> from fastpool.interop.torch import avg_pool1d
    >>> avg_pool1d(torch.tensor([[1.0, 5.0, 2.0, 0.0]]), 2)
    tensor([[3., 1.]])
    """
    rules = kernel_size, stride, padding, ceil_mode, count_include_pad
    return _averaged(1, avg_pool1d, input, *rules)


@prepare
def avg_pool2d(
    input: torch.Tensor,  # noqa: A002
    kernel_size: IntOrSequence,
    stride: IntOrSequence | None = None,
    padding: IntOrSequence = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: SupportsIndex | None = None,
) -> torch.Tensor:
    """`torch.nn.functional.avg_pool2d`, computed by fastpool.

    Parameters
    ----------
    input : torch.Tensor, shape (..., H, W)
        A tensor on the CPU, of any dtype that `fastpool.avgpool2d` takes and with any number of
        leading axes. Its memory is read where it lies; with one axis of images and one of
        channels, memory with the channels last takes kernels of its own.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As in `torch.nn.functional.avg_pool2d`; the padding may be larger than half a window.

    Returns
    -------
    torch.Tensor, shape (..., OH, OW)
        The bits of `fastpool.avgpool2d`, in the memory format of `input`. Floats keep their dtype;
        integers and bools give float64. PyTorch takes no integers but int64, and cuts off the
        fraction.

    Raises
    ------
    ValueError, TypeError
        As in `fastpool.avgpool2d`; of a `torch.masked.MaskedTensor` too.
    NotImplementedError
        The tensor is on another device, or sparse, quantized or nested.

    Notes
    -----
    Where windows have up to 64 taps, averages are PyTorch's to the bit, and so are gradients of
    float32 and float64. But a -0.0, as of a sum of 0.0 and a negative divisor, is 0.0 in PyTorch's,
    unless channels stand last. Larger windows are summed as a tree, whose error is less than
    PyTorch's. Gradients of float16 and bfloat16 are added in float32 and rounded once, where
    PyTorch rounds every sum.

    The average is linear: nothing is kept for its derivatives, of which there is every order, by
    ``backward``, `torch.func` and `torch.autograd.forward_ad`.

    Threads are as many, and programs are recorded, as with `max_pool2d`.

    Examples
    --------
    >>> import torch
    >>> from fastpool.interop.torch import avg_pool2d
    >>> x = torch.tensor([[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 9.0, 9.0]]], requires_grad=True)
    >>> y = avg_pool2d(x, 2)
    >>> y.tolist()
    [[[3.25, 5.0]]]
    >>> y.sum().backward()
    >>> x.grad
    tensor([[[0.2500, 0.2500, 0.2500, 0.2500],
             [0.2500, 0.2500, 0.2500, 0.2500]]])
    """
    rules = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    return _averaged(2, avg_pool2d, input, *rules)


@prepare
def avg_pool3d(
    input: torch.Tensor,  # noqa: A002
    kernel_size: IntOrSequence,
    stride: IntOrSequence | None = None,
    padding: IntOrSequence = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: SupportsIndex | None = None,
) -> torch.Tensor:
    """`torch.nn.functional.avg_pool3d`, computed by fastpool.

    Parameters
    ----------
    input : torch.Tensor, shape (..., D, H, W)
        As in `avg_pool2d`.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As in `torch.nn.functional.avg_pool3d`; the padding may be larger than half a window.

    Returns
    -------
    torch.Tensor, shape (..., OD, OH, OW)
        As in `avg_pool2d`. PyTorch's own are never channels-last.

    Raises
    ------
    ValueError, TypeError, NotImplementedError
        As in `avg_pool2d`.

    See Also
    --------
    avg_pool2d : What is said there holds here.
    """
    rules = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    return _averaged(3, avg_pool3d, input, *rules)


def _averaged(
    axes: int,
    public: Callable[..., Any],
    input: torch.Tensor,  # noqa: A002
    kernel_size: IntOrSequence,
    stride: IntOrSequence | None,
    padding: IntOrSequence,
    ceil_mode: bool,
    count_include_pad: bool,
    *divisors: SupportsIndex | None,
) -> Any:
    """What a public function returns; that of one axis has no divisor."""
    name = public.__name__
    rest = kernel_size, stride, padding, ceil_mode, count_include_pad, *divisors
    answer = elsewhere(public, (input,), rest)
    if answer is not NotImplemented:
        return answer
    check_flag(name, "ceil_mode", ceil_mode)
    check_flag(name, "count_include_pad", count_include_pad)
    (divisor,) = divisors or (None,)
    kernel = numbers(name, "kernel_size", kernel_size, axes)
    rules = (
        kernel,
        strides(name, stride, kernel, axes),
        pads(name, padding, axes),
        bool(ceil_mode),
        bool(count_include_pad),
        None if divisor is None else number(name, "divisor_override", divisor),
    )
    return call(AVERAGED[name].pool, input, *rules)
