"""What is done with the lanes of vectors: arithmetic, comparisons and shuffles."""

from __future__ import annotations

from llvmlite import ir
from numba.core import types

from .types import (
    INT32,
    INT64,
    Cells,
    Vector,
    broadcast,
    constants,
    operation,
    resized,
    scalar_type,
    vector_type,
)


def replaces(builder, element, order, value, best):
    """The step of an operation: whether a later value replaces the best one so far.

    It does if it is larger, or less, as the operation has it, or the first NaN.
    """
    sign = ">" if order.sign > 0 else "<"
    if isinstance(element, types.Float):
        beyond = builder.fcmp_unordered(sign, value, best)
        return builder.and_(beyond, builder.fcmp_ordered("ord", best, best))
    if order.truth:
        zero = ir.Constant(value.type, None)
        if order.sign < 0:
            value, best = best, value
        is_true = builder.icmp_unsigned("!=", value, zero)
        return builder.and_(is_true, builder.icmp_unsigned("==", best, zero))
    compare = builder.icmp_signed if element.signed else builder.icmp_unsigned
    return compare(sign, value, best)


@operation
def beats(typing, value, best):
    """The lanes where a later `value` replaces `best`."""

    def generate(context, builder, signature, arguments):
        return replaces(builder, value.element, value.order, *arguments)

    return Vector(types.boolean, value.lanes)(value, best), generate


@operation
def cell_beats(typing, cells, value, best):
    """`beats` for one cell, of the kind of some cells."""

    def generate(context, builder, signature, arguments):
        return replaces(builder, cells.element, cells.order, *arguments[1:])

    return types.boolean(cells, cells.element, cells.element), generate


@operation
def select(typing, mask, first, second):
    """`first` where the mask is set, else `second`."""

    def generate(context, builder, signature, arguments):
        return builder.select(*arguments)

    return first(mask, first, second), generate


@operation
def plus(typing, first, second):
    """The sum of two vectors; integers wrap."""

    def generate(context, builder, signature, arguments):
        add = builder.fadd if isinstance(first.element, types.Float) else builder.add
        return add(*arguments)

    return first(first, second), generate


@operation
def widened(typing, vector, kind):
    """Integers in lanes of another width, a type or that of cells: sign kept, or cut off."""
    element = kind.element if isinstance(kind, Cells) else kind.dtype
    target = Vector(element, vector.lanes)

    def generate(context, builder, signature, arguments):
        return resized(builder, arguments[0], vector.element, target)

    return target(vector, kind), generate


def _shuffle(name, document, pattern):
    def build(typing, first, second):
        lanes = first.lanes

        def generate(context, builder, signature, arguments):
            return builder.shuffle_vector(*arguments, constants(lanes, INT32, pattern(lanes)))

        return first(first, second), generate

    build.__name__, build.__doc__ = name, document
    return operation(build)


def _with_number(name, document, instruction):
    def build(typing, vector, number):
        def generate(context, builder, signature, arguments):
            number = builder.trunc(arguments[1], scalar_type(vector.element))
            numbers = broadcast(builder, number, vector.lanes)
            return getattr(builder, instruction)(arguments[0], numbers)

        return vector(vector, types.int64), generate

    build.__name__, build.__doc__ = name, document
    return operation(build)


shift_right = _with_number("shift_right", "Integers shifted right, unsigned.", "lshr")
masked = _with_number("masked", "The bits of integers that are set in a number.", "and_")
times = _with_number("times", "Integers times a number; they wrap.", "mul")


def _nan_key(order):
    # Not -0x8000, of which `key_bits` would be those of a zero.
    return 0x7FFF if order.sign > 0 else -0x7FFF


@operation
def nan_bits(typing, cells):
    """What `key_bits` makes of the key of every NaN, which beats the keys of all numbers."""
    return types.int64(cells), lambda context, *_: INT64(0x7FFF if cells.order.sign > 0 else -1)


def sort_key_of(builder, bits, limit, order):
    """`sort_key`, written in LLVM's language; `limit` is infinity in all lanes."""
    lanes = bits.type.count
    ones = ir.Constant(bits.type, [0x7FFF] * lanes)
    sign = builder.ashr(bits, ir.Constant(bits.type, [15] * lanes))
    key = builder.sub(builder.xor(bits, builder.and_(sign, ones)), sign)
    nan = builder.icmp_signed(">", builder.and_(bits, ones), limit)
    return builder.select(nan, ir.Constant(bits.type, [_nan_key(order)] * lanes), key)


@operation
def sort_key(typing, bits, infinity):
    """16-bit floats, as int16 bits, in lanes that compare as they do.

    Both zeros are 0, every NaN (a magnitude above that of infinity) is the key that beats all
    numbers. Other types are their own keys.
    """
    if bits.element is not types.int16:
        return bits(bits, types.int64), lambda context, builder, signature, arguments: arguments[0]

    def generate(context, builder, signature, arguments):
        limit = builder.trunc(arguments[1], scalar_type(bits.element))
        limit = broadcast(builder, limit, bits.lanes)
        return sort_key_of(builder, arguments[0], limit, bits.order)

    return bits(bits, types.int64), generate


def key_bits_of(builder, key):
    sign = builder.ashr(key, ir.Constant(key.type, [15] * key.type.count))
    flip = builder.and_(sign, ir.Constant(key.type, [0x7FFF] * key.type.count))
    return builder.xor(builder.add(key, sign), flip)


