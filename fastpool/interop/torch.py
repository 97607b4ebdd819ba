"""Max pooling of PyTorch tensors on the CPU, as custom operators that share their memory.

Three operators close the calculus: pooling, whose backward pass scatters; scattering, whose own
backward pass gathers; and gathering, whose backward pass scatters again. So there are derivatives
of every order. Each has a fake kernel for `torch.compile` and `torch.export`, and a rule for
`torch.func.vmap`.

Window indices, one byte an output for windows of up to 256 taps, are all that is kept for the
backward pass, and only if there may be one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, TypeVar, get_type_hints

import numpy as np
import torch
from torch.autograd import forward_ad
from torch.overrides import handle_torch_function, has_torch_function_unary

import fastpool

from ..api import IntOrPair
from ..arguments import LARGEST, check_flag, entries, integer
from ..backends import one_thread
from ..geometry import Geometry, output_length, pooling
from . import gather

Model = TypeVar("Model", bound=torch.nn.Module)

_NAME = "max_pool2d"


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
    rest = stride, padding, dilation, ceil_mode, return_indices
    if has_torch_function_unary(input):  # a Proxy of torch.fx, a subclass, or below a mode
        if isinstance(input, torch.masked.MaskedTensor):
            raise TypeError(f"{_NAME}: input is a MaskedTensor, and this takes no masks")
        return handle_torch_function(max_pool2d, (input,), input, kernel_size, *rest)
    if not isinstance(input, torch.Tensor):
        raise TypeError(f"{_NAME}: input must be a torch.Tensor, got {type(input).__name__}")
    if input.device.type not in ("cpu", "meta"):
        raise NotImplementedError(f"{_NAME}: input is on {input.device}, and this computes on CPUs")
    traced = torch.jit.is_tracing()
    # The second question costs 2 us.
    if (traced or torch.compiler.is_compiling()) and torch.onnx.is_in_onnx_export():
        # ONNX has a node for PyTorch's own.
        return torch.nn.functional.max_pool2d(input, kernel_size, *rest)
    check_flag(_NAME, "ceil_mode", ceil_mode)
    kernel = _pair("kernel_size", kernel_size)
    # As in PyTorch, an empty sequence is the default too.
    default = stride is None or (isinstance(stride, Sequence) and not stride)
    windows = (
        kernel,
        kernel if default else _pair("stride", stride),
        _pair("padding", padding),
        _pair("dilation", dilation),
        bool(ceil_mode),
    )
    if return_indices:
        return _call(_PoolWithIndices, input, *windows, False)
    # `torch.jit.trace` compares the graphs of a call with gradients and of one without.
    if torch.is_grad_enabled() and input.requires_grad and not traced:
        return _call(_PoolWithIndices, input, *windows, True)[0]
    return _call(_Pool, input, *windows)


def _refuse_script(*_: Any) -> None:
    raise RuntimeError(
        f"{_NAME}: torch.jit.script does not take it; use torch.nn.functional.max_pool2d, and for"
        " modules call fastpool.interop.torch.restore_max_pool2d(model) first"
    )


# One step of a graph: `torch.compile` cannot trace the choice above below the transformations of
# `torch.func`.
torch.compiler.allow_in_graph(max_pool2d)
# Asked before anything is compiled: once that has failed, a class is "redefined" ever after.
vars(max_pool2d)["__prepare_scriptable__"] = _refuse_script


class MaxPool2d(torch.nn.MaxPool2d):
    """`torch.nn.MaxPool2d`, computed by fastpool: see `max_pool2d`."""

    __prepare_scriptable__ = _refuse_script

    def forward(self, input: torch.Tensor) -> Any:  # noqa: A002 (PyTorch's name)
        return max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    # Strings, as annotations are in this file, make graphs of torch.fx that cannot be pickled.
    forward.__annotations__ = get_type_hints(forward)


def replace_max_pool2d(model: Model) -> Model:
    """Let fastpool compute every `torch.nn.MaxPool2d` of a model, in place.

    Parameters
    ----------
    model : torch.nn.Module
        All `torch.nn.MaxPool2d` in it, or itself, become `MaxPool2d`. They stay the same objects,
        with their arguments, hooks and names; state dicts do not change. Subclasses of
        `torch.nn.MaxPool2d` are left alone.

    Returns
    -------
    torch.nn.Module
        `model` itself.

    See Also
    --------
    restore_max_pool2d : The way back.

    Examples
    --------
    >>> from fastpool.interop.torch import replace_max_pool2d
    >>> replace_max_pool2d(torch.nn.Sequential(torch.nn.ReLU(), torch.nn.MaxPool2d(2)))[1]
    MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    """
    return _change_class(model, torch.nn.MaxPool2d, MaxPool2d)


def restore_max_pool2d(model: Model) -> Model:
    """Undo `replace_max_pool2d`: every `MaxPool2d` of a model becomes a `torch.nn.MaxPool2d`.

    As `torch.jit.script` needs, which takes PyTorch's own pooling alone.

    Parameters
    ----------
    model : torch.nn.Module
        The model, which is changed in place.

    Returns
    -------
    torch.nn.Module
        `model` itself.
    """
    return _change_class(model, MaxPool2d, torch.nn.MaxPool2d)


def _change_class(model: Model, old: type, new: type) -> Model:
    for module in model.modules():
        if type(module) is old:
            module.__class__ = new
    return model


def _pair(name: str, value: Any) -> list[int]:
    """What PyTorch takes for a pair: a number, or one or two of them; of other numbers, as is."""
    if type(value) is int and abs(value) <= LARGEST:
        return [value, value]
    values = entries(value)
    if values is None:
        values = (value,)
    if len(values) == 1:
        values *= 2
    # The symbols of a compiler stay symbols; how large a number must be, the geometry says.
    return [n if isinstance(n, torch.SymInt) else integer(_NAME, name, n, -LARGEST) for n in values]


def _single(pair: Sequence[int]) -> Any:
    """A pair of equal numbers as one: fastpool remembers such calls, which saves 10 us."""
    return pair[0] if len(pair) == 2 and pair[0] == pair[1] else tuple(pair)


def _arguments(
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> tuple[Any, ...]:
    """The arguments of fastpool's functions from those of an operator."""
    return (*map(_single, (kernel_size, stride, padding, dilation)), ceil_mode)


