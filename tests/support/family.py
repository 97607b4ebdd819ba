"""Calls of sums, averages, norms, modes and adaptive functions, which need all their walks."""

import numpy as np

import fastpool
from fastpool.cli import check

# Arguments of averages: walks of taps in order, of planes side by side, and of trees.
AVERAGED = {
    "tiles": {"kernel_size": 2},
    "overlap": {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    "columns counted": {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": False},
    "dilation": {"kernel_size": (2, 3), "stride": (1, 3), "padding": (0, 2), "dilation": 2},
    "far apart": {"kernel_size": (1, 2), "stride": (1, 20), "padding": (0, 1)},
    "trees": {"kernel_size": 31, "stride": 1, "padding": 15},
    "trees, counted": {"kernel_size": 9, "stride": 2, "padding": 4, "count_include_pad": False},
    "sparse trees": {"kernel_size": (2, 400), "stride": (1, 9), "padding": (1, 399)},
}
# Planes that fill no vector of lanes, rows of up to 20 columns and of more.
SHAPES = {"small planes": (17, 14, 13), "twenty columns": (17, 5, 20), "rows": (3, 14, 43)}
# Windows that divide an axis, that vary, that are more than cells, and one of more than 64 taps.
OUTPUT_SIZES = ((7, None), (3, 5), (16, 45), 1)
LP = {"kernel_size": 3, "stride": 2, "padding": 1}
MODES = ({"kernel_size": 2}, {"kernel_size": (3, 4), "stride": 1, "padding": 1})
LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}
LINES, VOLUMES = (17, 75), (5, 4, 7, 19)


def _gradient(rng, output):
    return check.adversarial(rng, output.shape, output.dtype, "random")


def averages(sizes, windows, dtype, last):
    """Sums, averages and gradients of one window: function, arrays, arguments, options."""
    n, rng = len(sizes) - 1, np.random.default_rng(0)
    layout = LAYOUTS[n][last]
    shape = (2, *sizes[1:], sizes[0]) if last else sizes
    x = check.adversarial(rng, shape, np.dtype(dtype), "random")
    integers = x.dtype.kind in "iu"
    options = {**windows, "layout": layout, **({"dtype": x.dtype} if integers else {})}
    pool, total, backward = (
        getattr(fastpool, f"{name}{n}d{end}")
        for name, end in (("avgpool", ""), ("sumpool", ""), ("avgpool", "_backward"))
    )
    plain = {name: value for name, value in options.items() if name != "count_include_pad"}
    yield pool, (x,), (), options
    yield total, (x,), (), plain
    if not integers:
        output = pool(x, **options, backend="numpy")
        yield backward, (_gradient(rng, output),), (shape,), options


def others(sizes, dtype, last):
    """Adaptive functions, norms and labels in 2-D, in the same form."""
    rng, layout = np.random.default_rng(0), {"layout": LAYOUTS[2][last]}
    shape = (2, *sizes[1:], sizes[0]) if last else sizes
    x = check.adversarial(rng, shape, np.dtype(dtype), "ties")
    integers = x.dtype.kind in "iu"
    kept = {"dtype": x.dtype} if integers else {}
    for size in OUTPUT_SIZES:
        yield fastpool.adaptive_avgpool2d, (x,), (size,), {**layout, **kept}
        yield fastpool.adaptive_maxpool2d, (x,), (size,), layout
        yield fastpool.adaptive_maxpool2d, (x,), (size, True), layout
        pooled = fastpool.adaptive_maxpool2d(x, size, True, **layout, backend="numpy")
        arrays = _gradient(rng, pooled.output), pooled.indices
        yield fastpool.adaptive_maxpool2d_backward, arrays, (shape, size), layout
        if not integers:
            yield fastpool.adaptive_avgpool2d_backward, arrays[:1], (shape, size), layout
    if integers:
        for windows in MODES:
            yield fastpool.modepool2d, (x,), (), {**windows, **layout}
            yield fastpool.modepool2d, (x,), (), {**windows, **layout, "return_indices": True}
        return
    for p in (2, float("inf")):
        yield fastpool.lppool2d, (x,), (p,), {**LP, **layout}
        gradient = _gradient(rng, fastpool.lppool2d(x, p, **LP, **layout, backend="numpy"))
        yield fastpool.lppool2d_backward, (gradient, x), (p,), {**LP, **layout}


# What a test is given: a name, and the calls for a dtype and layout.
CALLS = {
    f"{name}, {cells}": lambda *kind, w=windows, s=sizes: averages(s, w, *kind)
    for name, windows in AVERAGED.items()
    for cells, sizes in SHAPES.items()
    if cells != "twenty columns"  # which take the same kernels as small planes
}
CALLS |= {
    "lines": lambda *kind: averages(LINES, {"kernel_size": 5, "stride": 2, "padding": 2}, *kind),
    "volumes": lambda *kind: averages(VOLUMES, {"kernel_size": 3, "padding": 1}, *kind),
}
CALLS |= {
    f"others, {cells}": lambda *kind, s=sizes: others(s, *kind) for cells, sizes in SHAPES.items()
}
# Averages of other dtypes take small planes alone: long rows differ in what a cell is made of.
CASES = [
    (name, dtype)
    for name in CALLS
    for dtype in ("float32", "float16", "uint8")
    if dtype == "float32" or not name.endswith(", rows") or name == "others, rows"
]
