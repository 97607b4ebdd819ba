"""A plan made of those for parts of a call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..rules.splits import Part
from .protocol import Plan


class SplitPlan:
    """Tiles whose cells lie side by side along another axis than the last; see `rules.splits`."""

    def __init__(self, parts: Sequence[Part], plans: Sequence[Plan]) -> None:
        self.parts, self.plans = parts, plans
        self.reason = f"{plans[0].reason}, tiles of a row as channels"

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> None:
        """Fill the outputs."""
        for part, plan in zip(self.parts, self.plans, strict=True):
            plan.run(*part.views(inputs, outputs))