@lru_cache(maxsize=1024)
def _geometry(shape: Sequence[int], arguments: tuple[Any, ...], window: bool) -> Geometry:
    """The geometry of plain integers."""
    form = "window" if window else "flat"
    rules = *arguments, "NCHW", form
    return pooling(_NAME, "input", tuple(shape), *rules)


def _output_shape(shape: Sequence[Any], windows: tuple[Any, ...]) -> tuple[Any, ...]:
    """The shape of the output, also if a compiler's symbols stand for numbers."""
    *pairs, ceil_mode = windows
    if all(type(number) is int for numbers in (shape, *pairs) for number in numbers):
        return _geometry(shape, _arguments(*windows), False).output_shape
    sizes = [
        output_length(size, pad, pad, gap * (kernel - 1) + 1, step, ceil_mode)
        for size, kernel, step, pad, gap in zip(shape[-2:], *pairs, strict=True)
    ]
    return (*shape[:-2], *sizes)


def _is_channels_last(tensor: torch.Tensor) -> bool:
    """Whether PyTorch keeps a tensor channels-last: (N, C, H, W), and its crops.

    NCHW kernels take 13 times as long on a crop.
    """
    if tensor.dim() != 4 or tensor.is_contiguous():
        return False
    images, channels, height, width = tensor.shape
    image, channel, row, column = tensor.stride()
    # Decided here: a compiler's symbols compare to another symbol.
    return bool(
        channel > 0
        and channel * channels <= column
        and column * width <= row
        and (row * height <= image or images == 1)
    )


def _empty(shape: Sequence[int], dtype: Any, device: Any, channels_last: bool) -> torch.Tensor:
    form = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(tuple(shape), dtype=dtype, device=device, memory_format=form)


def _index_type(kernel_size: Sequence[int], window: bool) -> Any:
    """As `Geometry.index_dtype`, but a compiler's symbols stay within one of the types."""
    if not window:
        return torch.int64
    taps = kernel_size[0] * kernel_size[1]
    return torch.uint8 if taps <= 2**8 else torch.uint16 if taps <= 2**16 else torch.uint32


def _array(tensor: torch.Tensor, channels_last: bool = False) -> np.ndarray:
    """The memory of a tensor, as the array that fastpool takes in its layout."""
    if channels_last:
        tensor = tensor.permute(0, 2, 3, 1)
    if tensor.dtype is torch.bfloat16:
        import ml_dtypes

        return tensor.view(torch.int16).numpy(force=True).view(ml_dtypes.bfloat16)
    return tensor.numpy(force=True)  # detached; no copy where none must be


def _threads() -> AbstractContextManager[None]:
    return one_thread() if torch.get_num_threads() == 1 else nullcontext()


def _operator(name: str) -> Any:
    return torch.library.custom_op(f"fastpool::{name}", mutates_args=(), device_types="cpu")


