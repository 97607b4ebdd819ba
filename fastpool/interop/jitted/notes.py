"""The part of a call in jitted code that Python does: the answer, and a note for further calls."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastpool

from ...dispatch import table
from ...process.cache_folders import source_digest
from ...process.threads import one_thread
from ...rules import calls
from ...rules.arrays import storage_of
from ...rules.call import Call, Function
from ...rules.members import FUNCTIONS
from ...rules.operation import NORM, SUM
from .constants import Constants

_MOST = 4096  # notes, after which Python answers calls of any further kind
_notes: dict[tuple[int, ...], tuple[np.ndarray, ...]] = {}


def sources_of_code() -> str:
    """What tells this code from that of before an update."""
    return source_digest() or fastpool.__version__


def answer_in_python(
    constants: Constants,
    inputs: tuple[np.ndarray, ...],
    arguments: tuple[Any, ...],
    out: Any,
    key: tuple[int, ...] | None,
    sources: str,
) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Output, indices, and the address of a note for further calls; 0 for none.

    Compiled code that Numba kept from before an update asks with other `sources`.
    """
    name, index_type = constants.name, constants.index_type
    function = FUNCTIONS[name]
    options: dict[str, Any] = {"layout": constants.layout, "out": out}
    named = _named(function)
    given = arguments[: len(arguments) - len(named)]
    options.update(zip(named, arguments[len(given) :], strict=True))
    if function.operation.picks_cell:
        if not function.adaptive:
            options["index_format"] = constants.form
        if function.part == "forward":
            given = (*given, bool(index_type))
    elif function.part == "forward" and function.operation is not NORM:
        options["dtype"] = constants.result
    with one_thread():
        result = getattr(fastpool, name)(*inputs, *given, **options, backend=table.COMPILED)
        output, indices = result if isinstance(result, tuple) else (result, None)
        if out is None and indices is not None and indices.dtype != index_type:
            raise ValueError(
                f"{name}: window indices of kernel_size {arguments[0]} are {indices.dtype}; in "
                f"jitted code, pass arrays as out, or a kernel_size that is a constant"
            )
        note = 0
        if key is not None and sources == sources_of_code() and output.size:
            note = _note(constants, inputs, arguments, output, indices, key)
    return output, indices, note


def _named(function: Function) -> tuple[str, ...]:
    """The last of the arguments: those that a function takes by their names alone."""
    if function.adaptive:
        return ()
    if function.operation is NORM:
        return "padding", "dilation"
    return () if function.operation.picks_cell and function.part != "unpool" else ("dilation",)


def _note(
    constants: Constants,
    inputs: tuple[np.ndarray, ...],
    arguments: tuple[Any, ...],
    output: np.ndarray,
    indices: np.ndarray | None,
    key: tuple[int, ...],
) -> int:
    """The address of the key, of kernel, table, bytes of scratch, rows, and the output's shape."""
    if key not in _notes:
        if len(_notes) >= _MOST:
            return 0
        outputs = (output,) if indices is None else (output, indices)
        backend = table.load(table.COMPILED)
        storages = tuple(map(storage_of, (*inputs, *outputs)))
        steps = backend.steps(backend.plan(_call(constants, inputs, arguments), storages), 1)
        if len(steps) != 1:
            return 0
        (entry,) = steps
        numbers = entry.address, entry.table.ctypes.data, entry.scratch, entry.rows
        note = np.array([*key, *numbers, *output.shape], np.int64)
        # Another thread may have been faster, and its note be in use.
        _notes.setdefault(key, (note, entry.table))
    return _notes[key][0].ctypes.data


def _call(
    constants: Constants,
    inputs: tuple[np.ndarray, ...],
    arguments: tuple[Any, ...],
) -> Call:
    """The call that was just answered."""
    rules: tuple[Any, ...]
    form, layout = constants.form, constants.layout
    function, x = FUNCTIONS[constants.name], inputs[0]
    if function.adaptive:
        return _adaptive_call(constants, inputs, arguments)
    if not function.operation.picks_cell:
        if function.part == "backward":
            rules = *arguments, layout
            return calls.average_backward(function, x.dtype, *rules)
        if function.operation is SUM:  # an average of divisor 1
            arguments = *arguments[:4], True, 1, *arguments[4:]
        rules = *arguments, layout, np.dtype(constants.result)
        return calls.average(function, "x", x.shape, x.dtype, *rules)
    if function.part == "forward":
        rules = *arguments, bool(constants.index_type), form, layout
        return calls.forward(function, "x", x.shape, x.dtype, *rules)
    kinds, rules = (x.dtype, inputs[1].dtype), (*arguments, form, layout)
    if function.part == "backward":
        return calls.backward(function, *kinds, *rules)
    return calls.unpool(function, x.shape, *kinds, *rules)


def _adaptive_call(
    constants: Constants,
    inputs: tuple[np.ndarray, ...],
    arguments: tuple[Any, ...],
) -> Call:
    """The same of adaptive windows."""
    function, x, layout = FUNCTIONS[constants.name], inputs[0], constants.layout
    if function.part == "backward":
        input_shape, output_size = arguments
        if function.operation.picks_cell:
            kinds = x.dtype, inputs[1].dtype
            return calls.adaptive_backward(function, *kinds, input_shape, output_size, layout)
        return calls.adaptive_average_backward(function, x.dtype, input_shape, output_size, layout)
    rules: tuple[Any, ...] = x.shape, x.dtype, *arguments
    if function.operation.picks_cell:
        rules = *rules, bool(constants.index_type), layout
        return calls.adaptive(function, "x", *rules)
    rules = *rules, layout, np.dtype(constants.result)
    return calls.adaptive_average(function, "x", *rules)
