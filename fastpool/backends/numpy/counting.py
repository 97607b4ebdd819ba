"""The most frequent value of every window: all taps of some windows, sorted.

Equal values then stand side by side, the earliest tap in front. The longest of these runs wins, and
of equally long ones that which begins with the earliest tap::

    taps 0 1 2 3 4     values  5 2 5 9 2
    sorted             2 2 5 5 9
    their taps         1 4 0 2 3           the run of 5 begins with tap 0, that of 2 with tap 1
"""

from __future__ import annotations

import math

import numpy as np

from ...rules.arrays import native
from ...rules.call import Call
from ...rules.indices import flat_of, tap_of, unraveled
from .blocks import BLOCK, blocks_to_read, joined


def forward(
    call: Call, x: np.ndarray, output: np.ndarray, indices: np.ndarray | None = None
) -> int | None:
    """Fill `output`, and `indices` unless None. There are no bad indices."""
    geometry, channels = call.geometry, call.geometry.channels
    axes, count = geometry.axes, len(geometry.axes)
    x, output, *rest = joined([x, output] if indices is None else [x, output, indices], count + 1)
    # Taps outside are none of a block's cells, but need room in the sort.
    taps = math.prod(min(axis.kernel, axis.size) for axis in axes)
    for block in blocks_to_read(geometry, max(1, BLOCK // taps), x.ndim == count + 2):
        cells, local = native(x[block.cells]), block.axes
        first = [axis.first_taps for axis in local]
        counts = [axis.tap_counts for axis in local]
        most = [int(along.max()) for along in counts]
        # The taps inside of each window along each axis, and where they lie; what a window lacks
        # stands behind.
        position, inside = np.zeros((), np.int64), np.ones((), bool)
        for number, axis in enumerate(local):
            numbers = np.arange(most[number])
            shape = [1] * (2 * count)
            shape[number], shape[count + number] = axis.output, most[number]
            place = axis.starts[:, None] + (first[number][:, None] + numbers) * axis.dilation
            has = (numbers < counts[number][:, None]).reshape(shape)
            place = np.where(has, place.reshape(shape), 0)
            position, inside = position * axis.size + place, inside & has
        windows, width = [axis.output for axis in local], math.prod(most)
        position = np.broadcast_to(position, (*windows, *most)).reshape(*windows, 1, width)
        inside = np.broadcast_to(inside, (*windows, *most)).reshape(*windows, 1, width)
        plane = np.arange(len(cells)).reshape(-1, *(1,) * (count + 2))
        position = plane * math.prod(axis.size for axis in local) + position
        position = position * channels + np.arange(channels)[:, None]
        picked = modes(cells.reshape(-1).take(position), inside)
        chosen = np.take_along_axis(position, picked[..., None], -1)[..., 0]
        output[block.windows] = cells.reshape(-1).take(chosen)
        if rest:
            # Not NumPy's unravel_index, which is wrong on some large arrays (2.4.6).
            along, named = unraveled(most, picked), []
            for number, axis in enumerate(local):
                shape = [1] * (count + 2)
                shape[number + 1] = axis.output
                along[number] = along[number] + first[number].reshape(shape)
                start = axis.starts.reshape(shape) + block.lows[number]
                named.append(start + along[number] * axis.dilation)
            rest[0][block.windows] = tap_of(axes, along) if call.window else flat_of(axes, named)
    return None


def modes(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The first tap of the most frequent value of each window; taps lie along the last axis.

    Taps that are not inside count nowhere.
    """
    if values.dtype.kind == "b":  # any byte but 0 is True
        values = values.view(np.uint8) != 0
    width, inside = values.shape[-1], np.broadcast_to(inside, values.shape)
    order = np.lexsort((values, ~inside))
    values = np.take_along_axis(values, order, -1)
    inside = np.take_along_axis(inside, order, -1)
    starts = np.ones(values.shape, bool)
    starts[..., 1:] = values[..., 1:] != values[..., :-1]
    starts[..., 1:] |= inside[..., 1:] != inside[..., :-1]
    places = np.arange(width)
    ends = np.full(values.shape, width)
    ends[..., :-1] = np.where(starts[..., 1:], places[1:], width)
    ends = np.minimum.accumulate(ends[..., ::-1], -1)[..., ::-1]
    scores = np.where(starts & inside, (ends - places) * width - order, -(width**2))
    run = scores.argmax(-1)
    found: np.ndarray = np.take_along_axis(order, run[..., None], -1)[..., 0]
    return found
