"""The family of poolings beside its peers: what ``python -m fastpool bench --family`` measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from . import measure
from .measure import Times
from .peers import COPY, FASTPOOL, LOCAL_MEAN, NUMPY, RESHAPE, SLICES
from .problems import (
    ADAPTIVE_AVERAGE,
    ADAPTIVE_MAXIMUM,
    AVERAGE,
    BACKWARD,
    CHANNELS_LAST,
    FLAT,
    MINIMUM,
    MODE,
    NORM,
    SUM,
    VALUES,
    Problem,
    adaptive,
)

Cases: TypeAlias = Mapping[Problem, Sequence[str]]

# Those who compute on one thread what the NumPy backend does.
ARRAYS = (SLICES, RESHAPE, "scikit-image", LOCAL_MEAN)
PEERS = ("torch", "ONNX Runtime", "OpenCV", "Pillow", "SciPy", *ARRAYS)

A, B, C = (8, 64, 224, 224), (16, 64, 112, 112), (8, 192, 28, 28)
LARGE, IMAGE, FILTERED = (1, 1, 8192, 8192), (1, 3, 512, 512), (1, 1, 2048, 2048)
LABELLED = (1, 1, 1024, 1024)
LINES, VOLUME = (64, 256, 16384), (1, 1, 256, 256, 256)
ADAPTIVE = ((A, 7), ((32, 512, 14, 14), 7), ((32, 2048, 7, 7), 1), ((32, 512, 14, 14), 5))
ALL = (VALUES, CHANNELS_LAST, BACKWARD)

# By name, what is pooled and the tasks. A part takes up to a minute or two on two cores.
PARTS: dict[str, Cases] = {
    "average": {
        Problem(A, 2, 2, member=AVERAGE): ALL,
        Problem(B, 3, 2, 1, member=AVERAGE): ALL,
        Problem(C, 3, 1, 1, member=AVERAGE): ALL,
        Problem(IMAGE, 31, 1, 15, member=AVERAGE): (VALUES, BACKWARD),
    },
    "images": {
        Problem(LARGE, 2, 2, member=AVERAGE): (VALUES,),
        Problem(LARGE, 2, 2, dtype="uint8", member=AVERAGE, result="uint8"): (VALUES,),
    },
    "sum": {
        Problem(A, 2, 2, member=SUM): (VALUES,),
        Problem(IMAGE, 31, 1, 15, member=SUM): (VALUES,),
    },
    "minimum": {
        Problem(A, 2, 2, member=MINIMUM): (VALUES, FLAT),
        Problem(C, 3, 1, 1, member=MINIMUM): (VALUES, FLAT),
        Problem(FILTERED, 31, 1, 15, member=MINIMUM): (VALUES,),
    },
    "maximum": {
        Problem(FILTERED, 31, 1, 15): (VALUES,),
        Problem((8, 64, 56, 56), 3, 1, 1, 2): (VALUES, FLAT, BACKWARD),
        Problem(VOLUME, 2, 2): (VALUES, FLAT, BACKWARD),
        Problem((2, 8, 64, 64, 64), 3, 2, 1): (VALUES, FLAT, BACKWARD),
    },
    "norm": {
        Problem(A, 2, 2, member=NORM): (VALUES, BACKWARD),
        Problem((16, 64, 112, 112), 3, 2, member=NORM): (VALUES, BACKWARD),
    },
    "mode": {
        Problem(LABELLED, 2, 2, dtype="uint8", member=MODE): (VALUES,),
        Problem(LABELLED, 3, 1, 1, dtype="uint8", member=MODE): (VALUES,),
    },
    "adaptive": {
        adaptive(member, *sizes): tasks
        for member, tasks in {ADAPTIVE_AVERAGE: ALL, ADAPTIVE_MAXIMUM: (FLAT, BACKWARD)}.items()
        for sizes in ADAPTIVE
    },
    "lines": {
        Problem(LINES, 4, 4, member=AVERAGE): (VALUES,),
        # A quarter of it, of which ONNX Runtime's call takes four seconds.
        Problem((16, 256, 16384), 31, 1, 15, member=AVERAGE): (VALUES,),
    },
    "volumes": {
        Problem(VOLUME, 2, 2, member=AVERAGE): (VALUES, BACKWARD),
    },
}


def contenders(problem: Problem) -> tuple[str, ...]:
    """Who is measured; the NumPy backend where others do the same on one thread, or nobody."""
    backend = (NUMPY,) if problem.tiled or problem.member == MODE else ()
    return (FASTPOOL, *backend, COPY, *PEERS)


def measure_problem(problem: Problem, tasks: Sequence[str], threads: int, rounds: int) -> Times:
    """The seconds of one call of each contender and task, in one interleaved run."""
    plan = dict.fromkeys(tasks, contenders(problem))
    return measure.measure(problem, plan, threads, rounds)
