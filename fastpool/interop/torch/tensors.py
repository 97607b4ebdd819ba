"""Tensors: their memory formats, and their memory as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


def is_channels_last(tensor: torch.Tensor) -> bool:
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


def empty(shape: Sequence[int], dtype: Any, device: Any, channels_last: bool) -> torch.Tensor:
    form = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(tuple(shape), dtype=dtype, device=device, memory_format=form)


def index_type(kernel_size: Sequence[int], window: bool) -> Any:
    """As `Geometry.index_dtype`, but a compiler's symbols stay within one of the types."""
    if not window:
        return torch.int64
    taps = kernel_size[0] * kernel_size[1]
    return torch.uint8 if taps <= 2**8 else torch.uint16 if taps <= 2**16 else torch.uint32


def as_array(tensor: torch.Tensor, channels_last: bool = False) -> np.ndarray:
    """The memory of a tensor, as the array that fastpool takes in its layout."""
    if channels_last:
        tensor = tensor.permute(0, 2, 3, 1)
    if tensor.dtype is torch.bfloat16:
        import ml_dtypes

        return tensor.view(torch.int16).numpy(force=True).view(ml_dtypes.bfloat16)
    return tensor.numpy(force=True)  # detached; no copy where none must be
