"""`torch.nn.functional.max_pool2d`, computed by fastpool, and its like for minima."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex, TypeAlias

import torch
from torch.overrides import handle_torch_function, has_torch_function_unary

from ...rules.arguments import LARGEST, check_flag, entries, integer
from .calls import NAMES
from .derivatives import FUNCTIONS, call

IntOrPair: TypeAlias = SupportsIndex | Sequence[SupportsIndex]


def max_pool2d(
    input: torch.Tensor,  # noqa: A002 (PyTorch's name)
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
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
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
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
    kernel_size: IntOrPair,
    stride: IntOrPair | None,
    padding: IntOrPair,
    dilation: IntOrPair,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    """What a public function returns."""
    name, functions = NAMES[operation], FUNCTIONS[operation]
    rest = stride, padding, dilation, ceil_mode, return_indices
    if has_torch_function_unary(input):  # a Proxy of torch.fx, a subclass, or below a mode
        if isinstance(input, torch.masked.MaskedTensor):
            raise TypeError(f"{name}: input is a MaskedTensor, and this takes no masks")
        return handle_torch_function(public, (input,), input, kernel_size, *rest)
    if not isinstance(input, torch.Tensor):
        raise TypeError(f"{name}: input must be a torch.Tensor, got {type(input).__name__}")
    if input.device.type not in ("cpu", "meta"):
        raise NotImplementedError(f"{name}: input is on {input.device}, and this computes on CPUs")
    traced = torch.jit.is_tracing()
    # The second question costs 2 us.
    if (traced or torch.compiler.is_compiling()) and torch.onnx.is_in_onnx_export():
        if operation != "max":
            raise NotImplementedError(f"{name}: ONNX has no pooling of minima")
        # ONNX has a node for PyTorch's own.
        return torch.nn.functional.max_pool2d(input, kernel_size, *rest)
    check_flag(name, "ceil_mode", ceil_mode)
    kernel = _pair(name, "kernel_size", kernel_size)
    # As in PyTorch, an empty sequence is the default too.
    default = stride is None or (isinstance(stride, Sequence) and not stride)
    windows = (
        kernel,
        kernel if default else _pair(name, "stride", stride),
        _pair(name, "padding", padding),
        _pair(name, "dilation", dilation),
        bool(ceil_mode),
    )
    if return_indices:
        return call(functions.with_indices, input, *windows, False)
    # `torch.jit.trace` compares the graphs of a call with gradients and of one without.
    if torch.is_grad_enabled() and input.requires_grad and not traced:
        return call(functions.with_indices, input, *windows, True)[0]
    return call(functions.pool, input, *windows)


def refuse_script(*_: Any) -> None:
    raise RuntimeError(
        "max_pool2d: torch.jit.script does not take it; use torch.nn.functional.max_pool2d, and for"
        " modules call fastpool.interop.torch.restore_max_pool2d(model) first"
    )


def refuse_script_of_minimum(*_: Any) -> None:
    raise RuntimeError("min_pool2d: torch.jit.script does not take it; use torch.jit.trace")


# One step of a graph: `torch.compile` cannot trace the choice above below the transformations of
# `torch.func`.
torch.compiler.allow_in_graph(max_pool2d)
torch.compiler.allow_in_graph(min_pool2d)
# Asked before anything is compiled: once that has failed, a class is "redefined" ever after.
vars(max_pool2d)["__prepare_scriptable__"] = refuse_script
vars(min_pool2d)["__prepare_scriptable__"] = refuse_script_of_minimum


def _pair(function: str, name: str, value: Any) -> list[int]:
    """What PyTorch takes for a pair: a number, or one or two of them; of other numbers, as is."""
    if type(value) is int and abs(value) <= LARGEST:
        return [value, value]
    values = entries(value)
    if values is None:
        values = (value,)
    if len(values) == 1:
        values *= 2
    # The symbols of a compiler stay symbols; how large a number must be, the geometry says.
    return [
        n if isinstance(n, torch.SymInt) else integer(function, name, n, -LARGEST) for n in values
    ]
