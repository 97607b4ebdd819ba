"""fastpool's three functions inside the caller's own ``@njit`` functions.

After ``import fastpool.interop.jitted``, and without it where fastpool is installed (Numba loads
its extensions by itself), `fastpool.maxpool2d`, `fastpool.maxpool2d_backward` and
`fastpool.maxunpool2d` can be called in nopython code, with the same results to the bit and the
same exceptions. A call uses one thread and no lock: inside a ``prange``, every thread has its own.

The first call of its kind, by arguments, shapes and strides, is answered in Python, which checks
everything, compiles kernels or loads them from disk, and notes down how they are run. Further
calls find that note in a table of the compiled code's own, and run the kernels by themselves. What
no kernel does in place is answered in Python each time: gradients of bools, and arrays of so many
axes and strides that the Numba backend copies them.

Known at compile time must be: `return_indices`, `index_format`, `layout` and `backend`.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import objmode
from numba.core import cgutils
from numba.extending import intrinsic, overload, register_jitable

import fastpool

from .. import dispatch
from ..api import PoolResult
from ..arguments import check_choice, check_flag
from ..backends import one_thread
from ..cache_folders import source_digest
from ..geometry import pooling, unpooling

types: Any = numba.types
_operation: Any = intrinsic
_WORD = ir.IntType(64)
# The table of compiled code: how many places it has, and in how many of them a note may stand.
_PLACES, _PROBES = 256, 4
_MOST = 4096  # notes, after which Python answers calls of any further kind
_notes: dict[tuple[int, ...], tuple[np.ndarray, ...]] = {}


def register() -> None:
    """What Numba calls to load an extension: to import this module is all there is to do."""


@overload(fastpool.maxpool2d, prefer_literal=True)
def _maxpool2d(
    x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False,
    index_format="flat", layout="NCHW", out=None, backend=None,
):  # fmt: skip
    name = "maxpool2d"
    wanted = _constant(name, "return_indices", return_indices)
    check_flag(name, "return_indices", wanted)
    form, order = _constants(name, index_format, layout, backend)
    _check_arrays(name, x=x)
    answer = _answer(name, form, order, _index_type(kernel_size, form) if wanted else "")

    def pool(
        x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False,
        index_format="flat", layout="NCHW", out=None, backend=None,
    ):  # fmt: skip
        arguments = kernel_size, stride, padding, dilation, ceil_mode
        return answer((x,), arguments, out)[0]

    def pool_with_indices(
        x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False,
        index_format="flat", layout="NCHW", out=None, backend=None,
    ):  # fmt: skip
        arguments = kernel_size, stride, padding, dilation, ceil_mode
        output, indices = answer((x,), arguments, out)
        return PoolResult(output, indices)

    return pool_with_indices if wanted else pool


@overload(fastpool.maxpool2d_backward, prefer_literal=True)
def _maxpool2d_backward(
    grad_output, indices, input_shape, kernel_size, stride=None, padding=0, dilation=1,
    ceil_mode=False, index_format="flat", layout="NCHW", out=None, backend=None,
):  # fmt: skip
    name = "maxpool2d_backward"
    form, order = _constants(name, index_format, layout, backend)
    _check_arrays(name, grad_output=grad_output, indices=indices)
    answer = _answer(name, form, order, "")

    def backward(
        grad_output, indices, input_shape, kernel_size, stride=None, padding=0, dilation=1,
        ceil_mode=False, index_format="flat", layout="NCHW", out=None, backend=None,
    ):  # fmt: skip
        arguments = input_shape, kernel_size, stride, padding, dilation, ceil_mode
        return answer((grad_output, indices), arguments, out)[0]

    return backward


@overload(fastpool.maxunpool2d, prefer_literal=True)
def _maxunpool2d(
    x, indices, kernel_size, stride=None, padding=0, output_size=None, dilation=1,
    index_format="flat", layout="NCHW", out=None, backend=None,
):  # fmt: skip
    name = "maxunpool2d"
    form, order = _constants(name, index_format, layout, backend)
    _check_arrays(name, x=x, indices=indices)
    answer = _answer(name, form, order, "")

    def unpool(
        x, indices, kernel_size, stride=None, padding=0, output_size=None, dilation=1,
        index_format="flat", layout="NCHW", out=None, backend=None,
    ):  # fmt: skip
        arguments = kernel_size, stride, padding, output_size, dilation
        return answer((x, indices), arguments, out)[0]

    return unpool


def _constant(name: str, parameter: str, kind: Any) -> Any:
    """The value of an argument that is known at compile time."""
    if isinstance(kind, types.Omitted):
        return kind.value
    if isinstance(kind, types.Literal):
        return kind.literal_value
    if isinstance(kind, types.Type) and not isinstance(kind, types.NoneType):
        raise TypeError(f"{name}: {parameter} must be a constant in jitted code, got {kind}")
    return None if isinstance(kind, types.Type) else kind


def _constants(name: str, index_format: Any, layout: Any, backend: Any) -> tuple[str, str]:
    """index_format and layout; the backend can only be this one."""
    form = _constant(name, "index_format", index_format)
    check_choice(name, "index_format", form, ("flat", "window"))
    order = _constant(name, "layout", layout)
    check_choice(name, "layout", order, ("NCHW", "NHWC"))
    engine = _constant(name, "backend", backend)
    if engine is not None:
        check_choice(f"{name} in jitted code", "backend", engine, ("auto", "numba"))
    return form, order


def _check_arrays(name: str, **kinds: Any) -> None:
    for parameter, kind in kinds.items():
        if not isinstance(kind, types.Array):
            raise TypeError(f"{name}: {parameter} must be an array in jitted code, got {kind}")


def _index_type(kernel_size, form):
    """The dtype of new indices: that of window indices depends on the value of `kernel_size`."""
    if form == "flat":
        return "int64"
    sides = tuple(kernel_size) if isinstance(kernel_size, types.BaseTuple) else (kernel_size,) * 2
    if len(sides) == 2 and all(isinstance(side, types.IntegerLiteral) for side in sides):
        taps = sides[0].literal_value * sides[1].literal_value
        return str(np.min_scalar_type(min(max(taps - 1, 0), 2**32 - 1)))
    return "uint8"


@cache
def _answer(name: str, form: str, order: str, index_type: str) -> Any:
    """A function of inputs, arguments and out, for jitted code: output, and indices or None."""

    def answer(inputs, arguments, out):
        pass

    def compiled(inputs, arguments, out):
        return _compiled_answer((name, form, order, index_type), inputs, arguments, out)

    overload(answer)(compiled)
    return answer


def _compiled_answer(constants, inputs, arguments, out):
    """The function to compile, from the types of its arguments."""
    if _any_list(arguments):
        raise TypeError(f"{constants[0]}: in jitted code, pass tuples for lists, got {arguments}")
    index_type = constants[3]
    array, indices_type, index_dtype = inputs[0], types.none, np.dtype(index_type or np.int64)
    output_type = types.Array(array.dtype, array.ndim, "C")
    if index_type:
        indices_type = types.Array(numba.from_dtype(index_dtype), array.ndim, "C")
    fresh, repeats = isinstance(out, types.NoneType), _is_plain(arguments)
    if not fresh:
        outs = tuple(out) if isinstance(out, types.BaseTuple) else (out,)
        if len(outs) == (2 if index_type else 1) and _are_arrays(outs):
            output_type, indices_type = (*outs, types.none)[:2]
        else:
            repeats = False  # an error, which Python raises

    def in_python(inputs, arguments, out):
        with objmode(output=output_type, indices=indices_type):
            output, indices, _ = _answer_in_python(constants, inputs, arguments, out, None, "")
        return output, indices

    if not repeats:
        return in_python

    if not fresh and index_type:

        @register_jitable
        def arrays(shape, inputs, out):
            return out[0], out[1], out[1]

    elif not fresh:

        @register_jitable
        def arrays(shape, inputs, out):
            return out, None, inputs[-1]

    elif index_type:

        @register_jitable
        def arrays(shape, inputs, out):
            indices = np.empty(shape, index_dtype)
            return np.empty(shape, inputs[0].dtype), indices, indices

    else:

        @register_jitable
        def arrays(shape, inputs, out):
            return np.empty(shape, inputs[0].dtype), None, inputs[-1]

    from ..backends.numba.jit import call  # when a function that needs it is compiled

    sources = _sources()
    described = repr((sources, constants, inputs, arguments, out))
    kind = int.from_bytes(hashlib.sha256(described.encode()).digest()[:7], "little")

    def answer(inputs, arguments, out):
        key = (kind, *_words(inputs), *_words(out), *_words(arguments))
        place, note = _place_of(key), 0
        if fresh or _apart(_spans(inputs) + _spans(out)):
            for probe in range(_PROBES):
                found = _note_in((place + probe) % _PLACES)
                if found != 0 and _has_key(found, key):
                    note = found
                    break
        if note != 0:
            plan = note + 8 * len(key)
            kernel, table, size, rows = _integers_at(plan, (0, 0, 0, 0))
            shape = _integers_at(plan + 32, inputs[0].shape)
            output, indices, places = arrays(shape, inputs, out)
            scratch = np.empty(size, np.uint8)
            memory = _address(output), _address(places), _address(scratch)
            if call(kernel, (_address(inputs[0]), *memory, table, 0, rows)) < 0:
                return output, indices
        with objmode(output=output_type, indices=indices_type, note=types.int64):
            output, indices, note = _answer_in_python(
                constants, inputs, arguments, out, key, sources
            )
        if note != 0:
            for probe in range(_PROBES):
                if _note_in((place + probe) % _PLACES) == 0:
                    place += probe
                    break
            _put_note(place % _PLACES, note)
        return output, indices

    return answer


def _sources() -> str:
    """What tells this code from that of before an update."""
    return source_digest() or fastpool.__version__


def _any_list(kind):
    if isinstance(kind, types.BaseTuple):
        return any(map(_any_list, kind))
    return isinstance(kind, (types.List, types.ListType))


def _are_arrays(kinds):
    return all(isinstance(kind, types.Array) for kind in kinds)


def _is_plain(kind):
    """Whether `_words` tell all values of a type apart."""
    if isinstance(kind, types.BaseTuple):
        return all(map(_is_plain, kind))
    return isinstance(kind, (types.Integer, types.Boolean, types.NoneType, types.UnicodeType))


def _answer_in_python(
    constants: tuple[str, str, str, str],
    inputs: tuple[np.ndarray, ...],
    arguments: tuple[Any, ...],
    out: Any,
    key: tuple[int, ...] | None,
    sources: str,
) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Output, indices, and the address of a note for further calls; 0 for none.

    Compiled code that Numba kept from before an update asks with other `sources`.
    """
    name, form, order, index_type = constants
    options: dict[str, Any] = {"index_format": form, "layout": order, "out": out}
    given = arguments
    if name == "maxpool2d":
        given = (*arguments, bool(index_type))
    elif name == "maxunpool2d":
        given, options["dilation"] = arguments[:-1], arguments[-1]
    with one_thread():
        result = getattr(fastpool, name)(*inputs, *given, **options, backend="numba")
        output, indices = result if isinstance(result, tuple) else (result, None)
        if out is None and indices is not None and indices.dtype != index_type:
            raise ValueError(
                f"{name}: window indices of kernel_size {arguments[0]} are {indices.dtype}; in "
                f"jitted code, pass arrays as out, or a kernel_size that is a constant"
            )
        note = 0
        if key is not None and sources == _sources() and output.size:
            note = _note(constants, inputs, arguments, output, indices, key)
    return output, indices, note


