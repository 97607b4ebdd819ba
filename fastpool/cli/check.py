"""``python -m fastpool check``: both backends compute the same bytes on this machine.

The geometries are random, in 1-D, 2-D and 3-D, and the data are those of `adversarial`.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fastpool

from ..dispatch.table import COMPILED, PLAIN
from ..rules import calls
from ..rules.arrays import DTYPES
from ..rules.geometry import Geometry
from ..rules.members import FUNCTIONS
from .adversarial import MEMORIES, STYLES, adversarial, in_memory, usable_dtypes
from .adversarial import dtype_of as dtype_of

# The two whose results are compared.
BACKENDS = (PLAIN, COMPILED)


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


# Cases of a window and dtype, whose kernels take a second or two to compile.
TIMES = 10


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
    """

    member: str
    dimensions: int
    shape: tuple[int, ...]
    arguments: dict[str, Any]
    geometry: Geometry

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
        return Case(member, dimensions, shape, arguments, call.geometry)


def difference(a: np.ndarray, b: np.ndarray, any_nan: bool = False) -> str:
    """How two arrays differ in dtype, shape or bytes; empty if they do not.

    With `any_nan`, one NaN is as good as another: where two NaNs are added, IEEE 754 leaves
    open which of them the sum is.
    """
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"{a.dtype} {a.shape} against {b.dtype} {b.shape}"
    width = f"V{a.itemsize}"
    same = np.ascontiguousarray(a).view(width) == np.ascontiguousarray(b).view(width)
    if any_nan:
        same |= (a != a) & (b != b)
    if same.all():
        return ""
    position = tuple(int(n) for n in np.unravel_index(int(same.argmin()), same.shape))
    return f"{a[position]!r} against {b[position]!r} at {position} and {(~same).sum()} in all"


