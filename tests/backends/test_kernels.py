"""The Numba kernels where vectors end: every width, every choice of functions, memory's edges."""

import dataclasses
import itertools

import numpy as np
import pytest
from bits import assert_same
from process import run
from windows import WINDOWS

import fastpool
from fastpool.cli import check

pytest.importorskip("numba")
from fastpool.backends.numba import blocks, choice, memory
from fastpool.backends.numba.vectors.types import BYTES
from fastpool.rules import arguments as rules
from fastpool.rules.arrays import Storage
from fastpool.rules.geometry import pooled
from fastpool.rules.operation import MAXIMUM


def both(x, *arguments, **options):
    """Output and indices of both backends are the same, and so are the values alone."""
    for index_format in ("flat", "window"):
        options["index_format"] = index_format
        expected = fastpool.maxpool2d(
            x, *arguments, **options, return_indices=True, backend="numpy"
        )
        found = fastpool.maxpool2d(x, *arguments, **options, return_indices=True, backend="numba")
        assert_same(found.output, expected.output)
        assert_same(found.indices, expected.indices)
    assert_same(fastpool.maxpool2d(x, *arguments, **options, backend="numba"), expected.output)


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
@pytest.mark.parametrize("dtype", ["float32", "int8", "float16"])
@pytest.mark.whole
def test_every_width(window, dtype):
    """Rows of less than a vector, of one or two and all that is between."""
    rng = np.random.default_rng(0)
    for width in (*range(11, 72, 3), 130):
        style = check.STYLES[width % len(check.STYLES)]
        x = check.adversarial(rng, (2, 14, width), np.dtype(dtype), style)
        both(x, *window)


@pytest.mark.parametrize("window", list(WINDOWS.values())[:-1], ids=list(WINDOWS)[:-1])
@pytest.mark.parametrize("channels", [1, 3, 16, 37])
@pytest.mark.whole
def test_channels_last(window, channels):
    rng = np.random.default_rng(0)
    x = check.adversarial(rng, (2, 14, 23, channels), np.dtype(np.float32), check.STYLES[0])
    both(x, *window, layout="NHWC")


@pytest.mark.parametrize("planes", [15, 16, 17, 35])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "float64", "float16"])
@pytest.mark.whole
def test_planes_side_by_side(planes, dtype):
    """Also a number of planes that fills no vector, and those of a strided array."""
    rng = np.random.default_rng(0)
    x = check.adversarial(rng, (2 * planes, 9, 11), np.dtype(dtype), check.STYLES[-1])
    for window in ((3, 1, 1), (2, 2), (9, 1, 4)):
        both(x[:planes], *window)
        both(x[::2], *window)
        both(x[::-1, :, 2:], *window)


@pytest.mark.parametrize("dtype", ["float32", "uint8", "float64", "float16"])
@pytest.mark.parametrize("size", [(4, 4), (5, 7), (7, 7), (9, 12), (14, 14), (13, 19)])
@pytest.mark.whole
def test_many_small_planes(dtype, size):
    """They are pooled one after the other, in vectors as short as their rows."""
    rng = np.random.default_rng(0)
    x = check.adversarial(rng, (67, *size), np.dtype(dtype), check.STYLES[-1])
    windows = (3, 1, 1), (2, 2), (2, 1), (3, 2), (3, 2, 1), (2, 2, 1, 2), ((3, 7), (2, 4), (1, 3))
    for window in windows:
        both(x, *window)
        both(x[::-2], *window)
    geometry = pooled("f", "x", x.shape, rules.windows("f", 2, 3, 1, 1, 1), False, "NCHW")
    block = blocks.block_of(geometry, x.itemsize, 16, True, 0, True, False)
    assert blocks.planes_together(geometry, block, x.itemsize, False) > 1


