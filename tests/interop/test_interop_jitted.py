"""fastpool inside the user's own jitted functions: the same bits, and the same errors."""

import json
import os
import threading
from contextlib import contextmanager
from unittest import mock

import numpy as np
import process
import pytest
import strategies
from bits import assert_same
from hypothesis import given
from hypothesis import strategies as st

import fastpool
from fastpool.cli import check
from fastpool.dispatch import table

numba = pytest.importorskip("numba")
pytestmark = pytest.mark.numba

from fastpool.interop.jitted import answer as answering  # noqa: E402  (it needs Numba)
from fastpool.interop.jitted import notes  # noqa: E402
from fastpool.interop.jitted.constants import Constants  # noqa: E402

WINDOW = (3, 2), (2, 1), ((1, 1), (0, 1)), (1, 2)


@numba.njit
def values(x, k, s, p, d, c):
    return fastpool.maxpool2d(x, k, s, p, d, c)


@numba.njit
def flat(x, k, s, p, d, c):
    return fastpool.maxpool2d(x, k, s, p, d, c, return_indices=True)


@numba.njit
def window(x, k, s, p, d, c):
    return fastpool.maxpool2d(x, k, s, p, d, c, True, index_format="window")


@numba.njit
def backward(g, i, shape, k, s, p, d, c):
    return fastpool.maxpool2d_backward(g, i, shape, k, s, p, d, c)


@numba.njit
def backward_window(g, i, shape, k, s, p, d, c):
    return fastpool.maxpool2d_backward(g, i, shape, k, s, p, d, c, index_format="window")


@numba.njit
def unpool(x, i, k, s, p, size, d):
    return fastpool.maxunpool2d(x, i, k, s, p, size, dilation=d)


@numba.njit
def unpool_window(x, i, k, s, p, size, d):
    return fastpool.maxunpool2d(x, i, k, s, p, size, dilation=d, index_format="window")


@numba.njit
def least(x, k, s, p, d, c):
    return fastpool.minpool2d(x, k, s, p, d, c, return_indices=True)


@numba.njit
def least_backward(g, i, shape, k, s, p, d, c):
    return fastpool.minpool2d_backward(g, i, shape, k, s, p, d, c)


def outcome(function, *arguments):
    """The arrays that a function returns, or the type and the text of its error."""
    try:
        result = function(*arguments)
    except Exception as error:
        return type(error), str(error)
    return result if isinstance(result, tuple) else (result,)


def assert_agree(function, *arguments):
    """Python's outcome, and jitted code's, of a first call and of a repeated one."""
    expected = outcome(function.py_func, *arguments)
    for _ in range(2):
        found = outcome(function, *arguments)
        if isinstance(expected[0], np.ndarray):
            for array, other in zip(found, expected, strict=True):
                assert_same(array, other, any_nan=function in (backward, backward_window))
        else:
            assert found == expected
    return expected


def assert_all_agree(x, k, s, p, d, c):
    if not isinstance(assert_agree(values, x, k, s, p, d, c)[0], np.ndarray):
        return
    output, indices = assert_agree(flat, x, k, s, p, d, c)
    taps = assert_agree(window, x, k, s, p, d, c)[1]
    shape, size = x.shape, x.shape[2:]
    assert_agree(backward, output, indices, shape, k, s, p, d, c)
    assert_agree(backward_window, output, taps, shape, k, s, p, d, c)
    assert_agree(unpool, output, indices, k, s, p, size, d)
    assert_agree(unpool_window, output, taps, k, s, p, size, d)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "bool", "float32"])
def test_a_minimum(dtype):
    """A function of its own: a note of the maximum's does not answer for it."""
    style = "ties" if dtype == "float32" else "bits"
    x = check.adversarial(np.random.default_rng(0), (2, 3, 9, 8), np.dtype(dtype), style)
    arguments = (*WINDOW, False)
    largest, _ = assert_agree(flat, x, *arguments)
    output, indices = assert_agree(least, x, *arguments)
    assert (largest != output).any()
    assert_agree(least_backward, output, indices, x.shape, *arguments)
    with pytest.raises(ValueError, match=r"^minpool2d: kernel_size"):
        least(x, (20, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), False)