@operation
def key_bits(typing, key):
    """The bits of 16-bit floats from their keys; those of -0.0 and NaN are lost."""
    if key.element is not types.int16:
        return key(key), lambda context, builder, signature, arguments: arguments[0]
    return key(key), lambda context, builder, signature, arguments: key_bits_of(builder, *arguments)


@operation
def differ(typing, first, second):
    """1 if two vectors of 16-bit integers differ in any lane, else 0; others never do."""
    if first.element is not types.int16:
        return types.int64(first, second), lambda context, *_: INT64(0)

    def generate(context, builder, signature, arguments):
        mask = builder.icmp_signed("!=", *arguments)
        word = builder.bitcast(mask, ir.IntType(first.lanes))
        return builder.zext(builder.icmp_unsigned("!=", word, word.type(0)), INT64)

    return types.int64(first, second), generate


@operation
def minus(typing, first, second):
    """The difference of two vectors of integers, or of a vector and a number; it wraps."""

    def generate(context, builder, signature, arguments):
        first_, second_ = arguments
        if not isinstance(second, Vector):
            second_ = broadcast(builder, second_, first.lanes)
        return builder.sub(first_, second_)

    return first(first, second if isinstance(second, Vector) else first.element), generate


@operation
def clipped(typing, vector):
    """Integers of 64 bits in 32: those outside [0, 2**30) become 2**30."""
    target = Vector(types.int32, vector.lanes)

    def generate(context, builder, signature, arguments):
        most = broadcast(builder, INT64(2**30), vector.lanes)
        inside = builder.icmp_unsigned("<", arguments[0], most)
        return builder.trunc(builder.select(inside, arguments[0], most), vector_type(target))

    return target(vector), generate


def _comparison(name, document, sign):
    def build(typing, first, second):
        def generate(context, builder, signature, arguments):
            first_, second_ = arguments
            if not isinstance(second, Vector):
                second_ = broadcast(builder, second_, first.lanes)
            return builder.icmp_unsigned(sign, first_, second_)

        other = second if isinstance(second, Vector) else first.element
        return Vector(types.boolean, first.lanes)(first, other), generate

    build.__name__, build.__doc__ = name, document
    return operation(build)


equal = _comparison("equal", "The lanes of integers that equal others, or a number.", "==")


below = _comparison("below", "The lanes that are less, integers being taken as unsigned.", "<")


@operation
def either(typing, first, second):
    """The lanes set in one mask or both."""

    def generate(context, builder, signature, arguments):
        return builder.or_(*arguments)

    return first(first, second), generate


@operation
def bits(typing, mask):
    """A mask as an integer, whose lowest bit is the first lane."""

    def generate(context, builder, signature, arguments):
        return builder.zext(builder.bitcast(arguments[0], ir.IntType(mask.lanes)), INT64)

    return types.int64(mask), generate


def _alternating(lanes):
    return [lane // 2 + lane % 2 * lanes for lane in range(2 * lanes)]


zip_low = _shuffle(
    "zip_low",
    "The first half of the lanes of two vectors, taken in turns.",
    lambda lanes: _alternating(lanes)[:lanes],
)


zip_high = _shuffle(
    "zip_high",
    "The second half of the lanes of two vectors, taken in turns.",
    lambda lanes: _alternating(lanes)[lanes:],
)


@operation
def lane_numbers(typing, cells):
    """0, 1, 2, ... as int32, as many as a vector of `cells` has lanes."""
    vector = Vector(types.int32, cells.lanes)

    def generate(context, builder, signature, arguments):
        return constants(vector.lanes, INT32, range(vector.lanes))

    return vector(cells), generate


@operation
def quotient(typing, first, reciprocal):
    """Integers of 32 bits, and a half, times a float32 up to 1; rounded towards zero."""

    def generate(context, builder, signature, arguments):
        kind = ir.VectorType(ir.FloatType(), first.lanes)
        half = constants(first.lanes, ir.FloatType(), [0.5] * first.lanes)
        number = builder.fadd(builder.sitofp(arguments[0], kind), half)
        product = builder.fmul(number, broadcast(builder, arguments[1], first.lanes))
        return builder.fptosi(product, vector_type(first))

    return first(first, types.float32), generate


@operation
def both(typing, first, second):
    """The lanes set in two masks."""

    def generate(context, builder, signature, arguments):
        return builder.and_(*arguments)

    return first(first, second), generate


@operation
def counted(typing, vector, base):
    """Integers less a number below 2**31, in 32 bits: those of 64 bits are `clipped`.

    A lane is in [0, 2**30) only if that is the difference: numbers of 32 bits wrap.
    """
    target = Vector(types.int32, vector.lanes)

    def generate(context, builder, signature, arguments):
        values, base = arguments
        if vector.element.bitwidth < 64:
            base = broadcast(builder, builder.trunc(base, INT32), vector.lanes)
            return builder.sub(resized(builder, values, vector.element, target), base)
        values = builder.sub(values, broadcast(builder, base, vector.lanes))
        most = broadcast(builder, INT64(2**30), vector.lanes)
        inside = builder.icmp_unsigned("<", values, most)
        return builder.trunc(builder.select(inside, values, most), vector_type(target))

    return target(vector, types.int64), generate
