"""Windows of few channels that lie side by side: images with channels last, made smaller."""

import itertools

import numpy as np
import pytest
from bits import assert_same

import fastpool
from fastpool.cli.adversarial import STYLES, adversarial

pytest.importorskip("numba")
from fastpool.backends.numba import blocks
from fastpool.backends.numba.vectors.types import BYTES
from fastpool.backends.numba.vectors.windows import ANY
from fastpool.rules import arguments as rules
from fastpool.rules.geometry import pooled

# Kernel, stride, padding, dilation.
WINDOWS = (
    (2, 2, 0, 1),
    (3, 2, 1, 1),
    (3, 3, 0, 1),
    (4, 4, 2, 1),
    ((2, 3), (1, 2), ((1, 1), (0, 1)), (1, 3)),
    ((3, 1), (2, 8), 0, 1),
    ((1, 7), 5, ((0, 0), (3, 2)), 1),
)
DTYPES = ("uint8", "float32", "int16", "float64", "float16", "bool", "int64")


def both(x, kernel, stride=None, padding=0, dilation=1, **options):
    """Extremes, their indices, averages and sums: the same bytes from both backends."""
    window, options = (x, kernel, stride, padding), {"dilation": dilation, **options}
    calls = [
        (fastpool.maxpool2d, {}),
        (fastpool.maxpool2d, {"return_indices": True}),
    ]
    if x.dtype == bool:
        calls.append((fastpool.minpool2d, {"return_indices": True, "index_format": "window"}))
    elif x.dtype.kind == "f":
        calls.append((fastpool.sumpool2d, {}))
        calls.append((fastpool.avgpool2d, {"count_include_pad": False}))
    else:
        calls.append((fastpool.avgpool2d, {"dtype": x.dtype}))
        calls.append((fastpool.avgpool2d, {}))
    for function, more in calls:
        pair = [
            function(*window, **options, **more, layout="NHWC", backend=name)
            for name in ("numba", "numpy")
        ]
        pair = [each if isinstance(each, tuple) else (each,) for each in pair]
        payloads = function in (fastpool.sumpool2d, fastpool.avgpool2d)
        for found, expected in zip(*pair, strict=True):
            assert_same(found, expected, any_nan=payloads)


def test_a_photograph():
    """The last windows of a row lie inside, or stick out."""
    x = adversarial(np.random.default_rng(0), (6, 131, 3), np.dtype(np.uint8), "random")
    both(x, 2)
    both(x, 2, ceil_mode=True)


@pytest.mark.parametrize("channels", [2, 3, 4, 5, 16])
@pytest.mark.whole
def test_channels(channels):
    """Of each number some windows and dtypes; 130 cells are more than a vector of any dtype."""
    rng = np.random.default_rng(channels)
    for number, window in enumerate(WINDOWS):
        dtype = np.dtype(DTYPES[(number + channels) % len(DTYPES)])
        for width, style in zip((2, 130 // channels + 14), rng.choice(STYLES, 2), strict=True):
            x = adversarial(rng, (2, 9, width, channels), dtype, style)
            if width > 2 or number in (0, 1, 3):
                both(x, *window)


@pytest.mark.parametrize(("dtype", "window"), [("uint8", (2, 2)), ("float32", (3, 2, 1))])
@pytest.mark.whole
def test_every_width(dtype, window):
    rng = np.random.default_rng(0)
    for width, ceil_mode in itertools.product((*range(2, 25), 41, 42, 43, 44, 45), (False, True)):
        x = adversarial(rng, (5, width, 3), np.dtype(dtype), STYLES[width % len(STYLES)])
        both(x, *window, ceil_mode=ceil_mode)


@pytest.mark.whole
def test_memory():
    """Crops, rows upside down, columns and channels apart, and outputs that are parts of others."""
    rng = np.random.default_rng(0)
    x = adversarial(rng, (2, 20, 50, 6), np.dtype(np.int16), "bits")
    for part in (x[:, 1:, 3:46], x[:, ::-2], x[:, :, ::-2], x[..., 1:5], x[..., ::2]):
        both(np.ascontiguousarray(part)[:, :, 1:], 2)
        both(part, 2)
    image = np.ascontiguousarray(x[..., :3])
    for kind in ("cropped", "mirrored"):
        larger = np.full((2, 12, 60, 3), 77, np.int16)
        out = larger[:, 1:11, 10:35] if kind == "cropped" else larger[:, 10:0:-1, 34:9:-1]
        expected = fastpool.maxpool2d(image, 2, layout="NHWC", backend="numpy")
        fastpool.maxpool2d(image, 2, layout="NHWC", out=out, backend="numba")
        assert_same(np.ascontiguousarray(out), expected)
        out[...] = 77
        assert (larger == 77).all()


def block(channels, lanes, window=(2, 2, 0, 1), width=130):
    geometry = pooled("f", "x", (9, width, channels), rules.windows("f", 2, *window), False, "NHWC")
    return blocks.block_of(geometry, 4, lanes, False, 0, False, False)


def test_which_channels_lie_side_by_side():
    """Of as many channels as lanes, a block holds one window; at a stride of 1 all cells."""
    for channels in (2, 3, 15):
        assert block(channels, 16).interleaved
    for other in (block(16, 16), block(ANY, 64), block(3, 16, width=1, window=((2, 1), 2, 0, 1))):
        assert not other.interleaved
        assert other.channels == 0
    assert block(3, 16, (2, 1, 0, 1)).channels == ANY
    assert block(1, 16).channels == 1


@pytest.mark.parametrize("channels", range(2, 16))
def test_lanes_of_short_rows(channels):
    """Blocks never hold more windows than a row, nor vectors more cells."""
    for itemsize, width in itertools.product((1, 2, 4, 8), range(2, 70)):
        geometry = pooled(
            "f", "x", (9, width, channels), rules.windows("f", 2, 2, 2, 0, 1), False, "NHWC"
        )
        lanes = blocks.lanes_of(geometry, itemsize, False)
        assert lanes <= BYTES // itemsize
        found = blocks.block_of(geometry, itemsize, lanes, False, 0, False, False)
        if found.interleaved:
            assert found.whole(lanes) % channels == 0
            assert lanes // 2 <= found.whole(lanes) <= width // 2 * channels
            assert lanes <= width * channels
