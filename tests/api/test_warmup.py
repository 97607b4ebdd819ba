"""What `warmup` compiles is all that the calls need, and nothing runs for it."""

import numpy as np
import pytest
from process import run

import fastpool
from fastpool.api import norms

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


@pytest.mark.parametrize("name", ["overlap", "window", "large", "halves"])
@pytest.mark.whole
def test_norms_after_it_compile_nothing(name):
    shape, kernel_size, options = CALLS[name]
    windows = {
        key: value for key, value in options.items() if key not in ("index_format", "dtypes")
    }
    for p in (2, float("inf")):
        fastpool.warmup(
            shape, kernel_size, **options, norm_type=p, functions=["lppool2d", "lppool2d_backward"]
        )
        compiled = jit.compiled_functions()
        for dtype in ("float32", "int8"):
            x = np.ones(shape, dtype)
            found = fastpool.lppool2d(x, p, kernel_size, **windows, backend="numba")
            fastpool.lppool2d_backward(found, x, p, kernel_size, **windows, backend="numba")
        assert jit.compiled_functions() == compiled


@pytest.mark.whole
def test_norms_of_large_arrays_are_of_blocks(monkeypatch):
    """Whose last one may have fewer planes, and other kernels."""
    monkeypatch.setattr(norms, "BLOCK", 34 * 7 * 7)
    x = np.ones((35, 7, 7), np.float32)
    fastpool.warmup(x.shape, 7, functions="lppool2d")
    compiled = jit.compiled_functions()
    fastpool.lppool2d(x, 2, 7, backend="numba")
    assert jit.compiled_functions() == compiled


@pytest.mark.parametrize("output_size", [1, (3, 5), (20, None)], ids=str)
@pytest.mark.parametrize("shape", [(2, 20, 43), (33, 12, 10)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.whole
def test_adaptive_functions_after_it_compile_nothing(shape, output_size, dtype):
    parts = [f"adaptive_{name}pool2d{end}" for name in ("max", "avg") for end in ("", "_backward")]
    fastpool.warmup(shape, output_size=output_size, dtypes=dtype, functions=parts)
    compiled, x = jit.compiled_functions(), np.ones(shape, dtype)
    options = {"output_size": output_size, "backend": "numba"}
    fastpool.adaptive_maxpool2d(x, **options)
    output, indices = fastpool.adaptive_maxpool2d(x, return_indices=True, **options)
    fastpool.adaptive_maxpool2d_backward(output, indices, shape, **options)
    for result in (None, x.dtype):
        fastpool.adaptive_avgpool2d(x, **options, dtype=result)
    if x.dtype.kind == "f":
        fastpool.adaptive_avgpool2d_backward(output, shape, **options)
    assert jit.compiled_functions() == compiled


BLOCKS = {
    "mean": ((6, 41, 300), {"factors": (1, 2, 2)}, ("uint8", "float32")),
    "channels": ((40, 41, 3), {"factors": 2, "axes": (0, 1), "method": "max"}, "uint8"),
    "labels": ((20, 21, 40), {"factors": 2, "method": "mode", "nodata": 0}, "uint32"),
    "skipna": ((41, 60), {"factors": 3, "method": "median", "skipna": True}, "float64"),
    "sum": ((41, 60), {"factors": 2, "method": "sum", "dtype": "float32"}, "int16"),
    "truth": ((41, 60), {"factors": 2, "method": "any", "boundary": "trim"}, "bool"),
    "pad": ((41, 60), {"factors": 2, "boundary": "pad"}, "float32"),
}


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.whole
def test_blocks_after_it_compile_nothing(name):
    shape, options, dtypes = BLOCKS[name]
    fastpool.warmup(shape, dtypes=dtypes, blocks=options, functions="downsample")
    compiled = jit.compiled_functions()
    for dtype in [dtypes] if isinstance(dtypes, str) else dtypes:
        fastpool.downsample(np.ones(shape, dtype), **options, backend="numba")
    assert jit.compiled_functions() == compiled


@pytest.mark.whole
def test_filters_after_it_compile_nothing():
    fastpool.warmup((70, 71), 5, 1, 2, functions="maxpool2d")
    compiled = jit.compiled_functions()
    fastpool.maximum_filter(np.ones((70, 71), np.float32), 5, backend="numba")
    assert jit.compiled_functions() == compiled


def test_blocks_without_kernels_need_nothing():
    """Those of 9 x 9 cells, whose medians NumPy answers."""
    compiled = jit.compiled_functions()
    blocks = {"factors": 9, "method": "median"}
    fastpool.warmup((90, 90), dtypes="int16", blocks=blocks, functions=["downsample"])
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
        (((4, 4),), {}, TypeError, "warmup: maxpool2d needs kernel_size"),
        (((4, 4), 2), {"functions": "adaptive_avgpool2d"}, TypeError, "needs output_size"),
        (((4, 4),), {"functions": "lppool2d", "output_size": 1}, TypeError, "needs kernel_size"),
        (
            ((4, 4),), {"functions": "adaptive_maxpool2d", "output_size": -1}, ValueError,
            "warmup: output_size",
        ),
        (((4, 4), 2), {"functions": "lppool2d", "norm_type": 0}, ValueError, "warmup: norm_type"),
        (((4, 4), 2), {"functions": "downsample"}, TypeError, "warmup: downsample needs blocks"),
        (
            ((4, 4),), {"functions": "downsample", "blocks": {}}, TypeError,
            "warmup: blocks must have factors",
        ),
        (
            ((4, 4),), {"functions": "downsample", "blocks": {"factors": 2, "stride": 1}},
            TypeError, "and may have method, .*, got .'factors', 'stride'",
        ),
        (
            ((4, 4),), {"functions": "downsample", "blocks": {"factors": 0}}, ValueError,
            "downsample: factors",
        ),
    ],
)  # fmt: skip
def test_errors(arguments, options, error, message):
    with pytest.raises(error, match=message):
        fastpool.warmup(*arguments, **options)


def test_empty_shapes_need_nothing():
    compiled = jit.compiled_functions()
    fastpool.warmup((0, 77, 77), 7, dtypes="uint32")
    assert jit.compiled_functions() == compiled
