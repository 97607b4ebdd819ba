"""Tensors: their memory formats, and their memory as arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ...process import huge_pages
from ...rules.arrays import DTYPES, is_bfloat16

# By the number of a tensor's axes: PyTorch's name of channels-last, which it lacks for three axes,
# and where the axes stand in such memory.
_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
_ORDERS = {3: (0, 2, 1), 4: (0, 2, 3, 1), 5: (0, 2, 3, 4, 1)}


def is_channels_last(tensor: torch.Tensor, axes: int) -> bool:
    """Whether PyTorch keeps a tensor channels-last: (N, C, ...), of so many axes; and its crops.

    Kernels of channels that stand first take 13 times as long on a crop.
    """
    if tensor.dim() != axes + 2 or tensor.is_contiguous():
        return False
    images, channels, *sizes = tensor.shape
    image, channel, *steps = tensor.stride()
    if not channel > 0:
        return False
    reach = channel * channels
    for size, step in zip(reversed(sizes), reversed(steps), strict=True):
        if not reach <= step:  # decided here: a compiler's symbols compare to another symbol
            return False
        reach = step * size
    return bool(reach <= image or images == 1)


def empty(shape: Sequence[int], dtype: Any, device: Any, channels_last: bool) -> torch.Tensor:
    shape = tuple(shape)
    if channels_last and len(shape) == 3:
        _, channels, width = shape
        steps = width * channels, 1, channels
        return torch.empty_strided(shape, steps, dtype=dtype, device=device)
    form = _FORMATS[len(shape)] if channels_last else torch.contiguous_format
    return torch.empty(shape, dtype=dtype, device=device, memory_format=form)


def new(shape: Sequence[int], dtype: Any, device: Any, channels_last: bool) -> torch.Tensor:
    """`empty` with memory, in huge pages if it is large."""
    tensor = empty(shape, dtype, device, channels_last)
    huge_pages.ask(tensor.data_ptr(), tensor.nbytes)
    return tensor


def readable(gradient: torch.Tensor, channels_last: bool) -> torch.Tensor:
    """A gradient in a memory format: itself, or a copy if its cells are not side by side.

    As those of a sum, or in the other format: twice to ten times as slow as a copy and its use.
    """
    if gradient.stride(1 if channels_last else -1) == 1:
        return gradient
    copy = new(gradient.shape, gradient.dtype, gradient.device, channels_last)
    return copy.copy_(gradient)


def index_type(kernel_size: Sequence[int], window: bool) -> Any:
    """As `Geometry.index_dtype`, but a compiler's symbols stay within one of the types."""
    if not window:
        return torch.int64
    taps = math.prod(kernel_size)
    return torch.uint8 if taps <= 2**8 else torch.uint16 if taps <= 2**16 else torch.uint32


def as_array(tensor: torch.Tensor, channels_last: bool = False) -> np.ndarray:
    """The memory of a tensor, as the array that fastpool takes in its layout."""
    if channels_last:
        tensor = tensor.permute(_ORDERS[tensor.dim()])
    if tensor.dtype is torch.bfloat16:
        import ml_dtypes

        return tensor.view(torch.int16).numpy(force=True).view(ml_dtypes.bfloat16)
    return tensor.numpy(force=True)  # detached; no copy where none must be


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """The memory of a new array, as a tensor."""
    if is_bfloat16(array.dtype):
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def dtype_of(function: str, dtype: torch.dtype) -> np.dtype[Any]:
    """NumPy's dtype of a tensor's memory, which may be none but a compiler's idea."""
    if dtype is torch.bfloat16:
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    try:
        return np.dtype(str(dtype).removeprefix("torch."))
    except TypeError:
        known = ", ".join(DTYPES)
        raise TypeError(f"{function}: a tensor has {dtype}; supported are {known}") from None


def quotient_type(dtype: torch.dtype) -> torch.dtype:
    """The dtype of averages: that of floats; of integers and bools float64, as `numpy.mean`'s."""
    return dtype if dtype.is_floating_point or dtype.is_complex else torch.float64