@contextmanager
def answers_in_python():
    """A list that grows with the calls that Python answers."""
    calls, answer = [], answering.answer_in_python

    def counted(*arguments):  # no mock, which Numba tries to find the type of
        calls.append(arguments)
        return answer(*arguments)

    with mock.patch.object(answering, "answer_in_python", counted):
        yield calls


side = st.integers(0, 3)
pairs = st.tuples(st.integers(1, 5), st.integers(1, 5))


@pytest.mark.parametrize("dtype", ["float32", "bool", "uint64"])
@given(st.data())
@pytest.mark.whole
def test_random(dtype, data):
    """Run-time windows of every kind, some impossible, on arrays in any order of memory."""
    shape = data.draw(st.tuples(*[st.integers(0, 3)] * 2, *[st.integers(1, 12)] * 2))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    x = check.adversarial(rng, shape, np.dtype(dtype), data.draw(st.sampled_from(check.STYLES)))
    padding = data.draw(st.tuples(*[st.tuples(side, side)] * 2))
    arguments = data.draw(pairs), data.draw(pairs), padding, data.draw(pairs)
    assert_all_agree(x, *arguments, data.draw(st.booleans()))


@pytest.mark.whole
def test_the_first_true_wins_whatever_its_byte_is():
    x = np.array([[[[0, 1], [2, 0]]]], np.uint8).view(bool)
    arguments = (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)
    for _ in range(2):  # the first call, which Python answers, and one that it does not
        output, indices = flat(x, *arguments, False)
        assert (output.view(np.uint8).item(), indices.item()) == (1, 1)
        output.view(np.uint8)[...] = 255
        found = backward(output, indices, x.shape, *arguments, False)
        assert found.view(np.uint8).tolist() == [[[[0, 1], [0, 0]]]]
        found = unpool(output, indices, *arguments[:3], x.shape[2:], arguments[3])
        assert found.view(np.uint8).tolist() == [[[[0, 255], [0, 0]]]]


@given(strategies.arrays((2, 3, 9, 8), np.dtype("float64"), ("fortran", "reversed", "strided")))
@pytest.mark.whole
def test_memory(x):
    """No contiguous array: all have one type in jitted code, so that nothing is compiled anew."""
    x = np.lib.stride_tricks.as_strided(x[:, :, ::2], writeable=False)  # of layout "A" in any case
    assert numba.typeof(x).layout == "A"
    assert_agree(values, x, *WINDOW, False)
    assert_agree(flat, x, *WINDOW, True)


def test_every_call_but_the_first_needs_no_python():
    x = np.random.default_rng(0).standard_normal((2, 3, 17, 19)).astype(np.float32)
    with answers_in_python() as answers:
        for _ in range(5):
            output, indices = flat(x, *WINDOW, False)
            backward(output, indices, x.shape, *WINDOW, False)
            unpool(output, indices, *WINDOW[:3], x.shape[2:], WINDOW[3])
    assert len(answers) == 3


@pytest.mark.whole
def test_more_kinds_of_calls_than_the_table_has_places():
    """Each is right, and most are found in the table although 300 share its 256 places."""
    arrays = [np.random.default_rng(n).standard_normal((1, 1, 4, n + 4)) for n in range(300)]
    arguments = (2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1), False
    for x in arrays:
        assert_same(values(x, *arguments), fastpool.maxpool2d(x, 2, 1))
    with answers_in_python() as answers:
        for x in arrays:
            assert_same(values(x, *arguments), fastpool.maxpool2d(x, 2, 1))
    assert 0 < len(answers) < 200


