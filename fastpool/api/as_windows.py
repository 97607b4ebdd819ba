"""Blocks as windows: which pooling `downsample` is, for adapters that have derivatives of those."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..rules import sums
from ..rules.downsampling import Blocks
from ..rules.members import DIMENSIONS
from ..rules.operation import AVERAGE, MAXIMUM, MINIMUM, SUM


class Pooling(NamedTuple):
    """A pooling that has the bits of some blocks.

    Attributes
    ----------
    name : str
        The public function.
    axes : tuple of int
        The axes that it pools, which must stand last.
    kernel_size : tuple of int
        Its windows, which tile these.
    options : dict
        Its other arguments.
    """

    name: str
    axes: tuple[int, ...]
    kernel_size: tuple[int, ...]
    options: dict[str, Any]


def pooling_of(blocks: Blocks) -> Pooling | None:
    """The pooling that makes the same of blocks; None if there is none.

    As where cells are missing, for medians, and for results without a cell.
    """
    operation = blocks.operation
    if blocks.missing is not None or blocks.filled or 0 in blocks.outputs:
        return None
    if operation is AVERAGE and blocks.result.kind == "b":
        return None
    if operation not in (AVERAGE, MAXIMUM, MINIMUM, SUM):
        return None
    axes = tuple(axis for axis, factor in enumerate(blocks.factors) if factor > 1)
    axes = axes or tuple(range(len(blocks.shape)))[-1:]
    if len(axes) not in DIMENSIONS:
        return None
    kernel = tuple(blocks.factors[axis] for axis in axes)
    cut = any(
        blocks.outputs[axis] * factor > blocks.shape[axis]
        for axis, factor in zip(axes, kernel, strict=True)
    )
    options: dict[str, Any] = {"ceil_mode": cut}
    if operation is AVERAGE:
        options["count_include_pad"] = False
    name = f"{operation.name}pool{len(axes)}d"
    if operation in (AVERAGE, SUM):
        usual = sums.average_dtype if operation is AVERAGE else sums.sum_dtype
        if blocks.result != usual(name, blocks.dtype, None):
            options["dtype"] = blocks.result
    return Pooling(name, axes, kernel, options)