@_operator("max_pool2d")
def _pool(
    input: torch.Tensor,  # noqa: A002
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> torch.Tensor:
    """The maxima alone."""
    windows = kernel_size, stride, padding, dilation, ceil_mode
    shape, channels_last = _output_shape(input.shape, windows), _is_channels_last(input)
    output = _empty(shape, input.dtype, input.device, channels_last)
    with _threads():
        fastpool.maxpool2d(
            _array(input, channels_last),
            *_arguments(*windows),
            layout="NHWC" if channels_last else "NCHW",
            out=_array(output, channels_last),
        )
    return output


@_operator("max_pool2d_with_indices")
def _pool_with_indices(
    input: torch.Tensor,  # noqa: A002
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    window: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The maxima, and window or flat indices."""
    windows = kernel_size, stride, padding, dilation, ceil_mode
    shape, channels_last = _output_shape(input.shape, windows), _is_channels_last(input)
    output = _empty(shape, input.dtype, input.device, channels_last)
    indices = _empty(shape, _index_type(kernel_size, window), input.device, channels_last)
    with _threads():
        fastpool.maxpool2d(
            _array(input, channels_last),
            *_arguments(*windows),
            return_indices=True,
            index_format="window" if window else "flat",
            layout="NHWC" if channels_last else "NCHW",
            out=(_array(output, channels_last), _array(indices, channels_last)),
        )
    return output, indices


@_operator("max_pool2d_backward")
def _scatter(
    grad_output: torch.Tensor,
    indices: torch.Tensor,
    input_shape: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    window: bool,
    channels_last: bool,
) -> torch.Tensor:
    """Add every gradient to its cell; the result is in a memory format."""
    windows = kernel_size, stride, padding, dilation, ceil_mode
    result = _empty(input_shape, grad_output.dtype, grad_output.device, channels_last)
    out = _array(result, channels_last)
    if grad_output.stride(1 if channels_last else -1) != 1:
        # In the other memory format, or of a sum: twice to ten times as slow as a copy and its use.
        form = torch.channels_last if channels_last else torch.contiguous_format
        grad_output = grad_output.contiguous(memory_format=form)
    with _threads():
        fastpool.maxpool2d_backward(
            _array(grad_output, channels_last),
            _array(indices, channels_last),
            out.shape,
            *_arguments(*windows),
            index_format="window" if window else "flat",
            layout="NHWC" if channels_last else "NCHW",
            out=out,
        )
    return result


@_operator("max_pool2d_gather")
def _gather(
    cells: torch.Tensor,
    indices: torch.Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    window: bool,
) -> torch.Tensor:
    """The cells that indices name."""
    windows = kernel_size, stride, padding, dilation, ceil_mode
    geometry = _geometry(cells.shape, _arguments(*windows), window)
    result = _empty(indices.shape, cells.dtype, cells.device, False)
    _array(result)[...] = gather(_array(cells), _array(indices), geometry, window)
    return result


@_pool.register_fake
def _(input: torch.Tensor, *windows: Any) -> torch.Tensor:  # noqa: A002
    shape = _output_shape(input.shape, windows)
    return _empty(shape, input.dtype, input.device, _is_channels_last(input))


@_pool_with_indices.register_fake
def _(input: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: A002
    *windows, window = rest
    shape, channels_last = _output_shape(input.shape, tuple(windows)), _is_channels_last(input)
    output = _empty(shape, input.dtype, input.device, channels_last)
    index_type = _index_type(windows[0], window)
    return output, _empty(shape, index_type, input.device, channels_last)


@_scatter.register_fake
def _(grad_output: torch.Tensor, indices: torch.Tensor, *rest: Any) -> torch.Tensor:
    return _empty(rest[0], grad_output.dtype, grad_output.device, rest[-1])


@_gather.register_fake
def _(cells: torch.Tensor, indices: torch.Tensor, *rest: Any) -> torch.Tensor:
    return _empty(indices.shape, cells.dtype, cells.device, False)


class _Pool(torch.autograd.Function):
    """`_pool` with its derivatives, which find the indices only then.

    As where `max_pool2d` cannot foresee that they are wanted, in a ``vmap`` inside of a ``grad``.
    """

    @staticmethod
    def forward(*arguments: Any) -> Any:
        return _pool(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.save_for_forward(inputs[0])
        ctx.windows = *inputs[1:], True

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        (input,) = ctx.saved_tensors  # noqa: A001
        indices = _call(_PoolWithIndices, input, *ctx.windows)[1]
        layout = _is_channels_last(input)
        return _call(_Scatter, gradient, indices, input.shape, *ctx.windows, layout), *[None] * 5

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
        indices = _call(_PoolWithIndices, ctx.saved_tensors[0], *ctx.windows)[1]
        return _call(_Gather, tangent, indices, *ctx.windows)

    @staticmethod
    def vmap(info: Any, axes: Any, input: torch.Tensor, *windows: Any) -> Any:  # noqa: A002
        size, count = info.batch_size, input.dim() - 1
        return _unfolded(_call(_Pool, _folded(input, axes[0], size), *windows), size, count), 0


class _PoolWithIndices(torch.autograd.Function):
    """`_pool_with_indices` with its derivatives."""

    @staticmethod
    def forward(*arguments: Any) -> Any:
        return _pool_with_indices(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(output[1])
        ctx.save_for_forward(output[1])
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)  # of the indices: zeros as large as they are
        ctx.shape, ctx.layout = inputs[0].shape, _is_channels_last(inputs[0])
        ctx.windows = inputs[1:]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor | None, _: Any) -> Any:
        if gradient is None:
            return (None,) * 7
        (indices,) = ctx.saved_tensors
        return _call(_Scatter, gradient, indices, ctx.shape, *ctx.windows, ctx.layout), *[None] * 6

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
        return _call(_Gather, tangent, ctx.saved_tensors[0], *ctx.windows), None

    @staticmethod
    def vmap(info: Any, axes: Any, input: torch.Tensor, *rest: Any) -> Any:  # noqa: A002
        size, count = info.batch_size, input.dim() - 1
        results = _call(_PoolWithIndices, _folded(input, axes[0], size), *rest)
        return tuple(_unfolded(result, size, count) for result in results), (0, 0)


class _Scatter(torch.autograd.Function):
    """`_scatter` with its derivatives; it is linear."""

    @staticmethod
    def forward(*arguments: Any) -> Any:
        return _scatter(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])
        ctx.rest = inputs[2:]

    @staticmethod
    def backward(ctx: Any, cells: torch.Tensor) -> Any:
        return _call(_Gather, cells, ctx.saved_tensors[0], *ctx.rest[1:-1]), *[None] * 9

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
        return _call(_Scatter, tangent, ctx.saved_tensors[0], *ctx.rest)

    @staticmethod
    def vmap(info: Any, axes: Any, *arguments: Any) -> Any:
        gradient, indices, shape, *rest = arguments
        size, count = info.batch_size, len(shape)
        folded = _folded(gradient, axes[0], size), _folded(indices, axes[1], size)
        shape = (size * shape[0], *shape[1:]) if count > 3 else (size, *shape)
        return _unfolded(_call(_Scatter, *folded, shape, *rest), size, count), 0


class _Gather(torch.autograd.Function):
    """`_gather` with its derivatives; it is linear."""

    @staticmethod
    def forward(*arguments: Any) -> Any:
        return _gather(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])
        ctx.shape, ctx.layout = inputs[0].shape, _is_channels_last(inputs[0])
        ctx.windows = inputs[2:]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        (indices,) = ctx.saved_tensors
        return _call(_Scatter, gradient, indices, ctx.shape, *ctx.windows, ctx.layout), *[None] * 7

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
        return _call(_Gather, tangent, ctx.saved_tensors[0], *ctx.windows)

    @staticmethod
    def vmap(info: Any, axes: Any, *arguments: Any) -> Any:
        cells, indices, *windows = arguments
        size, count = info.batch_size, cells.dim() - (axes[0] is not None)
        folded = _folded(cells, axes[0], size), _folded(indices, axes[1], size)
        return _unfolded(_call(_Gather, *folded, *windows), size, count), 0


def _folded(tensor: torch.Tensor, axis: int | None, size: int) -> torch.Tensor:
    """A tensor with the axis of ``vmap`` in front, one with the batch's if there is one."""
    mapped = axis is not None
    tensor = tensor.movedim(axis, 0) if mapped else tensor.expand(size, *tensor.shape)
    return tensor.flatten(0, 1) if tensor.dim() > 4 else tensor


def _unfolded(tensor: torch.Tensor, size: int, axes: int) -> torch.Tensor:
    """The result of a folded call, of so many axes without that of ``vmap``."""
    if tensor.dim() > axes:
        return tensor
    return tensor.unflatten(0, (size, tensor.shape[0] // size if size else 0))


for _called, _function in (
    (_pool, _Pool),
    (_pool_with_indices, _PoolWithIndices),
    (_scatter, _Scatter),
    (_gather, _Gather),
):
    _called.register_autograd(_function.backward, setup_context=_function.setup_context)
    _called.register_vmap(_function.vmap)


def _call(function: Any, *arguments: Any) -> Any:
    """Call a function's operator, or itself where only functions have the derivatives.

    That is below `torch.func` and in forward mode, whose tangents an operator loses in silence. A
    call of the operator takes 20 us, of the function 39.
    """
    if torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return function.apply(*arguments)
    return function.forward(*arguments)
