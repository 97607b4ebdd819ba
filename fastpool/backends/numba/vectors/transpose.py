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

from .memory import call_masked, fetch, lanes_inside, pointer_to
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


def _transposed(builder, lines):
    """Lane i of line j becomes lane j of vector i.

    Pieces of 128 bits are transposed by themselves, and then as wholes. That takes shuffles which
    need no numbers of lanes: with AVX2 a third of the instructions of those across pieces.
    """
    piece = _piece(lines[0].type)
    groups = [
        _within(builder, lines[start : start + piece]) for start in range(0, len(lines), piece)
    ]
    columns = [_wholes(builder, vectors, piece) for vectors in zip(*groups, strict=True)]
    return [vector for vectors in zip(*columns, strict=True) for vector in vectors]


def _piece(kind):
    """Lanes of a piece of a vector."""
    return min(kind.count, max(128 // _bits(kind.element), 1))


def _bits(element):
    return {ir.FloatType(): 32, ir.DoubleType(): 64}.get(element) or element.width


def _within(builder, vectors):
    """As many vectors as a piece has lanes: interleave the halves of pieces, log2 times."""
    piece, lanes = len(vectors), vectors[0].type.count

    def interleaved(first, second, start):
        order = [
            begin + place + lanes * source
            for begin in range(0, lanes, piece)
            for place in range(start, start + piece // 2)
            for source in (0, 1)
        ]
        return builder.shuffle_vector(first, second, constants(lanes, INT32, order))

    for _ in range(piece.bit_length() - 1):
        pairs = zip(vectors[: piece // 2], vectors[piece // 2 :], strict=True)
        vectors = [interleaved(*pair, start) for pair in pairs for start in (0, piece // 2)]
    return vectors


def _wholes(builder, vectors, piece):
    """Piece i of vector j becomes piece j of vector i: take even and odd ones apart."""
    if len(vectors) == 1:
        return list(vectors)
    lanes = vectors[0].type.count
    halves = []
    for odd in (0, 1):
        order = [
            begin + place
            for begin in range(odd * piece, 2 * lanes, 2 * piece)
            for place in range(piece)
        ]
        mask = constants(lanes, INT32, order)
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        taken = [builder.shuffle_vector(*pair, mask) for pair in pairs]
        halves.append(_wholes(builder, taken, piece))
    return [vector for pair in zip(*halves, strict=True) for vector in pair]


def _pieces_in(builder, lines):
    """`_transposed` of lines that are a piece each."""
    size = lines[0].type.count
    vectors = []
    for first in range(size):  # line `size * j + first` becomes the j-th piece
        parts = lines[first::size]
        while len(parts) > 1:
            count = 2 * parts[0].type.count
            order = constants(count, INT32, range(count))
            pairs = zip(parts[::2], parts[1::2], strict=True)
            parts = [builder.shuffle_vector(*pair, order) for pair in pairs]
        vectors += parts
    return _within(builder, vectors)


def _pieces_out(builder, vectors):
    """`_pieces_in`, the other way."""
    size, lines = len(vectors), []
    vectors = _within(builder, vectors)
    for first in range(0, vectors[0].type.count, size):
        order = constants(size, INT32, range(first, first + size))
        lines += [builder.shuffle_vector(vector, vector, order) for vector in vectors]
    return lines


def _by_count(builder, kind, step, count, alone, few, many):
    """Code for one cell each of lines side by side, for few, up to a piece, or for many.

    49 cells are three full squares and one more column: (32, 2048, 7, 7) to 1 takes 0.75 of the
    time.
    """
    piece = _piece(kind)
    one = builder.and_(
        builder.icmp_signed("==", count, INT64(1)), builder.icmp_signed("==", step, INT64(1))
    )
    with builder.if_else(one) as (only, several):
        with only:
            alone()
        with several:
            if piece == kind.count:
                many()
                return
            with builder.if_else(builder.icmp_signed("<=", count, INT64(piece))) as (some, rest):
                with some:
                    few(piece)
                with rest:
                    many()


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
        further = builder.mul(step, INT64(vector.lanes))  # where the next planes lie

        def bring(loaded, transposed):
            mask = lanes_inside(builder, INT64(0), count, loaded.lanes)
            rest = [INT32(1), mask, broadcast(builder, zero, loaded.lanes)]
            lines = []
            for line in range(vector.lanes):
                offset = builder.add(start, builder.mul(step, INT64(line)))
                pointer = pointer_to(builder, source, offset, vector_type(loaded))
                arguments = [pointer, *rest]
                if loaded is vector:
                    fetch(
                        builder, source, builder.add(offset, further), vector_type(vector).element
                    )
                lines.append(call_masked(builder, "load", loaded, vector_type(loaded), arguments))
            keep(transposed(builder, lines))

        def keep(vectors):
            for line, values in enumerate(vectors):
                offset = builder.add(at, INT64(line * vector.lanes))
                builder.store(values, pointer_to(builder, target, offset, kind), align=1)

        def alone():
            keep([builder.load(pointer_to(builder, source, start, kind), align=1)])

        _by_count(
            builder, kind, step, count, alone,
            lambda piece: bring(Vector(vector.element, piece), _pieces_in),
            lambda: bring(vector, _transposed),
        )  # fmt: skip
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

        def columns(some):
            found = []
            for line in range(some):
                offset = builder.add(at, INT64(line * vector.lanes))
                found.append(builder.load(pointer_to(builder, source, offset, kind), align=1))
            return found

        def write(lines, masked):
            written = Vector(wide.element, lines[0].type.count)
            mask = lanes_inside(builder, INT64(0), count, written.lanes)
            for line, values in enumerate(lines):
                values = resized(builder, values, vector.element, written)
                offset = builder.add(start, builder.mul(step, INT64(line)))
                pointer = pointer_to(builder, target, offset, vector_type(written))
                if masked:
                    arguments = [values, pointer, INT32(1), mask]
                    call_masked(builder, "store", written, ir.VoidType(), arguments)
                else:
                    builder.store(values, pointer, align=1)

        def many():
            lines = _transposed(builder, columns(vector.lanes))
            whole = builder.icmp_signed(">=", count, INT64(vector.lanes))
            with builder.if_else(whole) as (all_lanes, first_lanes):
                with all_lanes:
                    write(lines, masked=False)
                with first_lanes:
                    write(lines, masked=True)

        def alone():
            values = resized(builder, columns(1)[0], vector.element, wide)
            builder.store(values, pointer_to(builder, target, start, vector_type(wide)), align=1)

        _by_count(
            builder, kind, step, count, alone,
            lambda piece: write(_pieces_out(builder, columns(piece)), masked=True),
            many,
        )  # fmt: skip
        return context.get_dummy_value()

    integers = [types.int64] * 3
    return types.void(source, types.int64, target, *integers), generate
