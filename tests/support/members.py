"""The table of members: one row for each number of axes, which drives the tests of all."""

from typing import Any, NamedTuple

import oracle

import fastpool


class Member(NamedTuple):
    """The functions of a member, what they must compute, and small geometries."""

    name: str
    layouts: tuple[str, str]
    pool: Any
    backward: Any
    unpool: Any
    right: Any  # the oracle of `pool`
    scattered: Any  # the oracle of the two others
    sizes: tuple[int, ...]
    windows: tuple[dict[str, Any], ...]


def member(kind, right, layouts, sizes, windows):
    """A row, whose functions are found by their names."""
    name = f"{kind}pool{len(sizes)}d"
    unpool = getattr(fastpool, f"maxunpool{len(sizes)}d")
    pool, backward = getattr(fastpool, name), getattr(fastpool, f"{name}_backward")
    return Member(name, layouts, pool, backward, unpool, right, oracle.scatter, sizes, windows)


# Of each number of axes: the layouts, the sizes, and windows that tile; that overlap and reach into
# the padding; and that are dilated. The second ones are the same along the last axis, and dilated,
# so that members share compiled functions.
LINES = ("NCW", "NWC"), (37,), (
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": ((4, 3),), "dilation": 2, "ceil_mode": True},
    {"kernel_size": 9, "stride": 1, "padding": ((5, 8),), "dilation": 2},
)  # fmt: skip
PLANES = ("NCHW", "NHWC"), (7, 20), (
    {"kernel_size": 2},
    {"kernel_size": (4, 3), "stride": (1, 2), "padding": ((1, 0), (4, 1)), "dilation": 2,
     "ceil_mode": True},
    {"kernel_size": (3, 2), "stride": 1, "padding": "same", "dilation": (1, 2)},
)  # fmt: skip
VOLUMES = ("NCDHW", "NDHWC"), (4, 5, 18), (
    {"kernel_size": 2},
    {"kernel_size": (2, 2, 3), "stride": (1, 2, 2), "padding": ((1, 0), (0, 1), (4, 1)),
     "dilation": (2, 1, 2), "ceil_mode": True},
    {"kernel_size": (3, 1, 2), "stride": 1, "padding": "same", "dilation": (1, 1, 2)},
)  # fmt: skip

MEMBERS = tuple(
    member(kind, right, *geometries)
    for kind, right in (("max", oracle.maxpool), ("min", oracle.minpool))
    for geometries in (LINES, PLANES, VOLUMES)
)
IDS = [row.name for row in MEMBERS]
