"""Blocks of arrays handed to a backend: as one call on views, or as slices and parts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple, cast

import numpy as np

from ..rules.arrangement import Arrangement, arranged, memory_order
from ..rules.call import Call, Function
from ..rules.downsampling import NAME, Blocks
from ..rules.operation import ANY, AVERAGE, MAXIMUM, MINIMUM, MODE
from ..rules.sums import Division
from . import execute

# Cells of an array that a backend copies at a time.
STRIP = 2**22


class Piece:
    """Blocks that a backend reduces in one call.

    Attributes
    ----------
    cells, windows : tuple
        Where they stand in x, and in the result.
    arrangement : Arrangement
        How these are seen.
    call : Call
        What is asked of the backend.
    known : execute.Task or None
        What is known of that call, from the first time on.
    whole : bool
        Whether they are all blocks.
    result : numpy.dtype
        What the backend makes.
    masks : bool
        Whether it says which blocks have too few cells.
    """

    __slots__ = (
        "arrangement", "call", "cells", "known", "masks", "result", "whole", "windows",
    )  # fmt: skip

    def __init__(
        self, cells: tuple[Any, ...], windows: tuple[Any, ...], arrangement: Arrangement, call: Call
    ) -> None:
        self.cells, self.windows, self.arrangement = cells, windows, arrangement
        self.call, self.known = call, cast("execute.Task | None", None)
        self.whole = all(each in (..., slice(None)) for each in cells)
        self.result, self.masks = call.results[0][1], call.masks


class Task(NamedTuple):
    """What is known of all calls of one kind.

    Attributes
    ----------
    blocks : Blocks
        What is asked for.
    pieces : tuple of Piece
        How it is computed; none if there is nothing to compute.
    """

    blocks: Blocks
    pieces: tuple[Piece, ...]


def planned(blocks: Blocks, strides: Sequence[tuple[int, ...]], copied: bool = False) -> Task:
    """How blocks of arrays with these strides are reduced: of x, of a mask, of the result.

    `copied` says that a backend copies x, which is then done in strips.
    """
    if 0 in blocks.outputs or blocks.operation is None or blocks.filled:
        return Task(blocks, ())
    parts = [_Part(blocks, (slice(None),) * len(blocks.shape), (slice(None),) * len(blocks.shape))]
    if copied and math.prod(blocks.shape) > STRIP:
        axis = memory_order(blocks.shape, strides[0])[0]
        slab = math.prod(blocks.shape) // blocks.shape[axis] * blocks.factors[axis]
        step = max(1, STRIP // slab)
        counts = [
            min(step, blocks.outputs[axis] - first)
            for first in range(0, blocks.outputs[axis], step)
        ]
        parts = list(_divided(parts[0], axis, counts))
    return Task(blocks, tuple(_piece(part, strides) for part in parts))


class _Part(NamedTuple):
    """Some blocks: as if they were all, and where they stand in x and in the result."""

    blocks: Blocks
    cells: tuple[slice, ...]
    windows: tuple[slice, ...]


def _divided(part: _Part, axis: int, counts: Sequence[int]) -> Iterator[_Part]:
    """So many blocks along an axis at a time. The factors remain, as they say what is a tree."""
    blocks, first = part.blocks, 0
    for count in counts:
        factor, size = blocks.factors[axis], blocks.shape[axis]
        low, high = first * factor, min((first + count) * factor, size)
        yield _Part(
            replace(
                blocks,
                shape=_changed(blocks.shape, axis, high - low),
                outputs=_changed(blocks.outputs, axis, count),
            ),
            _changed(part.cells, axis, slice(low, high)),
            _changed(part.windows, axis, slice(first, first + count)),
        )
        first += count


def _changed(entries: tuple[Any, ...], place: int, entry: Any) -> tuple[Any, ...]:
    return (*entries[:place], entry, *entries[place + 1 :])


def _piece(part: _Part, strides: Sequence[tuple[int, ...]]) -> Piece:
    arrangement = arranged(part.blocks, strides)
    call = _call(part.blocks, arrangement)
    # With an ellipsis an array without axes remains one.
    return Piece((..., *part.cells), (..., *part.windows), arrangement, call)


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
    task: Task, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...], backend: str
) -> None:
    """Fill the outputs: the result, and for a masked array its mask.

    All calls with one task ask for one backend, and their arrays lie in memory alike.
    """
    blocks = task.blocks
    if blocks.operation is None:
        steps = tuple(slice(None, None, each) for each in blocks.factors)
        ends = tuple(map(slice, blocks.outputs))
        for array, output in zip(inputs, outputs, strict=False):
            output[...] = array[steps][ends]
    elif blocks.filled and outputs[0].size:
        _write_filled(task, inputs[0], outputs[0], backend)
    masks = blocks.operation is None and len(inputs) == 2
    for piece in task.pieces:
        masks = piece.masks
        if piece.whole:
            _run(piece, inputs, outputs, backend)
        else:
            cells = [array[piece.cells] for array in inputs]
            _run(piece, cells, [array[piece.windows] for array in outputs], backend)
    if len(outputs) == 2 and not masks:
        outputs[1][...] = False


def _run(
    piece: Piece, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray], backend: str
) -> None:
    """Have a backend reduce the blocks of a piece."""
    call, seen, result = piece.call, piece.arrangement.seen, piece.result
    x, output = inputs[0], outputs[0]
    if x.dtype.itemsize == 1 and x.dtype != call.dtype:
        x = x.view(call.dtype)
    made = output
    if output.dtype != result:  # a bool that is made as a byte
        made = output.view(result)
    read, written = call.geometry.input_shape, call.geometry.output_shape
    arrays = (seen(x, read), *[seen(each, read) for each in inputs[1:]])
    targets: tuple[np.ndarray, ...] = (seen(made, written),)
    if piece.masks:
        targets = targets[0], seen(outputs[1], written)
    if piece.known is None:
        piece.known = execute.new_task(
            call, backend, arrays, targets if piece.masks else targets[0]
        )
    execute.fill(piece.known, arrays, targets)
    if made is not output:
        np.not_equal(made, 0, out=output)


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
