"""Bools whose True is any byte but 0: all are equal, and the byte is kept or, in sums, is 1."""

import numpy as np
import oracle
import pytest
from bits import assert_same

import fastpool
from fastpool.cli import check

# Layout, shape, kernel, stride, padding: one for every way to reduce and merge rows.
CASES = {
    "blocks": ("NCHW", (2, 9, 75), 3, 1, 1),
    "blocks far outside": ("NCHW", (2, 9, 75), (3, 7), (1, 3), (2, 6)),
    "blocks of volumes": ("NCDHW", (2, 5, 6, 70), 3, 1, 2),
    "volumes": ("NCDHW", (2, 4, 9, 40), (2, 8, 9), (1, 4, 2), (1, 4, 8)),
    "blocks of channels": ("NHWC", (2, 6, 9, 5), 3, 1, 1),
    "blocks of pixels": ("NHWC", (1, 7, 9, 70), 3, 2, 1),
    "apart": ("NCHW", (2, 8, 70), 2, 2, 0),
    "windows": ("NCHW", (2, 12, 75), (8, 3), (4, 3), (4, 1)),
    "doubling": ("NCHW", (1, 5, 80), (3, 13), 1, (1, 6)),
    "van Herk": ("NCHW", (1, 33, 100), 31, (1, 2), (2, 3)),
    "taps": ("NCHW", (1, 9, 90), (2, 3), (2, 20), (0, 1)),
    "pixels": ("NHWC", (1, 9, 11, 70), 8, 2, 1),
    "short rows": ("NCHW", (18, 7, 7), 3, 2, 1),
    "planes": ("NCHW", (18, 3, 4), 3, 2, 1),
}


def truths(rows):
    """Bools of these bytes."""
    return np.array(rows, np.uint8).view(bool)


def test_the_first_true_wins_and_keeps_its_byte(backend):
    x = truths([[0, 1, 2, 0], [2, 0, 255, 1], [0, 0, 3, 0], [0, 0, 0, 128]])
    output, indices = fastpool.maxpool2d(x, 2, return_indices=True, backend=backend)
    assert indices.tolist() == [[1, 2], [8, 10]]
    assert output.view(np.uint8).tolist() == [[1, 2], [0, 3]]
    taps = fastpool.maxpool2d(
        x, 2, return_indices=True, index_format="window", backend=backend
    ).indices
    assert taps.tolist() == [[1, 0], [0, 0]]

    out = truths([[7, 7], [7, 7]]), np.empty((2, 2), np.int64)
    fastpool.maxpool2d(x, 2, return_indices=True, out=out, backend=backend)
    assert_same(out[0], output)
    assert_same(out[1], indices)
    out = truths([[7, 7], [7, 7]])
    fastpool.maxpool2d(x, 2, out=out, backend=backend)
    assert_same(out, output)


@pytest.mark.parametrize("index_format", ["flat", "window"])
def test_gradients_become_the_byte_1_and_unpooled_values_keep_theirs(backend, index_format):
    options = {"index_format": index_format, "backend": backend}
    values = truths([[2, 0], [255, 1]])
    apart = {"flat": [[1, 2], [8, 10]], "window": [[1, 0], [0, 0]]}[index_format]
    for out in (None, truths([[7] * 4] * 4)):
        found = fastpool.maxpool2d_backward(values, apart, (4, 4), 2, out=out, **options)
        expected = [[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
        assert found.view(np.uint8).tolist() == expected
        found = fastpool.maxunpool2d(values, apart, 2, output_size=(4, 4), out=out, **options)
        expected = [[0, 2, 0, 0], [0, 0, 0, 0], [255, 0, 1, 0], [0, 0, 0, 0]]
        assert found.view(np.uint8).tolist() == expected
    # Two gradients of one cell: bytes whose sum would be 256, which a byte holds as 0, or 0.
    shared = {"flat": [[4, 4], [4, 7]], "window": [[3, 2], [1, 2]]}[index_format]
    values = truths([[255, 1], [0, 3]])
    found = fastpool.maxpool2d_backward(values, shared, (3, 3), 2, 1, **options)
    assert found.view(np.uint8).tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 0]]


