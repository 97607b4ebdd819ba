"""Memory: what is too large is a MemoryError that leaves nothing half done, and nothing leaks."""

import sys

import numpy as np
import pytest
from bits import assert_same
from process import run

import fastpool

# Cells beyond every address space, and beyond every array.
TOO_LARGE = (2**50, 2**63)


def huge(shape, dtype):
    """An array of any shape in the memory of one cell."""
    return np.broadcast_to(np.ones((), dtype), shape)


def calls(size):
    """By name, calls whose result would have `size` cells."""
    planes, cell = (2**20, size // 2**21, 1, 2), (2**20, size // 2**21, 1, 1)
    tall, zero, plane = np.ones((1, 1), np.int8), [[0]], (2**31, size // 2**31)
    none = np.ones((0, 1, 1), np.int8)
    found = {
        "one plane": (fastpool.maxpool2d_backward, (tall, zero, plane, 1, 2**61), {}),
        "unpooled plane": (fastpool.maxunpool2d, (tall, zero, plane), {}),
        "nothing": (fastpool.maxunpool2d, (none, none.astype(int), 2**32), {}),
    }
    if size < 2**60:  # what the arguments can be
        backward = huge(cell, "i1"), huge(cell, "i8"), planes, (1, 2)
        found |= {
            "output": (fastpool.maxpool2d, (huge(planes, "i1"), 1), {}),
            "indices": (fastpool.maxpool2d, (huge(planes, "i1"), 1), {"return_indices": True}),
            "channels": (fastpool.maxpool2d, (huge(planes, "i1"), 1), {"layout": "NHWC"}),
            "gradient": (fastpool.maxpool2d_backward, backward, {}),
            "unpooled": (fastpool.maxunpool2d, (*backward[:2], (1, 2)), {}),
        }
    return found


@pytest.mark.parametrize(
    ("size", "case"), [(size, case) for size in TOO_LARGE for case in calls(size)]
)
def test_results_too_large_to_allocate(backend, size, case):
    function, arguments, options = calls(size)[case]
    with pytest.raises(MemoryError) as caught:
        function(*arguments, **options, backend=backend)
    assert type(caught.value) is MemoryError
    assert str(caught.value).startswith(f"{function.__name__}: a result of shape (")
    x = np.arange(16, dtype=np.int8).reshape(4, 4)
    assert_same(fastpool.maxpool2d(x, 2, backend=backend), x[1::2, 1::2].copy())


def test_indices_too_large_leave_the_output(backend):
    """There is no such `out`, but one of the wrong shape is told first, and left alone."""
    out = np.full((2, 2), 7, np.int8), np.full((2, 2), 7)
    for function, arguments, options in calls(2**50).values():
        target = out if options.get("return_indices") else out[0]
        with pytest.raises(ValueError, match=f"{function.__name__}: out has shape"):
            function(*arguments, **options, out=target, backend=backend)
    assert all((array == 7).all() for array in out)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS as Linux has it")
@pytest.mark.whole
def test_running_out_of_memory(backend):
    """It ends in the output, the indices, a copy or the scratch, and the next call is right."""
    code = """
    import resource
    import numpy as np, fastpool

    backend = BACKEND
    rng = np.random.default_rng(0)
    x = rng.integers(0, 99, (2, 700, 700)).astype(np.float32)
    half, swapped = x.astype(np.float16), x.astype(">f4")
    strided = np.repeat(x, 2, axis=-1)[..., ::2]
    options = {"backend": backend}
    indexed = {**options, "return_indices": True}
    y, places = fastpool.maxpool2d(x, 3, 2, 1, **indexed)
    y_half = y.astype(np.float16)
    calls = {
        "values": lambda: fastpool.maxpool2d(x, 3, 1, 1, **options),
        "indices": lambda: fastpool.maxpool2d(x, 3, 1, 1, **indexed),
        "codes": lambda: fastpool.maxpool2d(x, 31, 1, 15, index_format="window", **indexed),
        "copy": lambda: fastpool.maxpool2d(swapped, 3, 2, 1, **indexed),
        "staged": lambda: fastpool.maxpool2d(strided, 3, 2, 1, **indexed),
        "16 bits": lambda: fastpool.maxpool2d(half, 3, 1, 1, **indexed),
        "backward": lambda: fastpool.maxpool2d_backward(y, places, x.shape, 3, 2, 1, **options),
        "16 bits backward": lambda: fastpool.maxpool2d_backward(
            y_half, places, x.shape, 3, 2, 1, **options),
        "unpool": lambda: fastpool.maxunpool2d(y, places, 3, 2, 1, output_size=x.shape, **options),
    }

    def held():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()

    def flat(result):
        return result if isinstance(result, tuple) else (result,)

    expected = {name: [a.tobytes() for a in flat(call())] for name, call in calls.items()}
    before, (_, hard) = x.tobytes(), resource.getrlimit(resource.RLIMIT_AS)
    for name, call in calls.items():
        failed = 0
        for mebibytes in (0, 1, 2, 3, 5, 8, 12, 20, 40):
            resource.setrlimit(resource.RLIMIT_AS, (held() + mebibytes * 2**20, hard))
            try:
                result = flat(call())
            except MemoryError as error:
                failed += 1
                message = str(error)
            else:
                message = None
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
            if message is None:
                assert [a.tobytes() for a in result] == expected[name], name
                result = None
            else:
                assert message.startswith(("maxpool2d", "maxunpool2d")), (name, message)
        assert failed, name
        assert [a.tobytes() for a in flat(call())] == expected[name], name
    assert x.tobytes() == before
    """
    # Without these, glibc keeps what was freed, and large arrays need no new memory.
    held = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    run(code.replace("BACKEND", repr(backend)), **held)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc as Linux has it")
@pytest.mark.numba
@pytest.mark.whole
def test_nothing_leaks():
    """After 20,000 calls of all sorts, errors among them, the process holds what it held."""
    code = """
    import gc, resource
    import numpy as np, fastpool
    from fastpool.cli import check

    DTYPES = [np.dtype(name) for name in ("float32", "int8")]
    WINDOWS = (2, 2), (3, 1), (3, 2), (9, 4)

    def calls(rng, number):
        for _ in range(number):
            shape = tuple(int(n) for n in rng.integers(1, 40, 3))
            options = {"backend": ("numpy", "numba")[rng.integers(2)]}
            if rng.integers(2):
                options["layout"] = "NHWC"
            kernel, stride = WINDOWS[rng.integers(4)]  # each compiles for seconds
            padding = int(rng.integers(0, kernel))
            window = kernel, stride, padding
            x = rng.integers(0, 9, shape).astype(DTYPES[rng.integers(2)])
            try:
                output, indices = fastpool.maxpool2d(x, *window, return_indices=True, **options)
                out = np.empty_like(output) if rng.integers(2) else None
                fastpool.maxpool2d(x, *window, out=out, **options)
                if rng.integers(4) == 0:
                    indices.reshape(-1)[rng.integers(indices.size)] = -1
                out = np.empty_like(x) if rng.integers(2) else None
                fastpool.maxpool2d_backward(output, indices, shape, *window, out=out, **options)
                fastpool.maxunpool2d(output, indices, *window, output_size=shape, **options)
            except (ValueError, IndexError):
                pass

    def resident():
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 2**20

    # Fills all caches, which hold as many calls as they may, and compiles all kernels.
    calls(np.random.default_rng(0), 5000)  # of four each
    before = resident()
    calls(np.random.default_rng(0), 5000)
    print(resident() - before)
    """
    grown = float(run(code))
    assert grown < 4, f"{grown:.1f} MiB"