def test_a_note_that_is_in_use_stays(monkeypatch):
    """Also if a second thread makes the same one meanwhile."""
    x = np.arange(12.0).reshape(3, 4)
    constants, arguments = Constants("maxpool2d", "NCHW"), (2, 1, 0, 1, False)
    note = constants, (x,), arguments, fastpool.maxpool2d(x, 2, 1), None, (1, 2, 3)
    monkeypatch.setattr(notes, "_notes", {})
    backend = table.load("numba")
    steps, places = backend.steps, []

    def interrupted(*arguments):
        if not places:
            places.append(None)
            places.append(notes._note(*note))
        return steps(*arguments)

    monkeypatch.setattr(backend, "steps", interrupted)
    assert notes._note(*note) == places[1]


@pytest.mark.whole
def test_notes_are_bounded(monkeypatch):
    monkeypatch.setattr(notes, "_MOST", 0)
    x = np.arange(77.0).reshape(1, 1, 7, 11)
    with answers_in_python() as answers:
        for _ in range(3):
            assert_agree(values, x, *WINDOW, False)
    assert len(answers) == 6


@numba.njit
def omitted(x):
    return fastpool.maxpool2d(x, 2)


@numba.njit
def by_name(x):
    return fastpool.maxpool2d(
        x, kernel_size=(2, 3), padding="same", stride=2, layout="NHWC", backend="numba"
    )


@numba.njit
def named_padding(x, padding):
    return fastpool.maxpool2d(x, 3, 2, padding)


@pytest.mark.whole
def test_arguments_in_every_form():
    x = np.random.default_rng(0).integers(0, 9, (5, 6, 7)).astype(np.int32)
    assert_agree(omitted, x)
    assert_agree(by_name, x)
    for padding in ("same", "valid", "sane", "same"):  # the same length, but no padding
        assert_agree(named_padding, x, padding)
    for kernel_size in (np.int8(2), np.uint64(2), np.uint64(2**64 - 1), True, 2.0, (2, 3, 4), ()):
        assert_agree(one_argument, x, kernel_size)
    assert_agree(omitted, x[0])
    assert_agree(omitted, x[0, 0])  # too few axes


@numba.njit
def one_argument(x, kernel_size):
    return fastpool.maxpool2d(x, kernel_size)


@numba.njit
def constant_window(x):
    return fastpool.maxpool2d(x, (20, 20), 1, return_indices=True, index_format="window")


@numba.njit
def into_given(x, k, output, indices):
    return fastpool.maxpool2d(
        x, k, return_indices=True, index_format="window", out=(output, indices)
    )


@pytest.mark.whole
def test_window_indices_of_more_than_256_taps():
    """Their dtype depends on the kernel size: known of a constant, or of `out`."""
    x = np.random.default_rng(0).standard_normal((1, 1, 40, 40))
    assert assert_agree(constant_window, x)[1].dtype == np.uint16
    with pytest.raises(ValueError, match="pass arrays as out"):
        window(x, (20, 20), (1, 1), ((0, 0), (0, 0)), (1, 1), False)
    out = np.empty((1, 1, 2, 2)), np.empty((1, 1, 2, 2), np.uint16)
    assert_agree(into_given, x, 20, *out)


@numba.njit
def into(x, k, out):
    return fastpool.maxpool2d(x, k, 1, out=out)


@numba.njit
def unpool_into(x, indices, out):
    return fastpool.maxunpool2d(x, indices, 2, out=out)


