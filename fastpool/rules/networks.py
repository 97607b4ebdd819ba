"""Networks of comparisons that sort: the same steps for all numbers, so they go side by side."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple


class Step(NamedTuple):
    """Of two numbers the less goes to the first place, and the larger to the second."""

    first: int
    second: int
    low: bool  # whether the less of them is needed, and the larger one
    high: bool


def network(numbers: int, ranks: Iterable[int]) -> tuple[Step, ...]:
    """The steps after which so many numbers stand sorted, as far as some ranks depend on them."""
    return _network(numbers, frozenset(ranks))


@lru_cache(maxsize=64)
def _network(numbers: int, ranks: frozenset[int]) -> tuple[Step, ...]:
    """Batcher's merge exchange (Knuth, volume 3, 5.2.2)."""
    if numbers < 2:
        return ()
    pairs, top = [], 1 << (numbers - 1).bit_length() - 1
    p = top
    while p:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(numbers - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q // 2, p
        p //= 2
    needed, kept = set(ranks), []
    for first, second in reversed(pairs):
        low, high = first in needed, second in needed
        if low or high:
            kept.append(Step(first, second, low, high))
            needed |= {first, second}
    return tuple(reversed(kept))
