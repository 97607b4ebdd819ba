"""Cells that count nowhere: which they are, and what a tile gets that has too few others."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Missing:
    """Which cells of an array are missing: any that one of these names.

    Attributes
    ----------
    nan : bool
        Whether NaN is missing; False for integers and bools.
    nodata : int, float, bool or None
        What else is missing: cells that are equal to it. It is a number that the array's own dtype
        has, and neither NaN nor -0.0: an integer for integers.
    masked : bool
        Whether the call has a second input: a bool array of the shape of the first one, True where
        a cell is missing.
    min_count : int
        A tile with fewer cells than so many, not counting those that are missing, has too few. It
        is 0 or more: what 0 means like 1 is 1 here, so that nothing but the number is to be asked.
    """

    nan: bool
    nodata: int | float | bool | None
    masked: bool
    min_count: int

    @property
    def fill(self) -> int | float | bool | None:
        """What a tile with too few cells gets, as a number that the result's dtype holds.

        None if it is masked instead.
        """
        if self.nodata is not None:
            return self.nodata
        return math.nan if self.nan else None
