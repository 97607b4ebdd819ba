"""Blocks of arrays handed to a backend: as one call on views, or as slices and parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ..rules.arrangement import Arrangement, arranged
from ..rules.call import Call, Function
from ..rules.downsampling import NAME, Blocks
from ..rules.operation import ANY, AVERAGE, MAXIMUM, MINIMUM, MODE
from ..rules.sums import Division
from .execute import execute_call


class Task(NamedTuple):
    """What is known of all calls of one kind.

    Attributes
    ----------
    blocks : Blocks
        What is asked for.
    arrangement : Arrangement or None
        How the arrays are seen; None if nothing is computed.
    call : Call or None
        What is asked of a backend then.
    """

    blocks: Blocks
    arrangement: Arrangement | None
    call: Call | None


def planned(blocks: Blocks, strides: Sequence[tuple[int, ...]]) -> Task:
    """How blocks of arrays with these strides are reduced: of x, of a mask, of the result."""
    if 0 in blocks.outputs or blocks.operation is None:
        return Task(blocks, None, None)
    arrangement = arranged(blocks, strides)
    return Task(blocks, arrangement, _call(blocks, arrangement))


def _call(blocks: Blocks, arrangement: Arrangement) -> Call:
    """What is asked of a backend."""
    operation, dtype, result = blocks.operation, blocks.dtype, blocks.result
    assert operation is not None
    missing, division = blocks.missing, None
    if operation.truth and missing is None and dtype.itemsize == 1:
        # A byte is 0 or not, whatever it means. The result has the extremes, which become truths.
        operation, dtype = MAXIMUM if operation is ANY else MINIMUM, np.dtype(np.uint8)
    elif not (operation.picks_cell or operation.truth):
        made = np.dtype(np.uint8) if result.kind == "b" else result
        division = Division(made, None if operation is AVERAGE else 1, True)
    names = ("x",) if missing is None or not missing.masked else ("x", "mask")
    function = Function(NAME, "forward", operation, len(arrangement.geometry.axes), names)
    return Call(function, arrangement.geometry, "flat", dtype, None, division, missing)


def write(
    task: Task, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...], backend: Any
) -> None:
    """Fill the outputs: the result, and for a masked array its mask."""
    blocks, call = task.blocks, task.call
    if blocks.operation is None:
        steps = tuple(slice(None, None, each) for each in blocks.factors)
        ends = tuple(map(slice, blocks.outputs))
        for array, output in zip(inputs, outputs, strict=False):
            output[...] = array[steps][ends]
    if len(outputs) == 2 and (blocks.operation is None) == (len(inputs) == 1):
        outputs[1][...] = False
    if call is None:
        return
    if blocks.filled:
        _write_filled(task, inputs[0], outputs[0], backend)
        return
    _run(task, call, inputs, outputs, backend)


def _run(
    task: Task,
    call: Call,
    inputs: tuple[np.ndarray, ...],
    outputs: tuple[np.ndarray, ...],
    backend: Any,
) -> None:
    """Have a backend reduce all blocks."""
    arrangement = task.arrangement
    assert arrangement is not None
    x, output = inputs[0], outputs[0]
    result = call.results[0][1]
    if x.dtype.itemsize == 1 and x.dtype != call.dtype:
        x = x.view(call.dtype)
    if output.dtype != result:  # a bool that is made as a byte
        output = output.view(result)
    seen = arrangement.seen
    read, written = arrangement.geometry.input_shape, arrangement.geometry.output_shape
    arrays_in = (seen(x, read), *(seen(each, read) for each in inputs[1:]))
    target: Any = seen(output, written)
    if call.masks:
        target = target, seen(outputs[1], written)
    execute_call(call, arrays_in, target, backend)
    if len(outputs) == 2 and not call.masks:
        outputs[1][...] = False
    if task.blocks.result.kind == "b" and result.kind != "b":
        np.not_equal(output, 0, out=outputs[0])


def _write_filled(task: Task, x: np.ndarray, output: np.ndarray, backend: Any) -> None:
    """Fill the output of an array that is filled up with NaN: apart where blocks are cut."""
    blocks = task.blocks
    along = tuple(zip(blocks.shape, blocks.factors, blocks.lacking, blocks.outputs, strict=True))
    mode = blocks.operation is MODE
    # Of an axis that is shorter than its factor, all cells are the block that is cut.
    factors = [factor + lack if factor == size else factor for size, factor, lack, _ in along]
    for cut in product(*((False, True) if lack else (False,) for _, _, lack, _ in along)):
        windows, pieces = list[slice](), list[slice]()
        for behind, factor, (size, _, lack, count) in zip(cut, factors, along, strict=True):
            full = count - (lack > 0)
            windows.append(slice(full, count) if behind else slice(full))
            pieces.append(slice(full * factor, size) if behind else slice(full * factor))
        target, cells = output[tuple(windows)], x[tuple(pieces)]
        if not target.size:
            continue
        lacks = [lack if behind else 0 for behind, (_, _, lack, _) in zip(cut, along, strict=True)]
        if any(cut):
            whole = math.prod(n + lack for n, lack in zip(cells.shape, lacks, strict=True))
            if not mode or whole > 2 * cells.size:  # more than half of each block is NaN
                target[...] = np.nan
                continue
            cells = np.pad(cells, [(0, lack) for lack in lacks], constant_values=np.nan)
        inner = replace(
            blocks, shape=cells.shape, factors=tuple(factors), outputs=target.shape, filled=False
        )
        write(planned(inner, (cells.strides, target.strides)), (cells,), (target,), backend)
        if any(cut):
            target[np.isnan(target)] = np.nan
