"""Cells that pull: what the windows of each cell give to it, if they name it.

Written in LLVM's language at once, as `windows` is.
"""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir
from numba.core import types

from .memory import pointer_to
from .types import (
    INT32,
    INT64,
    broadcast,
    constants,
    generated,
    scalar_type,
    unpack,
    vector_type,
)


class Pull(NamedTuple):
    """What is known of windows when the code is compiled.

    A *phase* is a cell's place between the beginning of the last window before it and that of the
    next one. A vector of windows has as many vectors of cells as there are phases.
    """

    phases: int  # the stride along the row, or 1 if a call is for one phase
    step: int  # columns of taps from one window to the next
    columns: int  # of taps
    turn: int  # the phase of the first cell
    rows: int  # of windows that reach a row of cells, at most
    fewer: int  # and at least


@generated
def pull_cells(typing, pull, some, few, codes, gradients, cells, at, to, windows, wanted):
    """Add what windows give to the cells that they name, and store all cells in their order.

    Parameters
    ----------
    pull : int
        A packed `Pull`.
    some : int
        Whether as few rows of windows as may be reach these cells.
    few : int
        Whether one window along each row is left out: the first one.
    codes, gradients, cells : Cells
        The taps that windows name, what they give, both from the first row of windows on; and
        where the cells go. Windows that do not exist give zeros. Without taps, windows give to all
        their cells.
    at, to : int
        The window of the first cell's phase, and that cell.
    windows : tuple
        From one row of windows to the next, and from one window to the next.
    wanted : tuple
        The tap of the first row of windows, and how much less it is in each further row.
    """
    kind = unpack(Pull, pull.literal_value)
    rows = kind.fewer if some.literal_value else kind.rows
    lanes, vector = cells.lanes, vector_type(cells.vector)

    def generate(context, builder, signature, arguments):
        _, _, _, codes_, gradients_, cells_, at, to, windows, wanted = arguments
        pitch, back = (builder.extract_value(windows, number) for number in range(2))
        first, less = (builder.extract_value(wanted, number) for number in range(2))
        add = builder.fadd if isinstance(cells.element, types.Float) else builder.add

        def added(total, row, column, later, tap):
            place = builder.add(builder.add(at, INT64(later)), builder.mul(pitch, INT64(row)))
            place = builder.sub(place, builder.mul(back, INT64(column)))
            pointer = pointer_to(builder, gradients_, place, vector)
            sums = add(total, builder.load(pointer, align=1))
            if isinstance(codes, types.NoneType):
                return sums
            number = builder.sub(first, builder.mul(less, INT64(row)))
            number = builder.trunc(builder.add(number, INT64(tap)), scalar_type(codes.element))
            pointer = pointer_to(builder, codes_, place, vector_type(codes.vector))
            code = builder.load(pointer, align=1)
            named = builder.icmp_unsigned("==", code, broadcast(builder, number, lanes))
            return builder.select(named, sums, total)

        if some.literal_value and kind.fewer == kind.rows:
            return context.get_dummy_value()  # never called
        found = []
        for number in range(kind.phases):
            later, phase = divmod(kind.turn + number, kind.phases)
            total = ir.Constant(vector, None)
            for row in range(rows):
                columns = -(-(kind.columns - phase) // kind.step) - few.literal_value
                for column in reversed(range(columns)):
                    total = added(total, row, column, later, phase + column * kind.step)
            found.append(total)
        for number, values in enumerate(_in_turns(builder, found)):
            pointer = pointer_to(builder, cells_, builder.add(to, INT64(number * lanes)), vector)
            builder.store(values, pointer, align=1)
        return context.get_dummy_value()

    return types.void(
        pull, some, few, codes, gradients, cells, types.int64, types.int64, windows, wanted
    ), generate


def _in_turns(builder, vectors):
    """The lanes of some vectors taken in turns, as many vectors."""
    count, lanes = len(vectors), vectors[0].type.count
    if count == 1:
        return vectors
    found = []
    for part in range(count):
        sources = [divmod(part * lanes + lane, count)[::-1] for lane in range(lanes)]
        merged = vectors[0]
        for number in range(1, count):
            mask = []
            for lane, (source, origin) in enumerate(sources):
                taken = origin if number == 1 and source == 0 else lane
                mask.append(origin + lanes if source == number else taken)
            merged = builder.shuffle_vector(merged, vectors[number], constants(lanes, INT32, mask))
        found.append(merged)
    return found
