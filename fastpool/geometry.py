"""Every rule about kernel, stride, padding, dilation, ceil_mode, layout and shapes.

A call's arguments become one frozen `Geometry`, checked once and cached, so that the
code below it only executes. All arithmetic here is on Python integers: no argument,
however hostile, wraps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from .arguments import (
    IndexFormat,
    Layout,
    Pair,
    Windows,
    check_choice,
    check_codes,
    check_flag,
    entries,
    integer,
    windows,
)
from .empty_windows import first_empty_window

# What the kernels compute with int64 (positions, window starts, spans) stays below
# this bound, so that the sum of any two of them fits.
LIMIT = 2**62
# Up to so many leading axes, NumPy has room for one more, and indexes along all of them.
MOST_LEADING = 16


@dataclass(frozen=True)
class Axis:
    """The windows along one spatial axis; window o has taps o*stride - pad_low + k*dilation."""

    size: int
    output: int
    kernel: int
    stride: int
    dilation: int
    pad_low: int

    @property
    def span(self) -> int:
        """Cells from the first tap of a window to its last, both included."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def overlapping(self) -> bool:
        """Whether a cell can belong to two windows."""
        return self.output > 1 and self.span > self.stride

    @property
    def empty_window(self) -> int | None:
        """The first window without a cell, which an unpooling may have, or None."""
        return first_empty_window(
            self.size, self.output, self.kernel, self.stride, self.dilation, self.pad_low
        )

    @property
    def starts(self) -> np.ndarray:
        """Position of every window's first tap, negative in the padding; int64."""
        starts: np.ndarray = np.arange(self.output, dtype=np.int64) * self.stride - self.pad_low
        return starts

    @property
    def first_taps(self) -> np.ndarray:
        """Number of every window's first tap inside the input; int64."""
        first: np.ndarray = np.maximum(-(self.starts // self.dilation), 0)
        return first

    @property
    def tap_counts(self) -> np.ndarray:
        """How many taps of every window lie inside the input, at least 1; int64."""
        stops = np.minimum(-((self.starts - self.size) // self.dilation), self.kernel)
        counts: np.ndarray = stops - self.first_taps
        return counts


@dataclass(frozen=True)
class Geometry:
    """One validated pooling: leading axes, two spatial axes, channels and layout."""

    lead: tuple[int, ...]
    height: Axis
    width: Axis
    channels: int
    layout: Layout

    @cached_property
    def planes(self) -> int:
        """Product of the leading axes: images for NHWC, images times channels for NCHW."""
        return math.prod(self.lead)

    @cached_property
    def input_shape(self) -> tuple[int, ...]:
        return self._shape(self.height.size, self.width.size)

    @cached_property
    def output_shape(self) -> tuple[int, ...]:
        return self._shape(self.height.output, self.width.output)

    @cached_property
    def _left_out(self) -> tuple[int, ...]:
        """The leading axes that canonical arrays lack: those of length 1, where there are many."""
        many = len(self.lead) > MOST_LEADING
        return tuple(i for i, n in enumerate(self.lead) if many and n == 1)

    @property
    def overlapping(self) -> bool:
        """Whether a cell can belong to two windows."""
        return self.height.overlapping or self.width.overlapping

    @property
    def windows(self) -> tuple[int, ...]:
        """What kernels are compiled for, more or less: windows and layout, but no sizes."""
        height, width = self.height, self.width
        return (
            height.kernel, height.stride, height.dilation,
            width.kernel, width.stride, width.dilation, self.channels > 1,
        )  # fmt: skip

    def counted_cells(self, index_format: IndexFormat) -> int | None:
        """How many cells flat indices count: those of the input's plane; None for window ones."""
        return self.height.size * self.width.size if index_format == "flat" else None

    def index_dtype(self, index_format: IndexFormat) -> np.dtype[Any]:
        """The dtype of the indices that the forward returns in `index_format`."""
        if index_format == "flat":
            return np.dtype(np.int64)
        return np.min_scalar_type(self.height.kernel * self.width.kernel - 1)

    def canonical(self, array: np.ndarray) -> np.ndarray:
        """A view of `array` as (leading axes, height, width, channels) in either layout.

        There is at least one leading axis; where there are many, those of length 1 are left
        out. NCHW has one channel.
        """
        if self._left_out:
            array = array.squeeze(self._left_out)
        if self.layout == "NCHW":
            array = array[..., np.newaxis]
        return array if array.ndim > 3 else array[np.newaxis]

    @property
    def plane_cells(self) -> int:
        """Cells of one plane, all channels, of input or output, whichever is larger."""
        height, width = self.height, self.width
        return max(height.size * width.size, height.output * width.output) * self.channels

    def plane_blocks(self, cells: int) -> Iterator[tuple[int, tuple[np.ndarray, ...]]]:
        """Planes in groups of about `cells` cells: the first one's number, and an index.

        The index picks the group out of the leading axes of a canonical array.
        """
        count = max(1, cells // self.plane_cells)
        lead = tuple(n for i, n in enumerate(self.lead) if i not in self._left_out)
        for first in range(0, self.planes, count):
            numbers = np.arange(first, min(first + count, self.planes))
            yield first, np.unravel_index(numbers, lead or (1,))

    def _shape(self, height: int, width: int) -> tuple[int, ...]:
        if self.layout == "NCHW":
            return (*self.lead, height, width)
        return (*self.lead, height, width, self.channels)


def pooling(
    function: str,
    name: str,
    shape: tuple[int, ...],
    kernel_size: object,
    stride: object,
    padding: object,
    dilation: object,
    ceil_mode: object,
    layout: object,
    index_format: object,
) -> Geometry:
    """The geometry of pooling an input of `shape`; `name` is what messages call the input.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value, or some window would hold no cell.
    """
    spec = windows(function, kernel_size, stride, padding, dilation)
    check_flag(function, "ceil_mode", ceil_mode)
    check_choice(function, "layout", layout, ("NCHW", "NHWC"))
    check_choice(function, "index_format", index_format, ("flat", "window"))
    geometry = _pooling(function, name, shape, spec, bool(ceil_mode), layout)
    check_codes(function, spec.kernel, index_format)
    return geometry


def unpooling(
    function: str,
    shape: tuple[int, ...],
    kernel_size: object,
    stride: object,
    padding: object,
    output_size: object,
    dilation: object,
    layout: object,
    index_format: object,
) -> Geometry:
    """The geometry whose *output* has `shape`; its input is what the unpooling returns.

    The size of the result follows PyTorch's ``max_unpool2d``: the smallest input that
    pools to `shape`, or an `output_size` that is less than one stride away from it.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value.
    """
    spec = windows(function, kernel_size, stride, padding, dilation)
    check_choice(function, "layout", layout, ("NCHW", "NHWC"))
    check_choice(function, "index_format", index_format, ("flat", "window"))
    check_codes(function, spec.kernel, index_format)
    lead, sizes, channels = _split(function, "x", shape, layout)
    wanted = _output_size(function, output_size, lead, channels, layout)
    axes = []
    for axis in (0, 1):
        kernel, step, gap = spec.kernel[axis], spec.stride[axis], spec.dilation[axis]
        span, count = spec.spans[axis], sizes[axis]
        if spec.padding == "same":
            default = count * step
            low, high = default - step + 1, default
        else:
            default = (count - 1) * step - sum(spec.padding[axis]) + span
            low, high = default - step + 1, default + step - 1
        size = default if wanted is None else wanted[axis]
        if wanted is not None and not low <= size <= high:
            raise ValueError(
                f"{function}: output_size {wanted} is out of reach on the {_AXES[axis]} axis, "
                f"which must be {max(low, 1)} to {high}; x has shape {shape}"
            )
        if size < 1:
            raise ValueError(
                f"{function}: padding {spec.padding} leaves nothing of the {_AXES[axis]} axis, "
                f"whose size would be {size}; x has shape {shape}"
            )
        if spec.padding == "same":
            pad_low = _same_padding(size, span, step, count)[0]
        else:
            pad_low = spec.padding[axis][0]
        _check_limit(function, "x", shape, (count * step, span, pad_low, size))
        axes.append(Axis(size, count, kernel, step, gap, pad_low))
    return Geometry(lead, axes[0], axes[1], channels, layout)  # type: ignore[arg-type]


_AXES = ("height", "width")


@lru_cache(maxsize=256)
def _pooling(
    function: str, name: str, shape: tuple[int, ...], spec: Windows, ceil_mode: bool, layout: Layout
) -> Geometry:
    lead, sizes, channels = _split(function, name, shape, layout)
    spans = spec.spans
    if spec.padding == "same":
        pads = tuple(
            _same_padding(size, span, step, -(-size // step))
            for size, span, step in zip(sizes, spans, spec.stride, strict=True)
        )
    else:
        pads = spec.padding
    outputs = []
    for axis in (0, 1):
        low, high = pads[axis]
        size, span, step = sizes[axis], spans[axis], spec.stride[axis]
        outputs.append(output_length(size, low, high, span, step, ceil_mode))
    if min(outputs) < 1:
        padded = tuple(size + low + high for size, (low, high) in zip(sizes, pads, strict=True))
        spread = max(spec.dilation) > 1
        dilated = f" with dilation {spec.dilation} spans {spans} and" if spread else ""
        raise ValueError(
            f"{function}: kernel_size {spec.kernel}{dilated} does not fit the padded input "
            f"{padded}; {name} has shape {shape}"
        )
    axes = []
    for axis in (0, 1):
        low, high = pads[axis]
        size, span = sizes[axis], spans[axis]
        kernel, step, gap = spec.kernel[axis], spec.stride[axis], spec.dilation[axis]
        _check_limit(function, name, shape, (size + low + high, span))
        along = Axis(size, outputs[axis], kernel, step, gap, low)
        empty = along.empty_window
        if empty is not None:
            raise ValueError(
                f"{function}: window {empty} of the {_AXES[axis]} axis holds no input cell "
                f"(kernel_size {spec.kernel}, stride {spec.stride}, padding {spec.padding}, "
                f"dilation {spec.dilation}); {name} has shape {shape}"
            )
        axes.append(along)
    return Geometry(lead, axes[0], axes[1], channels, layout)


def output_length(size: int, low: int, high: int, span: int, stride: int, ceil_mode: bool) -> int:
    """How many windows an axis has; below 1 if there is no room for any.

    PyTorch's and ONNX's rule: with `ceil_mode`, the last window must start before the padding at
    the end. For whatever counts as an integer, the symbols of a compiler included.
    """
    room = size + low + high - span
    output = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (output - 1) * stride >= size + low:
        output -= 1
    return output


def _check_limit(function: str, name: str, shape: tuple[int, ...], numbers: Iterable[int]) -> None:
    if max(numbers) >= LIMIT:
        raise ValueError(
            f"{function}: kernel_size, stride, padding and dilation exceed 64-bit index "
            f"arithmetic; {name} has shape {shape}"
        )


def _split(
    function: str, name: str, shape: tuple[int, ...], layout: object
) -> tuple[tuple[int, ...], Pair, int]:
    """Leading axes, spatial sizes and channels of an input shape."""
    least = 2 if layout == "NCHW" else 3
    if len(shape) < least:
        raise ValueError(
            f"{function}: {name} needs at least {least} axes in layout {layout!r}, "
            f"got shape {shape}"
        )
    at = len(shape) - least
    lead, sizes = shape[:at], (shape[at], shape[at + 1])
    channels = 1 if layout == "NCHW" else shape[-1]
    if min(sizes) < 1:
        raise ValueError(f"{function}: {name} has an empty spatial axis, got shape {shape}")
    return lead, sizes, channels


def _output_size(
    function: str, value: object, lead: tuple[int, ...], channels: int, layout: object
) -> Pair | None:
    """The wanted spatial sizes from a pair or from a whole shape."""
    if value is None:
        return None
    values = entries(value)
    if values is None:
        raise TypeError(
            f"{function}: output_size must be a pair or a shape, got {type(value).__name__}"
        )
    numbers = tuple(integer(function, "output_size", entry, 0) for entry in values)
    if len(numbers) == 2:
        return numbers[0], numbers[1]
    least = 2 if layout == "NCHW" else 3
    at = len(numbers) - least
    rest = () if layout == "NCHW" else (channels,)
    if at < 0 or numbers[:at] != lead or numbers[at + 2 :] != rest:
        raise ValueError(
            f"{function}: output_size must be (height, width) or a shape that differs from "
            f"that of x in its spatial axes only, got {numbers}"
        )
    return numbers[at], numbers[at + 1]


def _same_padding(size: int, span: int, stride: int, output: int) -> Pair:
    total = max((output - 1) * stride + span - size, 0)
    return total // 2, total - total // 2