def _note(
    constants: tuple[str, str, str, str],
    inputs: tuple[np.ndarray, ...],
    arguments: tuple[Any, ...],
    output: np.ndarray,
    indices: np.ndarray | None,
    key: tuple[int, ...],
) -> int:
    """The address of the key, of kernel, table, bytes of scratch, rows, and the output's shape."""
    name, form, order, _ = constants
    if key not in _notes:
        if len(_notes) >= _MOST:
            return 0
        rules = *arguments, order, form
        if name == "maxunpool2d":
            geometry = unpooling(name, inputs[0].shape, *rules)
        elif name == "maxpool2d":
            geometry = pooling(name, "x", inputs[0].shape, *rules)
        else:
            geometry = pooling(name, "input_shape", output.shape, *rules[1:])
        plan = dispatch.load("numba").plan_in_place(
            name, geometry, form == "window", inputs[0], output, (*inputs, indices)[1]
        )
        if plan is None:
            return 0
        numbers = plan.kernel.address, plan.table.ctypes.data, plan.scratch, plan.rows
        note = np.array([*key, *numbers, *output.shape], np.int64)
        # Another thread may have been faster, and its note be in use.
        _notes.setdefault(key, (note, plan.table))
    return _notes[key][0].ctypes.data


def _words(value):
    """An array's shape and strides, or numbers, as one tuple of integers."""


