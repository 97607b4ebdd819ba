"""What tells calls in jitted code apart, as integers, and the table where their notes are found.

The table lies in the compiled code itself, which is empty when that is loaded::

    words of a call ── place_of ──> place ──> 0, or the address of a note
                                              │
                     note:  words of its call | kernel, table, scratch, rows | shape of the output
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic, overload, register_jitable

types: Any = numba.types
_operation: Any = intrinsic
_WORD = ir.IntType(64)
# The table of compiled code: how many places it has, and in how many of them a note may stand.
PLACES, PROBES = 256, 4


def words(value):
    """An array's shape and strides, or numbers, as one tuple of integers."""


@overload(words)
def _words_overload(value):
    if isinstance(value, types.Array):
        return lambda value: value.shape + value.strides
    if isinstance(value, (types.Integer, types.Boolean)):
        return lambda value: (np.int64(value),)
    if isinstance(value, types.UnicodeType):
        return lambda value: (np.int64(1 if value == "same" else 0 if value == "valid" else -1),)
    if isinstance(value, types.BaseTuple) and len(value):
        return lambda value: words(value[0]) + words(value[1:])
    return lambda value: ()


def spans(value):
    """The first address and the one after the last of one array, or of each in a tuple."""


@overload(spans)
def _spans_overload(value):
    if isinstance(value, types.BaseTuple) and len(value):
        return lambda value: spans(value[0]) + spans(value[1:])
    if isinstance(value, types.BaseTuple):
        return lambda value: ()

    def span(value):
        first = last = address(value)
        for length, stride in zip(value.shape, value.strides):  # noqa: B905 (strict is not compiled)
            first += min(0, (length - 1) * stride)
            last += max(0, (length - 1) * stride)
        return ((first, last + value.itemsize),)

    return span


@register_jitable
def apart(spans):
    """Whether no two spans share an address."""
    for i in range(len(spans)):
        for j in range(i):
            if spans[i][0] < spans[j][1] and spans[j][0] < spans[i][1]:
                return False
    return True


@register_jitable
def place_of(key):
    """Where in the table a note for this key is looked for first."""
    mixed = np.uint64(0)
    for i in range(len(key)):
        mixed = (mixed ^ np.uint64(key[i])) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return np.int64(mixed % np.uint64(PLACES))


@register_jitable
def has_key(note, key):
    return integers_at(note, key) == key


def _table(builder: Any) -> Any:
    """The table in the code of the function that is being compiled, empty when that is loaded."""
    name = "fastpool_notes"
    kind = ir.ArrayType(_WORD, PLACES)
    found = builder.module.globals.get(name)
    if found is None:
        found = cgutils.add_global_variable(builder.module, kind, name)
        found.linkage, found.initializer = "internal", ir.Constant(kind, None)
    return found


@_operation
def note_in(typing, place):
    """The address of the note in a place of the table, or 0."""

    def generate(context, builder, signature, arguments):
        at = builder.gep(_table(builder), [_WORD(0), arguments[0]])
        return builder.load_atomic(at, "acquire", 8)

    return types.int64(types.int64), generate


@_operation
def put_note(typing, place, note):
    """Put a note in the table: who reads its address from there can read all of it."""

    def generate(context, builder, signature, arguments):
        at = builder.gep(_table(builder), [_WORD(0), arguments[0]])
        builder.store_atomic(arguments[1], at, "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@_operation
def integers_at(typing, address, like):
    """The integers that stand at an address, as many as in a tuple."""

    def generate(context, builder, signature, arguments):
        base = builder.inttoptr(arguments[0], _WORD.as_pointer())
        numbers = [builder.load(builder.gep(base, [_WORD(i)])) for i in range(len(like))]
        return cgutils.pack_array(builder, numbers)

    return like(types.int64, like), generate


@_operation
def address(typing, array):
    """Where the first cell of an array lies."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(array)(context, builder, arguments[0]).data
        return builder.ptrtoint(data, _WORD)

    return types.int64(array), generate


@_operation
def run_entry(typing, entry, arguments):
    """Call machine code as `fastpool.backends.protocol.Entry` describes it."""

    def generate(context, builder, signature, values):
        function = ir.FunctionType(_WORD, [_WORD] * len(arguments))
        numbers = [builder.extract_value(values[1], i) for i in range(len(arguments))]
        return builder.call(builder.inttoptr(values[0], function.as_pointer()), numbers)

    return types.int64(types.int64, arguments), generate