class TestOut:
    @pytest.mark.whole
    def test_is_filled_and_returned(self):
        x = np.random.default_rng(0).standard_normal((3, 9, 9))
        for _ in range(2):
            out = np.full((3, 8, 16), np.nan)[..., ::2]
            result = into(x, 2, out)
            assert result.ctypes.data == out.ctypes.data
            assert_same(out, fastpool.maxpool2d(x, 2, 1))

    @pytest.mark.whole
    def test_pair(self):
        x = np.random.default_rng(0).standard_normal((3, 8, 8))
        expected = fastpool.maxpool2d(x, 2, return_indices=True, index_format="window")
        for _ in range(2):
            out = np.empty((3, 4, 4)), np.empty((3, 4, 4), np.uint8)
            into_given(x, 2, *out)
            for array, other in zip(out, expected, strict=True):
                assert_same(array, other)

    @pytest.mark.whole
    def test_overlap_is_refused_also_where_such_a_call_was_seen(self):
        memory = np.zeros(2000)
        x, apart, shared = memory[:100], memory[1000:1081], memory[50:131]
        x, apart, shared = x.reshape(10, 10), apart.reshape(9, 9), shared.reshape(9, 9)
        into(x, 2, apart)
        into(x, 2, apart)
        with pytest.raises(ValueError, match="out overlaps another argument"):
            into(x, 2, shared)

    @pytest.mark.whole
    def test_wrong_ones_are_errors(self):
        x = np.zeros((10, 10))
        assert_agree(into, x, 2, np.zeros((9, 8)))
        assert_agree(into, x, 2, np.zeros((9, 9), np.float32))
        read_only = np.zeros((9, 9))
        read_only.flags.writeable = False
        assert_agree(into, x, 2, read_only)
        assert_agree(into, x, 2, (x, x))
        assert_agree(into, x, 2, 7)

    @pytest.mark.whole
    def test_unpool(self):
        output, indices = fastpool.maxpool2d(np.ones((4, 4)), 2, return_indices=True)
        for _ in range(2):
            out = np.full((4, 4), 7.0)
            unpool_into(output, indices, out)
            assert_same(out, fastpool.maxunpool2d(output, indices, 2))


@pytest.mark.parametrize("bad", [-1, 10**9, 2**32 + 3, np.iinfo(np.int64).min, 0])
@pytest.mark.whole
def test_bad_indices_in_a_call_that_was_right_before(bad):
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 9))
    arguments = (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)
    output, indices = flat(x, *arguments, False)
    assert_agree(backward, output, indices, x.shape, *arguments, False)
    indices[1, 2, 3, 1] = bad
    assert assert_agree(backward, output, indices, x.shape, *arguments, False)[0] is IndexError
    if bad:
        unpooled = assert_agree(unpool, output, indices, *arguments[:3], (9, 9), (1, 1))
        assert unpooled[0] is IndexError


