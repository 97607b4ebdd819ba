"""What `warmup` compiles is all that the calls need, and nothing runs for it."""

import numpy as np
import pytest
from process import run

import fastpool

pytest.importorskip("numba")
from fastpool.backends.numba.compile import jit

CALLS = {
    "tiles": ((2, 3, 40, 300), 2, {}),
    "overlap": ((2, 3, 40, 300), 3, {"stride": 2, "padding": 1, "dtypes": "float64"}),
    "window": ((2, 40, 41), (3, 5), {"index_format": "window", "dtypes": [np.int16, ">u4"]}),
    "large": ((1, 90, 90), 31, {"stride": 1, "padding": 15, "dtypes": (np.uint8,)}),
    "channels": ((2, 20, 20, 7), 3, {"layout": "NHWC", "ceil_mode": True}),
    "planes": ((40, 7, 7), 2, {"dtypes": np.dtype(bool)}),
    "halves": ((3, 9, 50), 3, {"dilation": 2, "dtypes": "float16", "index_format": "window"}),
    "parallel": ((4, 200, 200), 2, {"dtypes": "int8"}),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.whole
def test_calls_after_it_compile_nothing(name):
    shape, kernel_size, options = CALLS[name]
    fastpool.warmup(shape, kernel_size, **options)
    compiled = jit.compiled_functions()
    dtypes = options.pop("dtypes", "float32") if "dtypes" in options else "float32"
    unpool = {key: options[key] for key in options if key != "ceil_mode"}
    for dtype in dtypes if isinstance(dtypes, (list, tuple)) else [dtypes]:
        x = np.ones(shape, np.dtype(dtype).newbyteorder("="))
        fastpool.maxpool2d(x, kernel_size, **options, backend="numba")
        output, indices = fastpool.maxpool2d(
            x, kernel_size, **options, return_indices=True, backend="numba"
        )
        fastpool.maxpool2d_backward(output, indices, shape, kernel_size, **options, backend="numba")
        fastpool.maxunpool2d(
            output, indices, kernel_size, output_size=shape, **unpool, backend="numba"
        )
    assert jit.compiled_functions() == compiled


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.whole
def test_averages_after_it_compile_nothing(name):
    shape, kernel_size, options = CALLS[name]
    windows = {
        key: value for key, value in options.items() if key not in ("index_format", "dtypes")
    }
    dtypes = options.get("dtypes", "float32")
    fastpool.warmup(
        shape, kernel_size, **options, functions=["avgpool2d", "sumpool2d", "avgpool2d_backward"]
    )
    compiled = jit.compiled_functions()
    for dtype in dtypes if isinstance(dtypes, (list, tuple)) else [dtypes]:
        x = np.ones(shape, np.dtype(dtype).newbyteorder("="))
        for result in (None, x.dtype) if x.dtype.kind in "iu" else (None,):
            for pool in (fastpool.avgpool2d, fastpool.sumpool2d):
                found = pool(x, kernel_size, **windows, dtype=result, backend="numba")
        if x.dtype.kind == "f":
            fastpool.avgpool2d_backward(found, shape, kernel_size, **windows, backend="numba")
    assert jit.compiled_functions() == compiled


@pytest.mark.whole
def test_only_the_functions_asked_for():
    code = """
        import fastpool
        {}
        fastpool.warmup((1, 8, 8), 2, functions={!r})
        from fastpool.backends.numba.compile import jit
        names = [key if isinstance(key, str) else key[0].__name__ for key in jit._compiled]
        print(sorted(names))
    """
    forward = run(code.format("", ["maxpool2d"]))
    assert "direct_rows" in forward
    assert "scatter" not in forward
    assert "gather" not in forward
    assert "pull" not in forward
    assert "rows" not in run(code.format("", [])).replace("[]", "")


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (((4, 4), 5), {}, ValueError, "warmup: kernel_size"),
        (((4, 4), 2), {"dtypes": "complex64"}, TypeError, "warmup: dtypes has dtype complex64"),
        (((4, 4), 2), {"dtypes": "nonsense"}, TypeError, "warmup: dtypes must be dtypes"),
        (((4, 4), 2), {"functions": ["maxpool"]}, ValueError, "warmup: functions must be one of"),
        ((4, 2), {}, TypeError, "warmup: "),
        (((4, 4), 2), {"layout": "CHW"}, ValueError, "warmup: layout"),
    ],
)
def test_errors(arguments, options, error, message):
    with pytest.raises(error, match=message):
        fastpool.warmup(*arguments, **options)


def test_empty_shapes_need_nothing():
    compiled = jit.compiled_functions()
    fastpool.warmup((0, 77, 77), 7, dtypes="uint32")
    assert jit.compiled_functions() == compiled
