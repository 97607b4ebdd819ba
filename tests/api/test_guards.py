"""No kernel writes a cell outside its outputs, whatever the window, the memory and the indices."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from bits import assert_same
from family import CALLS, CASES
from guards import KINDS, Guarded
from process import run

import fastpool
from fastpool.cli import check

pytest.importorskip("numba")
from windows import WINDOWS

pytestmark = pytest.mark.whole

BACKENDS = ("numpy", "numba")
FAR = (-1, -(2**63), 2**63 - 1, 2**31, 2**32)


def guarded(function, arguments, options, expected, kind, backend):
    """Call with outputs amid guard cells; they hold what is expected, if that is known."""
    frames = [Guarded(array.shape, array.dtype, kind) for array in expected]
    out = tuple(frame.array for frame in frames)
    out = out if len(out) > 1 else out[0]
    try:
        function(*arguments, **options, out=out, backend=backend)
    finally:
        for frame in frames:
            frame.check()
    for frame, array in zip(frames, expected, strict=True):
        assert_same(frame.array, array, any_nan=function is fastpool.maxpool2d_backward)


def bad_indices(indices, cells):
    """The indices with one that no window may have, at places where vectors begin and end."""
    wide = indices.astype(np.int64)
    for at, number in zip((0, 15, 16, wide.size // 2, -1), (*FAR, cells), strict=False):
        wrong = wide.copy()
        wrong.reshape(-1)[at % wide.size] = number
        yield wrong


def check_guards(window, dtype, layout, shape, index_format):
    """All functions into outputs of all kinds, with good indices and bad ones."""
    rng = np.random.default_rng(0)
    shape = shape if layout == "NCHW" else (2, *shape[1:], shape[0])
    options = {"layout": layout, "index_format": index_format}
    x = check.adversarial(rng, shape, np.dtype(dtype), "ties")
    pooled = fastpool.maxpool2d(x, *window, return_indices=True, **options, backend="numpy")
    kernel, stride, padding, dilation = window
    unpool = {**options, "output_size": shape, "dilation": dilation}

    def calls(indices):
        yield fastpool.maxpool2d_backward, (pooled.output, indices, shape, *window), options
        yield fastpool.maxunpool2d, (pooled.output, indices, kernel, stride, padding), unpool

    for function, arguments, settings in (
        (fastpool.maxpool2d, (x, *window), {**options, "return_indices": True}),
        (fastpool.maxpool2d, (x, *window), options),
        *calls(pooled.indices),
    ):
        expected = function(*arguments, **settings, backend="numpy")
        expected = expected if isinstance(expected, tuple) else (expected,)
        for kind in KINDS:
            guarded(function, arguments, settings, expected, kind, "numba")
        guarded(function, arguments, settings, expected, KINDS[rng.integers(5)], "numpy")
    for wrong in bad_indices(pooled.indices, x.size):
        for (function, arguments, settings), backend in itertools.product(calls(wrong), BACKENDS):
            kind = KINDS[rng.integers(5)]
            with pytest.raises(IndexError):
                guarded(function, arguments, settings, [x], kind, backend)


# A number of planes that fills no vector, and rows of more than one.
SHAPES = {"flat": (17, 14, 13), "window": (3, 14, 40)}


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
@pytest.mark.parametrize("dtype", ["float32", "int8", "float16"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_guard_cells_stay(window, dtype, layout):
    for index_format, shape in SHAPES.items():
        check_guards(window, dtype, layout, shape, index_format)


@pytest.mark.parametrize(("name", "dtype"), CASES)
@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
def test_guard_cells_stay_of_the_family(name, dtype, last):
    for function, arrays, arguments, options in CALLS[name](dtype, last):
        expected = function(*arrays, *arguments, **options, backend="numpy")
        expected = expected if isinstance(expected, tuple) else (expected,)
        for kind in KINDS:
            guarded(function, (*arrays, *arguments), options, expected, kind, "numba")
        if function is not fastpool.adaptive_maxpool2d_backward:
            continue
        gradient, indices = arrays
        for wrong in bad_indices(indices, expected[0].size):
            for kind, backend in itertools.product(("inside", "apart"), BACKENDS):
                with pytest.raises(IndexError):
                    guarded(
                        function, (gradient, wrong, *arguments), options, expected, kind, backend
                    )


def test_with_bounds_checks(tmp_path):
    """What Numba itself indexes, around the kernels, stays inside too: also on several threads."""
    code = f"""
    import sys
    import numpy as np, fastpool, numba
    sys.path.append({str(Path(__file__).parent)!r})
    from test_guards import SHAPES, check_guards
    from windows import WINDOWS

    assert numba.config.BOUNDSCHECK == 1
    check_guards(WINDOWS["tiles"], "float32", "NCHW", SHAPES["window"], "flat")
    check_guards(WINDOWS["shared rows"], "float32", "NCHW", (3, 400, 500), "flat")
    """
    run(code, NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(tmp_path), NUMBA_NUM_THREADS="2")