def test_the_first_false_wins_a_minimum(backend):
    """Where there is none, the first cell inside, whatever its byte and those of others are."""
    x = truths([[3, 0, 2, 1], [2, 0, 255, 1], [9, 1, 3, 0], [0, 0, 0, 128]])
    output, indices = fastpool.minpool2d(x, 2, return_indices=True, backend=backend)
    assert indices.tolist() == [[1, 2], [12, 11]]
    assert output.view(np.uint8).tolist() == [[0, 2], [0, 0]]
    x = truths([[250, 251, 252], [253, 254, 255], [1, 2, 3]])
    output, indices = fastpool.minpool2d(x, 3, 1, 1, return_indices=True, backend=backend)
    assert indices.tolist() == [[0, 0, 1], [0, 0, 1], [3, 3, 4]]
    assert output.view(np.uint8).tolist() == [[250, 250, 251], [250, 250, 251], [253, 253, 254]]


@pytest.mark.whole(backend="numba")
@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_way_to_reduce(backend, case, kind):
    layout, shape, *window = case
    name = f"{kind}pool{len(layout) - 2}d"
    pool, backward = getattr(fastpool, name), getattr(fastpool, f"{name}_backward")
    right = getattr(oracle, f"{kind}pool")
    rng = np.random.default_rng(0)
    # Only True, of bytes that mostly rise: the first cell inside wins, whatever its byte is.
    rising = np.arange(np.prod(shape)).reshape(shape) % 255 + 1
    for index_format in ("flat", "window"):
        options = {"layout": layout, "index_format": index_format}
        for x in (
            truths(rising),
            check.adversarial(rng, shape, np.dtype(bool), "bits"),
            truths(rng.integers(1, 256, shape) * (rng.random(shape) < 0.03)),
            truths(rng.integers(1, 256, shape) * (rng.random(shape) < 0.97)),
        ):
            expected = right(x, *window, **options)
            found = pool(x, *window, return_indices=True, **options, backend=backend)
            assert_same(found.output, expected[0])
            assert_same(found.indices, expected[1])
            for gradient in (found.output, truths(rng.integers(0, 256, found.output.shape))):
                assert_same(
                    backward(gradient, found.indices, shape, *window, **options, backend=backend),
                    oracle.scatter(gradient, found.indices, shape, True, *window, **options),
                )
        assert_same(pool(x, *window, **options, backend=backend), found.output)


def test_only_true_means_the_first_cell_inside(backend):
    """The values of one of the cases above, without the oracle."""
    x = truths([[250, 251, 252], [253, 254, 255], [1, 2, 3]])
    output, indices = fastpool.maxpool2d(x, 3, 1, 1, return_indices=True, backend=backend)
    assert indices.tolist() == [[0, 0, 1], [0, 0, 1], [3, 3, 4]]
    assert output.view(np.uint8).tolist() == [[250, 250, 251], [250, 250, 251], [253, 253, 254]]


@pytest.mark.numba
def test_the_cases_above_need_every_way_to_reduce():
    from fastpool.backends.numba import choice, memory
    from fastpool.rules import arguments as rules
    from fastpool.rules.arrays import Storage
    from fastpool.rules.geometry import pooled
    from fastpool.rules.operation import MAXIMUM

    chosen = []
    for layout, shape, *window in CASES.values():
        windows = rules.windows("test", len(layout) - 2, *window, 1)
        geometry = pooled("test", "x", shape, windows, False, layout)
        storages = (Storage.in_order(s, np.dtype(bool)) for s in (shape, geometry.output_shape))
        memories = tuple(memory.place_of(each, geometry).memory for each in storages)
        chosen.append(choice.choose(MAXIMUM, geometry, 1, False, (*memories, memories[1])))
    reducers = {name for name in vars(choice.reduce) if name.startswith("reduce_")}
    assert {case.reduce.__name__ for case in chosen if case.reduce} == reducers - {"reduce_line"}
    walks = {"direct_rows", "ring_rows", "volume_rows", "wide_rows"}
    assert {case.walk.__name__ for case in chosen} == walks
    assert {case.planes for case in chosen} == {False, True}


def test_adversarial_bits_hold_every_byte():
    x = check.adversarial(np.random.default_rng(0), (64, 64), np.dtype(bool), "bits")
    assert set(x.view(np.uint8).flat) == set(range(256))
