"""Hypothesis strategies: geometries, valid or not, and arrays in every kind of memory."""

from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from fastpool.cli import check

LAYOUTS = ("NCHW", "NHWC")
DTYPES = list(check.usable_dtypes())


@st.composite
def int_or_pair(draw, low, high):
    number = st.integers(low, high)
    return draw(st.one_of(number, st.tuples(number, number)))


@st.composite
def paddings(draw):
    side = st.integers(0, 4)
    both = st.tuples(side, side)
    return draw(st.one_of(side, both, st.tuples(both, both), st.sampled_from(("same", "valid"))))


@st.composite
def geometries(draw):
    """An input shape and the arguments of a pooling, some of them impossible."""
    layout = draw(st.sampled_from(LAYOUTS))
    lead = draw(st.lists(st.integers(1, 3), max_size=3))
    sizes = [draw(st.integers(1, 9)) for _ in range(2)]
    channels = [draw(st.sampled_from((1, 2, 5)))] if layout == "NHWC" else []
    arguments = {
        "kernel_size": draw(int_or_pair(1, 6)),
        "stride": draw(st.one_of(st.none(), int_or_pair(1, 4))),
        "padding": draw(paddings()),
        "dilation": draw(st.one_of(st.just(1), int_or_pair(1, 3))),
        "ceil_mode": draw(st.booleans()),
        "layout": layout,
        "index_format": draw(st.sampled_from(("flat", "window"))),
    }
    return (*lead, *sizes, *channels), arguments


@st.composite
def arrays(draw, shape, dtype, memories=check.MEMORIES):
    """Adversarial values of a shape and dtype, lying in memory in an awkward way."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = check.adversarial(rng, shape, dtype, draw(st.sampled_from(check.STYLES)))
    return check.in_memory(rng, values, draw(st.sampled_from(memories)))


def dtypes():
    return st.sampled_from(DTYPES).map(check.dtype_of)


# Shapes that hold no cell, though each spatial axis does, and their layouts.
EMPTY = [
    ((0, 3, 7, 8), "NCHW"),
    ((2, 0, 7, 8), "NCHW"),
    ((0, 0, 7, 8), "NCHW"),
    ((0, 7, 8), "NCHW"),
    ((3, 7, 8, 0), "NHWC"),
    ((0, 7, 8, 3), "NHWC"),
    ((0, 7, 8, 0), "NHWC"),
    ((7, 8, 0), "NHWC"),
    ((2, 0, 3, 7, 8, 0), "NHWC"),
]


@st.composite
def chunks(draw, shape):
    """Chunks along every axis, of any sizes."""
    result = []
    for size in shape:
        cuts = draw(st.lists(st.integers(0, size), max_size=3))
        edges = [0, *sorted(cuts), size]
        result.append(tuple(b - a for a, b in pairwise(edges)))
    return tuple(result)