@pytest.mark.parametrize("taps", [3, 6, 7])
@pytest.mark.whole
def test_a_nan_is_seen_wherever_it_lies(taps):
    """Also by windows that are longer than the vector of their row."""
    for windows, stride in itertools.product((2, 4, 5), (1, 2)):
        x = np.zeros([(windows - 1) * stride + taps] * 2, np.float32)
        np.fill_diagonal(x, np.nan)
        both(x, (1, taps), (1, stride))


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.whole
def test_channels_past_the_caches(monkeypatch, dtype):
    """Outputs that lie at whole lines, at whole vectors of 128 bits, and at neither."""
    monkeypatch.setattr(blocks, "PAST_BYTES", 0)
    rng = np.random.default_rng(0)
    x = check.adversarial(rng, (2, 8, 11, 64), np.dtype(dtype), check.STYLES[0])
    for start in (0, 1, 16):
        memory = [np.zeros(2 * 4 * 5 * 64 + 128, kind) for kind in (dtype, np.int64)]
        firsts = [-each.ctypes.data % 64 // each.itemsize + start for each in memory]
        out = tuple(
            each[first : first + 2 * 4 * 5 * 64].reshape(2, 4, 5, 64)
            for each, first in zip(memory, firsts, strict=True)
        )
        options = {"return_indices": True, "layout": "NHWC"}
        expected = fastpool.maxpool2d(x, 2, **options, backend="numpy")
        fastpool.maxpool2d(x, 2, **options, out=out, backend="numba")
        assert_same(out[0], expected.output)
        assert_same(out[1], expected.indices)
        for each, first in zip(memory, firsts, strict=True):
            assert not each[:first].any()
            assert not each[first + 2 * 4 * 5 * 64 :].any()


@pytest.mark.whole
def test_tiles_and_threads():
    """Rows of several tiles, and outputs that bypass the caches; one thread does the same."""
    numba = pytest.importorskip("numba")
    x = np.random.default_rng(0).integers(-99, 99, (3, 64, 40011)).astype(np.float32)
    for window in (2, (3, 1, 1), ((9, 3), (1, 2), 1), ((2, 13), (1, 2), (0, 6))):
        arguments = window if isinstance(window, tuple) else (window,)
        both(x, *arguments)
        several = fastpool.maxpool2d(x, *arguments, return_indices=True, backend="numba")
        threads = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            alone = fastpool.maxpool2d(x, *arguments, return_indices=True, backend="numba")
        finally:
            numba.set_num_threads(threads)
        assert_same(several.output, alone.output)
        assert_same(several.indices, alone.indices)


def chosen(shape, *arguments, dtype="float32", layout="NCHW", half=False, operation=MAXIMUM):
    windows = rules.windows("f", 2, *arguments)
    geometry = pooled("f", "x", shape, windows, False, layout)
    dtype = np.dtype(dtype)
    x, out = (Storage.in_order(each, dtype) for each in (shape, geometry.output_shape))
    memories = tuple(memory.place_of(storage, geometry).memory for storage in (x, out, out))
    return choice.choose(operation, geometry, dtype.itemsize, half, memories)


def reasons(*arguments, **options):
    return "; ".join(chosen(*arguments, 1, **options).reasons)


def test_the_windows_above_need_every_function():
    cases = [
        chosen(shape, *window, layout=layout)
        for window in WINDOWS.values()
        for shape, layout in (((2, 14, 40), "NCHW"), ((2, 14, 23, 16), "NHWC"))
    ]
    reducers = {name for name in vars(choice.reduce) if name.startswith("reduce_")}
    found = {case.reduce.__name__ for case in cases if case.reduce}
    assert found == reducers - {"reduce_line"}
    assert {case.walk.__name__ for case in cases} == {"direct_rows", "ring_rows", "wide_rows"}


def test_cells_are_seen_twice_by_idempotent_operations_alone():
    """A sum would be wrong with doubling, van Herk or blocks, and nothing else would say so."""
    sums = dataclasses.replace(MAXIMUM, idempotent=False)
    for window in WINDOWS.values():
        case = chosen((2, 14, 40), *window, operation=sums)
        assert case.walk not in (choice.wide_rows, choice.direct_rows)
        assert case.reduce is not choice.reduce.reduce_double


def test_the_choice_explains_itself():
    for text, case in {
        "all taps of a window in registers": ((8, 64, 224, 224), 2, 2, 0),
        f"{BYTES // 4} planes side by side, as rows are short": ((32, 512, 7, 7), 7, 7, 0),
        "vectors of 4 lanes, as rows are short; all": ((32, 512, 4, 4), 3, 1, 1),
        "vectors of 4 lanes, as rows are short, written one over": ((32, 512, 8, 8), 2, 2, 0),
        "van Herk down the rows, as windows have 31; doubling": ((1, 3, 512, 512), 31, 1, 15),
        "windows at stride 3 side by side": ((1, 3, 512, 512), 8, 3, 0),
        "tap by tap": ((1, 3, 512, 512), 2, 20, 0),
    }.items():
        assert reasons(*case).startswith(text), case
    image = reasons((64, 64, 3), 2, 2, 0, layout="NHWC")
    assert image == "vectors of windows and their 3 channels; all taps of a window in registers"
    assert reasons((2, 64, 64, 32), 9, 2, 0, layout="NHWC") == "32 channels side by side"
    assert "16-bit floats" in reasons((4, 64, 64), 9, 2, 0, dtype="float16", half=True)


def test_without_the_compiler():
    """Vectors cannot be interpreted: NumPy answers, and who insists on Numba hears why."""
    code = """
import warnings, numpy as np, fastpool
from fastpool.dispatch import economy
economy.FIRST_COMPILE_SECONDS = 0
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print(fastpool.maxpool2d([[1, 2]], (1, 2)), len(caught))
try:
    fastpool.maxpool2d([[1, 2]], (1, 2), backend="numba")
except fastpool.BackendUnavailable as error:
    print(error)
"""
    printed = run(code, NUMBA_DISABLE_JIT="1")
    assert printed.startswith("[[2]] 1\n")
    assert "NUMBA_DISABLE_JIT is set" in printed


@pytest.mark.whole
def test_repeated_calls_are_told_apart():
    """What was checked once is known again by its types too: 2, 2.0 and True are not the same."""
    x = np.arange(16.0, dtype=np.float32).reshape(4, 4)
    for _ in range(3):
        assert fastpool.maxpool2d(x, 2, backend="numba").shape == (2, 2)
        assert fastpool.maxpool2d(x, 1, backend="numba").shape == (4, 4)
        assert fastpool.maxpool2d(x, (2, 2), backend="numba").shape == (2, 2)
        for kernel_size in (2.0, True, (2.0, 2), [2.0, 2]):
            with pytest.raises(TypeError, match="kernel_size"):
                fastpool.maxpool2d(x, kernel_size, backend="numba")
        with pytest.raises(TypeError, match="ceil_mode"):
            fastpool.maxpool2d(x, 2, ceil_mode=0, backend="numba")
        for dtype, layout in itertools.product((np.float32, ">f4", "f8"), ("NCHW", "NHWC")):
            y = x.astype(dtype).reshape((4, 4) if layout == "NCHW" else (4, 4, 1))
            for options in ({}, {"return_indices": True}, {"index_format": "window"}):
                result = fastpool.maxpool2d(y, 2, layout=layout, **options, backend="numba")
                expected = fastpool.maxpool2d(y, 2, layout=layout, **options, backend="numpy")
                for found, wanted in zip(
                    result if options.get("return_indices") else [result],
                    expected if options.get("return_indices") else [expected],
                    strict=True,
                ):
                    assert_same(found, wanted)


@pytest.mark.whole
def test_arguments_without_a_hash_are_known_again_too():
    """None of them is looked for among repeated calls, where its hash would be asked for."""

    class Two:
        def __index__(self):
            return 2

        def __hash__(self):
            raise ZeroDivisionError

    x, nested = np.ones((4, 4)), ()
    for _ in range(10**6):
        nested = (nested,)
    for _ in range(2):
        assert fastpool.maxpool2d(x, Two(), backend="numba").shape == (2, 2)
        for hostile in (nested, memoryview(bytearray(2))):
            with pytest.raises((TypeError, ValueError), match="maxpool2d: kernel_size"):
                fastpool.maxpool2d(x, hostile, backend="numba")
    while nested:  # freed layer by layer: all at once takes as deep a stack
        (nested,) = nested


@pytest.mark.numba
@pytest.mark.whole
def test_repeated_planes_do_not_lie_behind_each_other():
    """What follows them in memory are other planes, whose indices are as good."""
    x = np.random.default_rng(0).standard_normal((50, 6, 7)).astype(np.float32)
    output, indices = fastpool.maxpool2d(x, 3, 1, 1, return_indices=True)
    repeated = [np.broadcast_to(array[:40], (5, 40, 6, 7)) for array in (output, indices)]
    arguments = *repeated, (5, 40, 6, 7), 3, 1, 1
    expected = fastpool.maxpool2d_backward(*arguments, backend="numpy")
    assert_same(fastpool.maxpool2d_backward(*arguments, backend="numba"), expected)
