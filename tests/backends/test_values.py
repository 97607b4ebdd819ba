"""The NumPy backend without indices: the bits are those of the cells that its indices name."""

from dataclasses import replace

import numpy as np
import pytest
from bits import assert_same

import fastpool
from fastpool.backends.numpy import select, values
from fastpool.cli import check
from fastpool.cli.adversarial import STYLES, adversarial, in_memory, usable_dtypes
from fastpool.rules import calls
from fastpool.rules.members import FUNCTIONS
from fastpool.rules.operation import MINIMUM

DTYPES = usable_dtypes()
FLOATS = {name: dtype for name, dtype in DTYPES.items() if dtype.kind not in "iub"}
SLICES, SHIFTS = values.BySlices, values.ByShifts

# Layout, shape, kernel, stride, padding, and the way that each is to go: a step for each axis, and
# whether there is a frame; None if the general way is cheaper.
CASES = {
    "tiles": ("NCHW", (2, 40, 600), 2, 2, 0, ([SLICES, SHIFTS], False)),
    "small planes": ("NCHW", (5, 7, 7), 2, 2, 0, ([SHIFTS, SHIFTS], False)),
    "overlapping": ("NCHW", (2, 40, 600), 3, 1, 1, ([SHIFTS, SHIFTS], True)),
    "far apart": ("NCHW", (1, 30, 4000), 2, 9, 0, ([SLICES, SLICES], False)),
    "channels": ("NHWC", (1, 30, 33, 300), 3, 2, 1, ([SLICES, SLICES], True)),
    "of one cell": ("NCHW", (2, 6, 9), 1, 2, 0, ([], False)),
    "much padding": ("NCHW", (40, 2, 3), 9, 1, 4, None),
}


def special(rng, shape, dtype, rare):
    """Random numbers, and among them some zeros of both signs and NaN of many payloads."""
    x = adversarial(rng, shape, dtype, "random")
    for style in ("zeros", "nans"):
        x = np.where(rng.random(shape) < rare, adversarial(rng, shape, dtype, style), x)
    return x


def call_of(x, layout, kernel, stride, padding, operation=None):
    function = FUNCTIONS["maxpool2d"]
    if operation:
        function = replace(function, operation=operation)
    return calls.forward(
        function, "x", x.shape, x.dtype, kernel, stride, padding, 1, False, False, "flat", layout
    )


def both_ways(call, x):
    """The values as they are found without indices, and with."""
    found, right = np.empty((2, *call.geometry.output_shape), x.dtype)
    canonical = call.geometry.canonical
    values.forward(call, canonical(x), canonical(found))
    select.forward(call, canonical(x), canonical(right))
    return found, right


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_cases_below_go_every_way(case):
    layout, shape, *window, expected = case
    geometry = call_of(np.empty(shape, np.float32), layout, *window).geometry
    shape = geometry.canonical(np.empty(shape)).shape
    way = values._way(shape, geometry.axes)
    assert expected == (way and ([type(step) for step in way.steps], bool(way.inside)))


@pytest.mark.parametrize("operation", [None, MINIMUM], ids=["maximum", "minimum"])
@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_way_has_the_bits_of_the_picked_cells(case, name, operation):
    layout, shape, *window, _ = case
    rng = np.random.default_rng(0)
    inputs = [adversarial(rng, shape, DTYPES[name], style) for style in STYLES]
    if name in FLOATS:
        inputs += [special(rng, shape, DTYPES[name], rare) for rare in (0.0003, 0.02, 0.5)]
    for x in inputs:
        found, right = both_ways(call_of(x, layout, *window, operation), x)
        assert_same(found, right)


