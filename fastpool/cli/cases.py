"""Random poolings: windows of every form, on shapes of one to three spatial axes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..rules import calls
from ..rules.geometry import Geometry
from ..rules.members import FUNCTIONS
from .image_cases import Calls, random_calls


class Sizes(NamedTuple):
    """The ranges that a random case draws from, for one number of spatial axes."""

    small: tuple[int, int]
    large: tuple[int, int]
    kernel: tuple[int, int]
    wide_kernel: tuple[int, int]  # of every tenth case


# By the number of spatial axes. In 3-D the sides are short, since the cells are their product.
SIZES = {
    1: Sizes((1, 60), (2000, 20000), (1, 6), (1, 100)),
    2: Sizes((1, 24), (60, 200), (1, 6), (1, 40)),
    3: Sizes((1, 9), (16, 32), (1, 4), (1, 12)),
}


# The members whose functions take the arguments of a case.
MEMBERS = tuple(
    dict.fromkeys(
        function.operation.name for function in FUNCTIONS.values() if function.operation.sign
    )
)


class Case(NamedTuple):
    """One pooling, which is run forward, backward and as an unpooling.

    Attributes
    ----------
    member : str
        The name of its operation.
    dimensions : int
        The number of spatial axes, which the functions' names say.
    shape : tuple of int
        Of the input.
    arguments : dict
        Of the forward pass, by name.
    geometry : Geometry
        What `arguments` mean for `shape`.
    calls : Calls
        What blocks and filters are tried on the same array.
    """

    member: str
    dimensions: int
    shape: tuple[int, ...]
    arguments: dict[str, Any]
    geometry: Geometry
    calls: Calls

    @property
    def pool(self) -> str:
        """The name of the forward pass."""
        return f"{self.member}pool{self.dimensions}d"

    @property
    def backward(self) -> str:
        """The name of the backward pass."""
        return f"{self.pool}_backward"

    @property
    def unpool(self) -> str:
        """The name of the unpooling."""
        return f"maxunpool{self.dimensions}d"


def random_case(rng: np.random.Generator, large: bool = False, before: Case | None = None) -> Case:
    """A valid pooling of any member and number of axes, usually a small one.

    Every argument takes all of its forms: paddings that differ from side to side, windows with
    gaps, "same", and so on. They are those of the case `before`, if there is one.
    """
    while True:
        dimensions = int(rng.choice((1, 2, 3), p=(0.25, 0.5, 0.25)))
        dimensions = before.dimensions if before else dimensions
        member = before.member if before else str(rng.choice(MEMBERS))
        function, sizes = FUNCTIONS[f"{member}pool{dimensions}d"], SIZES[dimensions]

        def each(bounds: tuple[int, int], count: int = dimensions) -> tuple[int, ...]:
            low, high = bounds
            return tuple(int(n) for n in rng.integers(low, high + 1, count))

        layout = before.arguments["layout"] if before else str(rng.choice(function.layouts))
        spatial = each(sizes.large if large else sizes.small)
        lead = each((1, 3), int(rng.integers(0, 4)))
        channels = (int(rng.choice((1, 2, 3, 17))),) if layout.endswith("C") else ()
        shape = (*lead, *spatial, *channels)
        kernel = each(sizes.wide_kernel if rng.random() < 0.1 else sizes.kernel)
        dilation = each((1, 4)) if rng.random() < 0.4 else (1,) * dimensions
        reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        pairs = tuple((int(rng.integers(r + 1)), int(rng.integers(r + 1))) for r in reach)
        forms: tuple[Any, ...] = (pairs, 0, "same", "valid")
        arguments = {
            "kernel_size": kernel,
            "stride": None if rng.random() < 0.2 else each((1, 5)),
            "padding": forms[rng.choice(4, p=(0.5, 0.2, 0.2, 0.1))],
            "dilation": dilation,
            "ceil_mode": bool(rng.random() < 0.4),
            "layout": layout,
            "index_format": str(rng.choice(("flat", "window"))),
        }
        arguments = before.arguments if before else arguments
        try:
            call = calls.forward(
                function, "x", shape, np.dtype(np.float32), return_indices=True, **arguments
            )
        except ValueError:
            continue  # a window holds no cell, or the kernel does not fit
        others = before.calls if before else random_calls(rng)
        return Case(member, dimensions, shape, arguments, call.geometry, others)
