"""Planes brought into the lanes of vectors, and back.

::

    in memory: planes            in the scratch: cells, a vector each
    a0 a1 a2 a3                  a0 b0 c0 d0
    b0 b1 b2 b3     ── in ──>    a1 b1 c1 d1
    c0 c1 c2 c3    <── out ──    a2 b2 c2 d2
    d0 d1 d2 d3                  a3 b3 c3 d3
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types

from .memory import call_masked, lanes_inside, pointer_to
from .types import (
    INT32,
    INT64,
    Vector,
    broadcast,
    constants,
    operation,
    resized,
    scalar_type,
    vector_type,
)


def _transposed(builder, vectors):
    """Lane i of vector j becomes lane j of vector i: interleave halves, log2 times."""
    lanes = len(vectors)
    low = [lanes * (lane % 2) + lane // 2 for lane in range(lanes)]
    halves = [constants(lanes, INT32, [lane + start for lane in low]) for start in (0, lanes // 2)]
    for _ in range(lanes.bit_length() - 1):
        pairs = zip(vectors[: lanes // 2], vectors[lanes // 2 :], strict=True)
        vectors = [builder.shuffle_vector(*pair, half) for pair in pairs for half in halves]
    return vectors


@operation
def transpose_in(typing, source, step, start, count, target, at):
    """Bring `count` cells each of as many lines as a vector has lanes together.

    Lane l of the vectors of `target` from `at` on comes from the line at `l * step` of `source`,
    from its cell `start` on. Vectors beyond `count`, up to the number of lanes, are overwritten.
    """
    vector = source.vector

    def generate(context, builder, signature, arguments):
        source, step, start, count, target, at = arguments
        kind, zero = vector_type(vector), scalar_type(vector.element)(0)
        mask = lanes_inside(builder, INT64(0), count, vector.lanes)
        rest = [INT32(1), mask, broadcast(builder, zero, vector.lanes)]
        lines = []
        for line in range(vector.lanes):
            offset = builder.add(start, builder.mul(step, INT64(line)))
            pointer = pointer_to(builder, source, offset, kind)
            lines.append(call_masked(builder, "load", vector, kind, [pointer, *rest]))
        for line, values in enumerate(_transposed(builder, lines)):
            offset = builder.add(at, INT64(line * vector.lanes))
            builder.store(values, pointer_to(builder, target, offset, kind), align=1)
        return context.get_dummy_value()

    integers = [types.int64] * 3
    return types.void(source, *integers, target, types.int64), generate


@operation
def transpose_out(typing, source, at, target, step, start, count):
    """`transpose_in`, the other way; integers become as wide as those of `target`."""
    vector, wide = source.vector, Vector(target.element, source.lanes)

    def generate(context, builder, signature, arguments):
        source, at, target, step, start, count = arguments
        kind = vector_type(vector)
        columns = []
        for line in range(vector.lanes):
            offset = builder.add(at, INT64(line * vector.lanes))
            pointer = pointer_to(builder, source, offset, kind)
            columns.append(builder.load(pointer, align=1))
        lines = [
            resized(builder, line, vector.element, wide) for line in _transposed(builder, columns)
        ]
        mask = lanes_inside(builder, INT64(0), count, vector.lanes)
        whole = builder.icmp_signed(">=", count, INT64(vector.lanes))
        with builder.if_else(whole) as (all_lanes, first_lanes):
            for some in (all_lanes, first_lanes):
                with some:
                    for line, values in enumerate(lines):
                        offset = builder.add(start, builder.mul(step, INT64(line)))
                        pointer = pointer_to(builder, target, offset, vector_type(wide))
                        if some is all_lanes:
                            builder.store(values, pointer, align=1)
                        else:
                            arguments = [values, pointer, INT32(1), mask]
                            call_masked(builder, "store", wide, ir.VoidType(), arguments)
        return context.get_dummy_value()

    integers = [types.int64] * 3
    return types.void(source, types.int64, target, *integers), generate
