"""What a block of windows writes: rows of windows, whole vectors or the first lanes of one."""

from __future__ import annotations

from llvmlite import ir

from .memory import call_masked, lanes_near, past_caches, pointer_to
from .reading import Reading
from .types import INT32, INT64, constants, vector_type

# What is written past the caches begins at multiples of so many bytes, as NumPy's large arrays do.
# Of whole vectors, which begin at whole lines, it takes 0.95 to 1.0 of the time.
PAST = 16


class Writing(Reading):
    """The code that stores the windows of a block, beside that which loads its cells.

    `written` is that of `windows.pool_block`.
    """

    def __init__(self, builder, block, edge, care, x, rows, cells, written):
        super().__init__(builder, block, edge, care, x, rows, cells)
        self.written = written

    def store(self, address, step, row, values, cells):
        """Write a row of windows."""
        builder, kind, count = self.builder, vector_type(cells.vector), self.written[5]
        line = self.offset(address, step, row)
        pointer = pointer_to(builder, line, self.written[4], kind)
        if self.block.whole(self.lanes) < self.lanes:
            self.store_whole(line, values, cells)
            return
        if not self.edge:
            self.store_all(values, pointer, cells)
            return
        full = builder.icmp_signed(">=", count, INT64(self.lanes))
        with builder.if_else(full) as (every_lane, some):
            with every_lane:
                builder.store(values, pointer, align=1)
            with some:
                mask = lanes_near(builder, INT64(0), count, self.lanes)
                arguments = [values, pointer, INT32(1), mask]
                call_masked(builder, "store", cells, ir.VoidType(), arguments)

    def store_all(self, values, pointer, cells):
        """Write every lane: past the caches, if that is wanted of the channels of one window."""
        builder = self.builder
        if self.block.channels:
            builder.store(values, pointer, align=1)
            return
        with builder.if_else(builder.trunc(self.written[6], ir.IntType(1))) as (past, near):
            with past:
                size = min(self.lanes * cells.element.bitwidth // 8, PAST)
                builder.store(values, pointer, align=size).set_metadata(*past_caches(builder))
            with near:
                builder.store(values, pointer, align=1)

    def store_whole(self, line, values, cells):
        """Write the lanes of whole windows: the next block writes over the others, if there is one.

        Of the last block of a row two halves are written, the second one over the end of the first.
        """
        builder, (at, count), half = self.builder, self.written[4:6], self.lanes // 2
        kind = ir.VectorType(values.type.element, half)
        with builder.if_else(builder.icmp_signed(">=", count, INT64(self.lanes))) as (more, last):
            with more:
                pointer = pointer_to(builder, line, at, vector_type(cells.vector))
                builder.store(values, pointer, align=1)
            with last:
                for first in (0, self.block.whole(self.lanes) - half):
                    lanes = constants(half, INT32, range(first, first + half))
                    pointer = pointer_to(builder, line, builder.add(at, INT64(first)), kind)
                    part = builder.shuffle_vector(values, values, lanes)
                    builder.store(part, pointer, align=1)
