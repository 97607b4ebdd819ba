"""The share of a copy's speed over the size of the input, from caches to memory far beyond them."""

from __future__ import annotations

from . import measure
from .peers import COPY, FASTPOOL
from .problems import BACKWARD, VALUES, WINDOW, Problem

# Bytes of the input. The largest takes 7 GB with all that is compared.
SIZES = tuple(2**power for power in range(14, 31))
# Planes of 64 x 64 are the smallest size, and all others are more of them.
PLANE = 64
# The windows and the task, by name; a window is kernel, stride and padding.
SERIES = {
    "W, k2 s2": ((2, 2, 0), WINDOW),
    "V, k2 s2": ((2, 2, 0), VALUES),
    "W, k3 s1 p1": ((3, 1, 1), WINDOW),
    "backward, k2 s2": ((2, 2, 0), BACKWARD),
}


def measure_sizes(threads: int, rounds: int) -> dict[str, dict[int, float]]:
    """fastpool's speed over that of a copy of as many bytes, by series and bytes of the input."""
    shares: dict[str, dict[int, float]] = {series: {} for series in SERIES}
    for size in SIZES:
        shape = (1, max(1, size // (4 * PLANE**2)), PLANE, PLANE)
        for series, (window, task) in SERIES.items():
            problem = Problem(shape, *window)
            times = measure.measure(problem, {task: (FASTPOOL, COPY)}, threads, rounds)
            shares[series][size] = times[COPY, task] / times[FASTPOOL, task]
    return shares


def name_of(size: int) -> str:
    """Bytes, as KB, MB or GB of 1024 each."""
    for unit in ("KB", "MB"):
        size //= 1024
        if size < 1024:
            return f"{size} {unit}"
    return f"{size // 1024} GB"
