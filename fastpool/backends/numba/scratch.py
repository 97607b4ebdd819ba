"""How parts of the scratch lie in it."""

from __future__ import annotations

from collections.abc import Mapping


def rounded_up(size: int, unit: int) -> int:
    """The next multiple of `unit`."""
    return -(-size // unit) * unit


def placed(own: dict[int, int], sizes: Mapping[int, int]) -> int:
    """Give parts of the scratch their places; its size."""
    scratch = 0
    for name, size in sizes.items():
        own[name] = scratch
        scratch += rounded_up(size, 64)
    return scratch