@pytest.mark.parametrize(
    "arguments",
    [
        ((0, 1), (1, 1), ((0, 0), (0, 0)), (1, 1)),
        ((1, 1), (1, 1), ((0, 0), (-1, 0)), (1, 1)),
        ((2**62, 1), (1, 1), ((2**62, 0), (0, 0)), (1, 1)),
        ((3, 3), (3, 3), ((3, 3), (3, 3)), (1, 1)),
        ((2, 2), (1, 1), ((1, 1), (1, 1)), (2, 2)),
        ((5, 1), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    ],
)
@pytest.mark.whole
def test_hostile_windows(arguments):
    assert assert_agree(values, np.ones((1, 1, 1, 1)), *arguments, False)[0] is ValueError


def test_what_must_be_known_at_compile_time():
    @numba.njit
    def wanted(x, flag):
        return fastpool.maxpool2d(x, 2, return_indices=flag)

    @numba.njit
    def laid_out(x, layout):
        return fastpool.maxpool2d(x, 2, layout=layout)

    @numba.njit
    def misspelt(x):
        return fastpool.maxpool2d(x, 2, index_format="taps")

    @numba.njit
    def elsewhere(x):
        return fastpool.maxpool2d(x, 2, backend="numpy")

    @numba.njit
    def no_array(x):
        return fastpool.maxpool2d(x, 2)

    x = np.ones((4, 4))
    with pytest.raises(TypeError, match="return_indices must be a constant in jitted code"):
        wanted(x, True)
    with pytest.raises(TypeError, match="layout must be a constant in jitted code"):
        laid_out(x, "NHWC")
    with pytest.raises(ValueError, match="index_format must be one of"):
        misspelt(x)
    with pytest.raises(ValueError, match="backend must be one of"):
        elsewhere(x)
    with pytest.raises(TypeError, match="x must be an array in jitted code, got int64"):
        no_array(3)


def test_lists_are_no_tuples():
    with pytest.raises(TypeError, match="pass tuples for lists"):
        one_argument(np.ones((4, 4)), [2, 2])


def test_unsupported_dtype():
    assert assert_agree(omitted, np.ones((4, 4), np.complex64))[0] is TypeError


@pytest.mark.whole
def test_result_is_a_pool_result():
    @numba.njit
    def fields(x):
        result = fastpool.maxpool2d(x, 2, return_indices=True)
        return result.output.sum() + result.indices.sum()

    x = np.arange(16.0).reshape(4, 4)
    assert fields(x) == sum(a.sum() for a in fastpool.maxpool2d(x, 2, return_indices=True))
    assert isinstance(
        flat(x[np.newaxis, np.newaxis], *WINDOW, False), fastpool.PoolResult
    )  # outside of jitted code, too


PRANGE = """
import numpy as np
from numba import njit, prange, threading_layer
import fastpool
from fastpool.backends.numba.compile import launch as launching
from unittest import mock

@njit(parallel=True)
def gradients(x, k, s):
    g = np.empty_like(x)
    for n in prange(x.shape[0]):
        output, taps = fastpool.maxpool2d(x[n], k, s, return_indices=True, index_format="window")
        g[n] = fastpool.maxpool2d_backward(
            output, taps, x[n].shape, k, s, index_format="window"
        )
    return g

# Images large enough that a call of Python's would start threads.
x = np.random.default_rng(0).integers(-99, 99, (8, 8, 256, 256)).astype(np.float32)
expected = []
for k, s in ((3, 2), (2, 2), (5, 1)):
    output, indices = fastpool.maxpool2d(x, k, s, return_indices=True, backend="numpy")
    expected.append(fastpool.maxpool2d_backward(output, indices, x.shape, k, s, backend="numpy"))
with mock.patch.object(
        launching, "_run_parallel", wraps=launching._run_parallel
    ) as launch:
    for (k, s), right in zip(((3, 2), (2, 2), (5, 1)), expected):
        for _ in range(2):  # the first time, all threads compile, plan and pool at once
            assert gradients(x, k, s).tobytes() == right.tobytes()
assert launch.call_count == 0
print(threading_layer())
"""


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
@pytest.mark.whole
def test_prange(layer):
    """One thread a call, inside the threads of others; kernels are compiled among them."""
    found = process.run(PRANGE, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="4")
    assert found == layer


CACHED = """
import json, sys
import numpy as np
sys.path.insert(0, {folder!r})
from user import pool
import fastpool
x = np.random.default_rng(0).standard_normal((2, 9, 9))
for _ in range(3):
    result = pool(x, 3, 2)
    right = fastpool.maxpool2d(x, 3, 2, return_indices=True)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(result, right))
try:
    pool(x, 10, 2)
except ValueError as error:
    assert "does not fit" in str(error)
else:
    raise AssertionError
from fastpool.interop.jitted import notes
hits = sum(pool.stats.cache_hits.values())
print(json.dumps([hits, len(notes._notes)]))
"""


@pytest.mark.whole
def test_functions_that_numba_caches(tmp_path):
    """They are loaded in the next process, and look for kernels there as if compiled anew.

    After an update of fastpool too, whose notes may mean something else.
    """
    (tmp_path / "user.py").write_text(
        "import numba, fastpool\n"
        "@numba.njit(cache=True)\n"
        "def pool(x, k, s):\n"
        "    return fastpool.maxpool2d(x, k, s, return_indices=True)\n"
    )
    code = CACHED.format(folder=str(tmp_path))
    assert json.loads(process.run(code)) == [0, 1]
    assert json.loads(process.run(code)) == [1, 1]
    updated = (
        "from fastpool.process import cache_folders\ncache_folders.source_digest = lambda: 'new'\n"
    )
    assert json.loads(process.run(updated + code)) == [1, 0]


@pytest.mark.whole
def test_threads():
    """Without the lock of Python, and from the first call on."""

    @numba.njit(nogil=True)
    def pool(x, k):
        return fastpool.maxpool2d(x, k, 1)

    x = np.random.default_rng(0).standard_normal((3, 33, 31))
    expected = {k: fastpool.maxpool2d(x, k, 1) for k in range(1, 9)}
    wrong, start = [], threading.Barrier(8)

    def work(first):
        start.wait()
        for turn in range(40):
            k = 1 + (first + turn) % 8
            if pool(x, k).tobytes() != expected[k].tobytes():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not wrong
    assert not any(thread.is_alive() for thread in threads)


FORK = """
import os
import numpy as np, numba
import everything, fastpool

@numba.njit
def pool(x, k):
    return fastpool.maxpool2d(x, k, 1)

def same(*kernel_sizes):
    for k in kernel_sizes:
        assert pool(everything.X, k).tobytes() == fastpool.maxpool2d(
            everything.X, k, 1, backend="numpy").tobytes()

everything.check()
same(2, 3)
everything.wait(*(everything.fork(lambda: same(2, 3, 4, 9)) for _ in range(2)))
same(4)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.whole
def test_forks():
    process.run(FORK)


def test_numba_finds_it_by_itself():
    """Where fastpool is installed, as it is for these tests."""
    code = """
    import numba, numpy as np, fastpool, sys

    @numba.njit
    def pool(x):
        return fastpool.maxpool2d(x, 2)

    assert "fastpool.interop.jitted" not in sys.modules
    print(pool(np.arange(16).reshape(4, 4)).tolist())
    """
    assert process.run(code) == "[[5, 7], [13, 15]]"


def test_loading_is_cheap():
    """Whoever uses Numba loads the extension: no backend comes with it."""
    code = """
    import sys
    import fastpool
    assert "numba" not in sys.modules
    import fastpool.interop.jitted
    print(sorted(name for name in sys.modules if name.startswith("fastpool.backends.")))
    """
    assert process.run(code) == "['fastpool.backends.protocol']"


def test_without_compilation_it_is_python():
    code = """
    import warnings
    import numba, numpy as np, fastpool
    import fastpool.interop.jitted

    @numba.njit
    def pool(x):
        return fastpool.maxpool2d(x, 2)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that NumPy answers
        print(pool(np.arange(16).reshape(4, 4)).tolist())
    """
    assert process.run(code, NUMBA_DISABLE_JIT="1") == "[[5, 7], [13, 15]]"


@numba.njit
def channels_last(x):
    output, indices = fastpool.maxpool2d(x, 2, return_indices=True, layout="NHWC")
    gradient = fastpool.maxpool2d_backward(output, indices, x.shape, 2, layout="NHWC")
    size = x.shape[-3:-1]
    return (
        output,
        indices,
        gradient,
        fastpool.maxunpool2d(output, indices, 2, 2, 0, size, layout="NHWC"),
    )


@pytest.mark.parametrize("shape", [(3, 7, 8, 0), (0, 7, 8, 3), (0, 7, 8, 0)])
@pytest.mark.whole
def test_empty_axes(shape):
    x = np.zeros(shape, np.float32)
    assert outcome(channels_last.py_func, x)[0].shape == (shape[0], 3, 4, shape[3])
    assert_agree(channels_last, x)
    for empty in ((0, 3, 7, 8), (2, 0, 7, 8)):
        assert_agree(flat, np.zeros(empty, np.float32), 2, 2, 0, 1, False)


@pytest.mark.whole
def test_window_indices_that_are_taken_for_flat_ones():
    x = np.zeros((1, 32, 32), np.float32)
    output, indices = window(x, 2, 2, 0, 1, False)
    with pytest.raises(TypeError, match=r"cannot count the 1024 cells.*index_format"):
        unpool(output, indices, 2, 2, 0, (32, 32), 1)
    assert_agree(unpool, output, indices, 2, 2, 0, (32, 32), 1)