@overload(_words)
def _words_overload(value):
    if isinstance(value, types.Array):
        return lambda value: value.shape + value.strides
    if isinstance(value, (types.Integer, types.Boolean)):
        return lambda value: (np.int64(value),)
    if isinstance(value, types.UnicodeType):
        return lambda value: (np.int64(1 if value == "same" else 0 if value == "valid" else -1),)
    if isinstance(value, types.BaseTuple) and len(value):
        return lambda value: _words(value[0]) + _words(value[1:])
    return lambda value: ()


def _spans(value):
    """The first address and the one after the last of one array, or of each in a tuple."""


@overload(_spans)
def _spans_overload(value):
    if isinstance(value, types.BaseTuple) and len(value):
        return lambda value: _spans(value[0]) + _spans(value[1:])
    if isinstance(value, types.BaseTuple):
        return lambda value: ()

    def span(value):
        first = last = _address(value)
        for length, stride in zip(value.shape, value.strides):  # noqa: B905 (strict is not compiled)
            first += min(0, (length - 1) * stride)
            last += max(0, (length - 1) * stride)
        return ((first, last + value.itemsize),)

    return span


@register_jitable
def _apart(spans):
    """Whether no two spans share an address."""
    for i in range(len(spans)):
        for j in range(i):
            if spans[i][0] < spans[j][1] and spans[j][0] < spans[i][1]:
                return False
    return True


