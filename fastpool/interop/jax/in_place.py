"""Operations on XLA's own buffers: compiled code without Python, or Python where there is none.

XLA calls one C function for all operations, with a number that says which is meant: a digest of
all that chooses the answer. So it is the same in every process, and what XLA compiled may be kept
on disk by ``jax_compilation_cache_dir``. Whoever finds it there has lowered the same operation
before, and knows its number.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastpool

from ...backends.protocol import BackendUnavailable, Entry, Service
from ...dispatch import defaults, economy, table
from ...process import log
from ...process.underflow import gradual_underflow
from ...rules.arrays import Storage
from ...rules.call import Call
from .host import Pooling, Types

try:
    from jax import ffi
except ImportError:  # before JAX 0.5
    ffi = None

# Versions of XLA's interface whose frames were compared with what is read here.
_VERSIONS = ((0, 1), (0, 2), (0, 3))
TARGET = f"fastpool {fastpool.__version__}"

# Of a frame and what it points to, places of 64 bits: see `xla/ffi/api/c_api.h`.
_API, _OPERANDS, _RESULTS, _KEYS = 2, 9, 14, 20
_MAKE_ERROR, _INTERNAL = 6, 13


class Operation(NamedTuple):
    """What is done for a number."""

    text: str  # from which the number is made
    function: Callable[..., tuple[np.ndarray, ...]]
    pooling: Pooling
    call: Call | None  # what a kernel may do in its place
    operands: Types
    results: Types


_operations: dict[int, Operation] = {}
_undecided: set[int] = set()  # of these, "auto" has yet to compile the kernel


def number_of(
    name: str,
    function: Callable[..., tuple[np.ndarray, ...]],
    pooling: Pooling,
    call: Call | None,
    operands: Types,
    results: Types,
) -> int | None:
    """The number of an operation, which can be called from now on; None if it cannot.

    Raises
    ------
    BackendUnavailable
        Its kernel cannot be compiled.
    """
    cells = max(math.prod(shape) for shape, _ in operands)
    wanted = pooling.backend != defaults.AUTO or economy.worth_loading(cells)
    if pooling.backend == table.PLAIN or not wanted or not _registered():
        return None
    text = repr((name, pooling, operands, results))
    digest = hashlib.sha256(text.encode()).digest()
    key = int.from_bytes(digest[:8], "little", signed=True)
    operation = Operation(text, function, pooling, call, operands, results)
    known = _operations.setdefault(key, operation)
    if known is operation:
        try:
            _start_service(key, operation)
        except BaseException:
            _operations.pop(key, None)
            raise
    return key if known.text == text else None


def lowered(context: Any, operands: Any, key: int) -> Any:
    """What an operation's number becomes in a program of XLA."""
    return ffi.ffi_lowering(TARGET)(context, *operands, key=np.int64(key))


@cache
def _registered() -> bool:
    """Whether XLA knows the C function that answers; it is made now, if it can be."""
    if ffi is None or _version() not in _VERSIONS:
        return False
    try:
        handler = table.load(table.COMPILED).xla_handler(_address)
    except BackendUnavailable as error:
        log.info("XLA copies arrays for Python, as %s", error)
        return False
    if handler is None:
        return False
    ffi.register_ffi_target(TARGET, ffi.pycapsule(handler), platform="cpu")
    return True


def _version() -> tuple[int, int] | None:
    """That of XLA's interface, as the header in JAX's own folder says; None where it is missing."""
    try:
        text = Path(ffi.include_dir(), "xla", "ffi", "api", "c_api.h").read_text()
    except OSError:
        return None
    found = [re.search(rf"#define XLA_FFI_API_{name} (\d+)", text) for name in ("MAJOR", "MINOR")]
    major, minor = (int(each[1]) if each else -1 for each in found)
    return major, minor


def _start_service(key: int, operation: Operation) -> None:
    """Let the C function answer: a kernel if there is one by now, or else Python."""
    backend, call = table.load(table.COMPILED), operation.call
    steps: tuple[Entry, ...] = ()
    if call is not None and not call.geometry.empty:
        storages = _storages(call, operation)
        if operation.pooling.backend == defaults.AUTO:
            plan = economy.ready_plan(call, storages)
            if plan is None:
                _undecided.add(key)
        else:
            plan = backend.plan(call, storages)
        if plan is not None:
            steps = backend.steps(plan, _threads())
            _undecided.discard(key)
    operands, results = (
        tuple(math.prod(shape) for shape, _ in types)
        for types in (operation.operands, operation.results)
    )
    sizes = tuple(
        cells * dtype.itemsize for cells, (_, dtype) in zip(results, operation.results, strict=True)
    )
    # Codes that come in stand first, and those that are made last.
    many = len(operands)
    indices = many + 1 if len(results) == 2 else 0 if many == 2 else -1
    backend.serve(key, Service(operands, results, sizes, steps, many - 1, indices))


def _storages(call: Call, operation: Operation) -> tuple[Storage, ...]:
    """How the arrays of a call lie: in order, and axes of one cell again and again."""
    inputs = []
    for (shape, _), (own, dtype) in zip(call.inputs, operation.operands[::-1], strict=True):
        steps = zip(Storage.in_order(own, dtype).strides, own, shape, strict=True)
        strides = tuple(step if few == many else 0 for step, few, many in steps)
        inputs.append(Storage(shape, strides, dtype))
    return (*inputs, *(Storage.in_order(*result) for result in operation.results))


def _threads() -> int:
    """How many threads XLA starts, or about as many: kernels are cut for them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _answer(frame: int) -> int | None:
    """What compiled code cannot do: None, or the address of an error of XLA."""
    words = _words(frame, _KEYS + 1)
    try:
        _answer_in_python(words)
        return None
    except BaseException as error:  # nobody above could take it
        text = ctypes.create_string_buffer(f"{type(error).__name__}: {error}".encode())
        given = (ctypes.c_uint64 * 4)(32, 0, ctypes.addressof(text), _INTERNAL)
        make = _CALLED(_words(words[_API], _MAKE_ERROR + 1)[_MAKE_ERROR])
        made: int | None = make(ctypes.addressof(given))
        return made


def _answer_in_python(words: Any) -> None:
    scalar = _words(_words(words[_KEYS], 1)[0], 2)
    key = ctypes.c_int64.from_address(scalar[1]).value
    operation = _operations.get(key)
    if operation is None:
        raise RuntimeError("fastpool knows this operation in the process alone that compiled it")
    inputs = _arrays(words[_OPERANDS], operation.operands)
    outputs = _arrays(words[_RESULTS], operation.results)
    with gradual_underflow():  # which XLA's threads have not
        results = operation.function(operation.pooling, *inputs)
    for output, result in zip(outputs, results, strict=True):
        output[...] = result
    if key in _undecided:
        _start_service(key, operation)


def _arrays(where: int, types: Types) -> list[np.ndarray]:
    """XLA's arrays."""
    found = []
    for place, (shape, dtype) in zip(_words(where, len(types)), types, strict=True):
        _, _, _, data, rank, sizes = _words(place, 6)
        if tuple(_words(sizes, rank)) != shape:
            raise RuntimeError(f"fastpool: XLA has another array than one of shape {shape}")
        memory = (ctypes.c_uint8 * (math.prod(shape) * dtype.itemsize)).from_address(data or 1)
        found.append(np.ndarray(shape, dtype, memory))
    return found


def _words(address: int, count: int) -> Any:
    return (ctypes.c_uint64 * count).from_address(address) if count else ()


_CALLED = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
_otherwise = _CALLED(_answer)
_address: int = ctypes.cast(_otherwise, ctypes.c_void_p).value or 0