@pytest.mark.parametrize("name", DTYPES)
def test_random_geometries_memories_and_values(name):
    rng = np.random.default_rng(1)
    for _ in range(40):
        case = check.random_case(rng)
        x = adversarial(rng, case.shape, DTYPES[name], str(rng.choice(STYLES)))
        if name in FLOATS and rng.random() < 0.5:
            x = special(rng, case.shape, DTYPES[name], 0.02)
        x = in_memory(rng, x, str(rng.choice(check.MEMORIES)))
        pool = getattr(fastpool, case.pool)
        found = pool(x, **case.arguments, backend="numpy")
        assert_same(found, pool(x, **case.arguments, return_indices=True, backend="numpy").output)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", ["uint8", "float16", "float32"])
def test_planes_in_several_blocks(name, layout, monkeypatch):
    """Windows that reach from one block into the next, and leading axes that are no one axis."""
    monkeypatch.setattr(values, "BYTES", 2**10)
    rng = np.random.default_rng(2)
    whole = adversarial(rng, (2, 4, 90, 70, 3), DTYPES[name], "nans")
    for x in (whole, whole[:, ::3], whole[:, :, 1:50, ::-1]):
        for window in ((2, 2), (3, 1, 1), (3, 2, 1, 2), (5, 3, 0, 1, True)):
            options = {"layout": layout, "backend": "numpy"}
            found = fastpool.maxpool2d(x, *window, **options)
            right = fastpool.maxpool2d(x, *window, return_indices=True, **options)
            assert_same(found, right.output)


@pytest.mark.parametrize("name", FLOATS)
def test_of_zeros_and_of_nan_the_first_is_kept(name):
    """A few windows among many numbers are looked at again, and no more."""
    dtype = FLOATS[name]
    bits = np.dtype(f"u{dtype.itemsize}")
    x = np.random.default_rng(3).standard_normal((300, 300)).astype(dtype)
    negative, nan = (int(np.array(value, dtype).view(bits)) for value in (-0.0, np.nan))
    nan &= ~negative
    pairs = [(0, negative), (negative, 0), (nan | 1, nan | 2), (nan | 2, nan | 1),
             (nan | 5 | negative, nan | 3), (nan | 3, nan | 5 | negative)]  # fmt: skip
    for row, (first, second) in enumerate(pairs):
        x[2 * row : 2 * row + 2] = -1
        x.view(bits)[2 * row, 1::2], x.view(bits)[2 * row + 1, ::2] = first, second
    output = fastpool.maxpool2d(x, 2, backend="numpy").view(bits)
    for row, (first, _) in enumerate(pairs):
        assert (output[row] == first).all(), row


def test_what_is_looked_at_again(monkeypatch):
    """Zeros are not, unless one is negative; and where it would be most windows, none is."""
    found, extremes, positions = [], values.extremes, values._positions

    def seen(windows, *arguments):
        found.append(len(windows[0]))
        return positions(windows, *arguments)

    def known(*arguments):
        best = extremes(*arguments)
        found.append(best is not None)
        return best

    monkeypatch.setattr(values, "extremes", known)
    monkeypatch.setattr(values, "_positions", seen)
    x = np.maximum(np.random.default_rng(4).standard_normal((256, 512)).astype(np.float32), 0)
    for value, expected in ((1, [True]), (-0.0, None), (np.nan, [1, True])):
        x[7, 9] = value
        fastpool.maxpool2d(x, 2, backend="numpy")
        if expected is None:  # about one window in 16 is all zeros
            assert 256 * 512 / 4 / 20 < found[0] < 256 * 512 / 4 / 12
            assert found[1:] == [True]
        else:
            assert found == expected
        found.clear()
    fastpool.maxpool2d(np.full((600, 600), np.nan), 2, backend="numpy")
    assert not any(found)
    assert found


def test_an_input_is_neither_returned_nor_changed():
    x = np.array([[np.nan, 0.0, -0.0, *range(1, 6)]])
    x.flags.writeable = False
    output = fastpool.maxpool2d(x, 1, backend="numpy")
    assert not np.shares_memory(output, x)
    assert_same(output, x)