@register_jitable
def _place_of(key):
    """Where in the table a note for this key is looked for first."""
    mixed = np.uint64(0)
    for i in range(len(key)):
        mixed = (mixed ^ np.uint64(key[i])) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return np.int64(mixed % np.uint64(_PLACES))


@register_jitable
def _has_key(note, key):
    return _integers_at(note, key) == key


def _table(builder: Any) -> Any:
    """The table in the code of the function that is being compiled, empty when that is loaded."""
    name = "fastpool_notes"
    kind = ir.ArrayType(_WORD, _PLACES)
    found = builder.module.globals.get(name)
    if found is None:
        found = cgutils.add_global_variable(builder.module, kind, name)
        found.linkage, found.initializer = "internal", ir.Constant(kind, None)
    return found


@_operation
def _note_in(typing, place):
    """The address of the note in a place of the table, or 0."""

    def generate(context, builder, signature, arguments):
        at = builder.gep(_table(builder), [_WORD(0), arguments[0]])
        return builder.load_atomic(at, "acquire", 8)

    return types.int64(types.int64), generate


@_operation
def _put_note(typing, place, note):
    """Put a note in the table: who reads its address from there can read all of it."""

    def generate(context, builder, signature, arguments):
        at = builder.gep(_table(builder), [_WORD(0), arguments[0]])
        builder.store_atomic(arguments[1], at, "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@_operation
def _integers_at(typing, address, like):
    """The integers that stand at an address, as many as in a tuple."""

    def generate(context, builder, signature, arguments):
        base = builder.inttoptr(arguments[0], _WORD.as_pointer())
        numbers = [builder.load(builder.gep(base, [_WORD(i)])) for i in range(len(like))]
        return cgutils.pack_array(builder, numbers)

    return like(types.int64, like), generate


@_operation
def _address(typing, array):
    """Where the first cell of an array lies."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(array)(context, builder, arguments[0]).data
        return builder.ptrtoint(data, _WORD)

    return types.int64(array), generate
