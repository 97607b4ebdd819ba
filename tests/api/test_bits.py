"""The comparator fails when it should: a test that cannot fail proves nothing."""

import numpy as np
import pytest
from bits import assert_same

A = np.array([[1.0, -0.0], [np.nan, 2.0]], np.float32)


def changed(position, bits):
    array = A.copy()
    array.view(np.uint32)[position] = bits
    return array


@pytest.mark.parametrize(
    "other",
    [
        A.astype(np.float64),
        A.reshape(4),
        A.astype(">f4"),
        changed((0, 1), 0),
        changed((1, 0), 0x7FC00001),
        changed((1, 1), 0x40000001),
    ],
    ids=["dtype", "shape", "byte order", "sign of zero", "payload of NaN", "last bit"],
)
def test_differences_are_seen(other):
    with pytest.raises(AssertionError):
        assert_same(A, other)


def test_equal_arrays_pass():
    assert_same(A, A.copy())
    assert_same(A, np.asfortranarray(A))


def test_any_nan_forgives_payloads_only():
    assert_same(A, changed((1, 0), 0x7FC00001), any_nan=True)
    for other in (changed((0, 1), 0), changed((1, 0), 0x7F800000)):
        with pytest.raises(AssertionError):
            assert_same(A, other, any_nan=True)
