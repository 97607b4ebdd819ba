"""The sizes of a pooling: every rule about windows, padding, layout and shapes.

The arguments of a call become one frozen `Geometry`, checked once and cached, so that the
code below it only executes. All arithmetic here is on Python integers: no argument,
however hostile, wraps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from .arguments import Integers, Pair, Windows, entries, integer, output_sizes
from .axis import Axis, adaptive

# What is computed with int64 (positions, window starts, spans) stays below this bound, so that the
# sum of any two of them fits.
LIMIT = 2**62
# Up to so many leading axes, NumPy has room for one more, and indexes along all of them.
MOST_LEADING = 16

# By the number of spatial axes: the layouts, channels first and channels last.
LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}
_AXES = ("depth", "height", "width")


@dataclass(frozen=True)
class Geometry:
    """One validated pooling: leading axes, spatial axes, channels and layout.

    The spatial axes of one channel of one image are a *plane*, of whatever number of axes: a line
    in 1-D, a volume in 3-D.
    """

    lead: tuple[int, ...]
    axes: tuple[Axis, ...]
    channels: int
    layout: str

    @cached_property
    def planes(self) -> int:
        """The product of the leading axes: images, times channels where these stand first."""
        return math.prod(self.lead)

    @property
    def channels_last(self) -> bool:
        """Whether the channels stand behind the spatial axes."""
        return self.layout.endswith("C")

    @property
    def sizes(self) -> Integers:
        """The spatial sizes of the input."""
        return tuple(axis.size for axis in self.axes)

    @property
    def outputs(self) -> Integers:
        """The spatial sizes of the output."""
        return tuple(axis.output for axis in self.axes)

    @property
    def kernel(self) -> Integers:
        """The window's taps along each axis."""
        return tuple(axis.kernel for axis in self.axes)

    @cached_property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of the input."""
        return self.with_spatial(self.lead, self.sizes)

    @cached_property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the output."""
        return self.with_spatial(self.lead, self.outputs)

    def with_spatial(self, lead: tuple[int, ...], sizes: Integers) -> tuple[int, ...]:
        """The shape of an array with these leading axes and spatial sizes."""
        return (*lead, *sizes, self.channels) if self.channels_last else (*lead, *sizes)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to pool: an axis has length 0."""
        return not self.planes * self.channels * math.prod(self.outputs)

    @property
    def regular(self) -> bool:
        """Whether all windows have the same distance, and as many taps."""
        return all(axis.regular for axis in self.axes)

    @property
    def overlapping(self) -> bool:
        """Whether a cell can belong to two windows."""
        return any(axis.overlapping for axis in self.axes)

    @property
    def windows(self) -> tuple[int, ...]:
        """What kernels are compiled for, more or less: windows and layout, but no sizes."""
        rules = [(axis.kernel, axis.stride, axis.dilation) for axis in self.axes]
        return (*(number for rule in rules for number in rule), self.channels > 1)

    @cached_property
    def _left_out(self) -> tuple[int, ...]:
        """The leading axes that canonical arrays lack: those of length 1, where there are many."""
        many = len(self.lead) > MOST_LEADING
        return tuple(i for i, n in enumerate(self.lead) if many and n == 1)

    def canonical(self, array: np.ndarray) -> np.ndarray:
        """A view of `array` as (leading axes, spatial axes, channels) in either layout.

        There is at least one leading axis; where there are many, those of length 1 are left
        out. With the channels first, there is one channel.
        """
        if self._left_out:
            array = array.squeeze(self._left_out)
        if not self.channels_last:
            array = array[..., np.newaxis]
        return array if array.ndim > len(self.axes) + 1 else array[np.newaxis]

    @property
    def plane_cells(self) -> int:
        """Cells of one plane, all channels, of input or output, whichever is larger."""
        return max(math.prod(self.sizes), math.prod(self.outputs)) * self.channels

    def plane_blocks(self, cells: int) -> Iterator[tuple[int, tuple[np.ndarray, ...]]]:
        """Planes in groups of about `cells` cells: the first one's number, and an index.

        The index picks the group out of the leading axes of a canonical array.
        """
        count = max(1, cells // self.plane_cells)
        lead = tuple(n for i, n in enumerate(self.lead) if i not in self._left_out)
        for first in range(0, self.planes, count):
            numbers = np.arange(first, min(first + count, self.planes))
            yield first, np.unravel_index(numbers, lead or (1,))


def shared(
    function: str,
    name: str,
    shape: tuple[int, ...],
    output_size: object,
    dimensions: int,
    layout: str,
) -> Geometry:
    """The geometry of an adaptive pooling of an input of `shape`, which messages call `name`.

    `output_size` has a number for each axis, or one for all; None keeps an axis.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value.
    """
    lead, sizes, channels = _split(function, name, shape, dimensions, layout)
    wanted, axes = output_sizes(function, output_size, dimensions), list[Axis]()
    for size, value in zip(sizes, wanted, strict=True):
        output = size if value is None else value
        if max(output, size) >= LIMIT:
            raise ValueError(f"{function}: an axis of {name} has 2**62 cells or windows or more")
        axes.append(adaptive(size, output))
    return Geometry(lead, tuple(axes), channels, layout)


@lru_cache(maxsize=256)
def pooled(
    function: str,
    name: str,
    shape: tuple[int, ...],
    spec: Windows,
    ceil_mode: bool,
    layout: str,
) -> Geometry:
    """The geometry of pooling an input of `shape`; `name` is what messages call the input.

    Raises
    ------
    ValueError
        The windows do not fit, or some window would hold no cell.
    """
    dimensions = len(spec.kernel)
    lead, sizes, channels = _split(function, name, shape, dimensions, layout)
    if spec.padding == "same":
        pads = tuple(
            _same_padding(size, span, step, -(-size // step))
            for size, span, step in zip(sizes, spec.spans, spec.stride, strict=True)
        )
    else:
        pads = spec.padding
    outputs = [
        output_length(size, low, high, span, step, ceil_mode)
        for size, (low, high), span, step in zip(sizes, pads, spec.spans, spec.stride, strict=True)
    ]
    if min(outputs) < 1:
        padded = tuple(size + low + high for size, (low, high) in zip(sizes, pads, strict=True))
        spread = max(spec.dilation) > 1
        dilated = f" with dilation {spec.dilation} spans {spec.spans} and" if spread else ""
        raise ValueError(
            f"{function}: kernel_size {spec.kernel}{dilated} does not fit the padded input "
            f"{padded}; {name} has shape {shape}"
        )
    axes = []
    for number, (size, output, (low, high)) in enumerate(zip(sizes, outputs, pads, strict=True)):
        _check_limit(function, name, shape, (size + low + high, spec.spans[number]))
        axis = Axis(
            size, output, spec.kernel[number], spec.stride[number], spec.dilation[number], low, high
        )
        empty = axis.empty_window
        if empty is not None:
            raise ValueError(
                f"{function}: window {empty} of the {_axis_name(dimensions, number)} axis holds "
                f"no input cell (kernel_size {spec.kernel}, stride {spec.stride}, padding "
                f"{spec.padding}, dilation {spec.dilation}); {name} has shape {shape}"
            )
        axes.append(axis)
    return Geometry(lead, tuple(axes), channels, layout)


def unpooled(
    function: str, shape: tuple[int, ...], spec: Windows, output_size: object, layout: str
) -> Geometry:
    """The geometry whose *output* has `shape`; its input is what the unpooling returns.

    The size of the result follows PyTorch's ``max_unpool2d``: the smallest input that
    pools to `shape`, or an `output_size` that is less than one stride away from it.

    Raises
    ------
    TypeError, ValueError
        `output_size` has the wrong type or value, or nothing would be left.
    """
    dimensions = len(spec.kernel)
    lead, counts, channels = _split(function, "x", shape, dimensions, layout)
    wanted = _output_size(function, output_size, lead, channels, dimensions, layout)
    axes = []
    for number, count in enumerate(counts):
        step, span = spec.stride[number], spec.spans[number]
        if spec.padding == "same":
            default = count * step
            low, high = default - step + 1, default
        else:
            default = (count - 1) * step - sum(spec.padding[number]) + span
            low, high = default - step + 1, default + step - 1
        size = default if wanted is None else wanted[number]
        along = _axis_name(dimensions, number)
        if wanted is not None and not low <= size <= high:
            raise ValueError(
                f"{function}: output_size {wanted} is out of reach on the {along} axis, "
                f"which must be {max(low, 1)} to {high}; x has shape {shape}"
            )
        if size < 1:
            raise ValueError(
                f"{function}: padding {spec.padding} leaves nothing of the {along} axis, "
                f"whose size would be {size}; x has shape {shape}"
            )
        if spec.padding == "same":
            low, high = _same_padding(size, span, step, count)
        else:
            low, high = spec.padding[number]
        _check_limit(function, "x", shape, (count * step, span, low, size))
        axes.append(Axis(size, count, spec.kernel[number], step, spec.dilation[number], low, high))
    return Geometry(lead, tuple(axes), channels, layout)


def output_length(size: int, low: int, high: int, span: int, stride: int, ceil_mode: bool) -> int:
    """How many windows an axis has; below 1 if there is no room for any.

    PyTorch's and ONNX's rule: with `ceil_mode`, the last window must start before the padding at
    the end. It takes whatever counts as an integer, the symbols of a compiler included.
    """
    room = size + low + high - span
    output = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (output - 1) * stride >= size + low:
        output -= 1
    return output


def _axis_name(dimensions: int, number: int) -> str:
    return _AXES[number - dimensions]


def _check_limit(function: str, name: str, shape: tuple[int, ...], numbers: Iterable[int]) -> None:
    if max(numbers) >= LIMIT:
        raise ValueError(
            f"{function}: kernel_size, stride, padding and dilation exceed 64-bit index "
            f"arithmetic; {name} has shape {shape}"
        )


def _split(
    function: str, name: str, shape: tuple[int, ...], dimensions: int, layout: str
) -> tuple[tuple[int, ...], Integers, int]:
    """Leading axes, spatial sizes and channels of an input shape."""
    channels_last = layout.endswith("C")
    at = len(shape) - dimensions - channels_last
    if at < 0:
        least = dimensions + channels_last
        plural = "axis" if least == 1 else "axes"
        raise ValueError(
            f"{function}: {name} needs at least {least} {plural} in layout {layout!r}, "
            f"got shape {shape}"
        )
    lead, sizes = shape[:at], shape[at : at + dimensions]
    if min(sizes) < 1:
        raise ValueError(f"{function}: {name} has an empty spatial axis, got shape {shape}")
    return lead, sizes, shape[-1] if channels_last else 1


def _output_size(
    function: str,
    value: object,
    lead: tuple[int, ...],
    channels: int,
    dimensions: int,
    layout: str,
) -> Integers | None:
    """The wanted spatial sizes, from these alone or from a whole shape."""
    if value is None:
        return None
    values = entries(value)
    if values is None:
        raise TypeError(
            f"{function}: output_size must be {_SIZES[dimensions][0]} or a shape, "
            f"got {type(value).__name__}"
        )
    numbers = tuple(integer(function, "output_size", each, 0) for each in values)
    if len(numbers) == dimensions:
        return numbers
    rest = (channels,) if layout.endswith("C") else ()
    at = len(numbers) - dimensions - len(rest)
    if at < 0 or numbers[:at] != lead or numbers[at + dimensions :] != rest:
        raise ValueError(
            f"{function}: output_size must be {_SIZES[dimensions][1]} or a shape that differs "
            f"from that of x in its spatial axes only, got {numbers}"
        )
    return numbers[at : at + dimensions]


_SIZES = {
    1: ("(width,)", "(width,)"),
    2: ("a pair", "(height, width)"),
    3: ("a triple", "(depth, height, width)"),
}


def _same_padding(size: int, span: int, stride: int, output: int) -> Pair:
    total = max((output - 1) * stride + span - size, 0)
    return total // 2, total - total // 2
