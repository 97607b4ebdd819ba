"""Comparison of arrays by dtype, shape and bytes."""

from fastpool.cli.check import difference


def assert_same(actual, expected, any_nan=False):
    """Fail unless the arrays are equal to the bit; `any_nan` lets NaNs differ in payload."""
    text = difference(actual, expected, any_nan)
    assert not text, text