def outcome(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a call returns or, as text, what it raises."""
    try:
        return function(*arguments, **options)
    except (IndexError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def check_case(rng: np.random.Generator, case: Case, dtype: np.dtype[Any]) -> list[str]:
    """Run one case through both backends; what differed, if anything."""
    arguments, found = case.arguments, []

    def compare(what: str, a: Any, b: Any, any_nan: bool = False) -> None:
        if isinstance(a, str) or isinstance(b, str):
            text = "" if isinstance(a, str) and isinstance(b, str) and a == b else f"{a!r}, {b!r}"
        else:
            text = difference(a, b, any_nan)
        if text:
            found.append(f"{what}: {text}")

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        values = adversarial(rng, shape, dtype, str(rng.choice(STYLES)))
        return in_memory(rng, values, str(rng.choice(MEMORIES)))

    def both(name: str, *positional: Any, **options: Any) -> tuple[Any, Any]:
        function = getattr(fastpool, name)
        first, second = (
            outcome(function, *positional, **options, backend=backend) for backend in BACKENDS
        )
        return first, second

    x = draw(case.shape)
    first, second = both(case.pool, x, return_indices=True, **arguments)
    if isinstance(first, str) or isinstance(second, str):
        compare(case.pool, first, second)
    else:
        compare(f"{case.pool}, output", first.output, second.output)
        compare(f"{case.pool}, indices", first.indices, second.indices)
    compare(f"{case.pool}, values only", *both(case.pool, x, **arguments))

    if not isinstance(first, str):
        # A broadcast array repeats indices, which would then name cells of other windows.
        memories = [memory for memory in MEMORIES if memory != "broadcast"]
        indices = in_memory(rng, first.indices, str(rng.choice(memories)))
        if indices.size and rng.random() < 0.2:
            indices = _spoiled(rng, indices, case.geometry)
        gradient = draw(case.geometry.output_shape)
        any_nan = case.geometry.overlapping
        answers = both(case.backward, gradient, indices, case.shape, **arguments)
        compare(case.backward, *answers, any_nan=any_nan)
        unpool = {name: value for name, value in arguments.items() if name != "ceil_mode"}
        unpool["output_size"] = case.geometry.sizes
        compare(case.unpool, *both(case.unpool, gradient, indices, **unpool))
    _check_averages(rng, case, x, draw, compare, both)
    return [f"{text}\n  {dtype} {case.shape} {arguments}" for text in found]


def _check_averages(
    rng: np.random.Generator,
    case: Case,
    x: np.ndarray,
    draw: Callable[[tuple[int, ...]], np.ndarray],
    compare: Callable[..., None],
    both: Callable[..., tuple[Any, Any]],
) -> None:
    """Sums and averages of the same windows, and the gradient of the average."""
    windows = {name: value for name, value in case.arguments.items() if name != "index_format"}
    average, total = (f"{name}pool{case.dimensions}d" for name in ("avg", "sum"))
    divisors = {
        "count_include_pad": bool(rng.random() < 0.6),
        "divisor_override": int(rng.choice((-3, 2, 7))) if rng.random() < 0.3 else None,
    }
    whole = x.dtype.kind in "iu" and rng.random() < 0.5
    result = {"dtype": x.dtype.newbyteorder("=")} if whole else {}
    compare(average, *both(average, x, **windows, **divisors, **result), any_nan=True)
    compare(total, *both(total, x, **windows, **result), any_nan=True)
    if x.dtype.kind not in "iub":
        gradient, backward = draw(case.geometry.output_shape), f"{average}_backward"
        answers = both(backward, gradient, case.shape, **windows, **divisors)
        compare(backward, *answers, any_nan=True)


def _spoiled(rng: np.random.Generator, indices: np.ndarray, geometry: Geometry) -> np.ndarray:
    """A copy of the indices, two of which may name no cell or that of another window."""
    indices = indices.copy()
    low, high = -2, 2 * math.prod(geometry.sizes)
    if indices.dtype.kind == "u":
        low, high = 0, min(np.iinfo(indices.dtype).max, 2 * math.prod(geometry.kernel))
    places = rng.integers(indices.size, size=2)
    indices.reshape(-1)[places] = rng.integers(low, high + 1, 2)
    return indices


def run(cases: int, seed: int) -> int:
    """Compare the backends on `cases` random cases; the exit status.

    0: they agree. 1: they do not. 2: one of them cannot be used here.
    """
    for status in fastpool.available_backends():
        if not status.available:
            print(f"nothing to compare: {status.reason}", file=sys.stderr)
            return 2
    rng = np.random.default_rng(seed)
    dtypes = list(usable_dtypes().values())
    if len(dtypes) < len(DTYPES):
        print("bfloat16 is left out: ml_dtypes is not installed")
    start = time.perf_counter()
    failures: list[str] = []
    failed = 0
    print(f"checking {cases} cases, seed {seed}; the first of {TIMES} compiles for seconds")
    case = None
    for number in range(cases):
        kind, time_of_kind = divmod(number, TIMES)
        case = random_case(rng, number % 50 == 49, case if time_of_kind else None)
        found = check_case(rng, case, dtypes[kind % len(dtypes)])
        failed += bool(found)
        failures += found
        _show_progress(number + 1, cases, failed, time.perf_counter() - start)
    for text in failures[:10]:
        print(text)
    if len(failures) > 10:
        print(f"... and {len(failures) - 10} more differences")
    print(
        f"{cases - failed} of {cases} cases agree bit for bit in {PLAIN} and {COMPILED}, "
        f"in {time.perf_counter() - start:.0f} s"
    )
    return 1 if failed else 0


def _show_progress(done: int, total: int, failed: int, seconds: float) -> None:
    """One line that rewrites itself on a terminal, ten lines elsewhere."""
    terminal = sys.stdout.isatty()
    if not terminal and done % max(1, total // 10) and done != total:
        return
    bar = "#" * (30 * done // total)
    line = f"[{bar:<30}] {done}/{total}, {failed} failed, {seconds:.0f} s"
    print(f"\r{line}" if terminal else line, end="" if terminal and done < total else "\n")
    sys.stdout.flush()
