"""The choice of a backend, and what happens where one is missing or broken."""

import asyncio
import math
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
from process import run

import fastpool
from fastpool import dispatch, repeats
from fastpool.backends import NotReady, numpy

X = np.arange(16.0).reshape(4, 4)


@pytest.fixture
def used(monkeypatch):
    """The names of the backends that calls have used, in order."""
    names = []
    run = dispatch.run

    def spy(*arguments):
        module, answer = run(*arguments)
        names.append(module.__name__.rpartition(".")[2])
        return module, answer

    monkeypatch.setattr(dispatch, "run", spy)
    monkeypatch.setattr(repeats, "find", lambda key: None)
    return names


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No default, no environment variable, nothing learnt."""
    monkeypatch.setattr(dispatch, "_process_default", None)
    monkeypatch.setattr(dispatch, "_environment", None)
    monkeypatch.setattr(dispatch, "_spent", {})
    monkeypatch.setattr(dispatch, "_refused", {})


@pytest.fixture
def cold(monkeypatch):
    """A Numba backend that compiles at its first use, and says how often it did."""
    ready = set()

    class Cold(ModuleType):
        waiting = True

        @contextmanager
        def nothing_compiled(self):
            self.waiting = False
            yield
            self.waiting = True

        def compiled_functions(self):
            return len(ready)

        def forward(self, geometry, *arrays):
            if geometry.windows not in ready:
                if not self.waiting:
                    self.waiting = True
                    raise NotReady
                ready.add(geometry.windows)
            numpy.forward(geometry, *arrays)

    monkeypatch.setitem(dispatch._modules, "numba", Cold("numba"))
    return ready


@pytest.mark.numba
def test_order_of_precedence(monkeypatch, used):
    monkeypatch.setattr(dispatch, "_environment", "numba")
    fastpool.maxpool2d(X, 2)
    fastpool.set_default_backend("numpy")
    fastpool.maxpool2d(X, 2)
    with fastpool.use_backend("numba"):
        fastpool.maxpool2d(X, 2)
        with fastpool.use_backend("numpy"):
            fastpool.maxpool2d(X, 2)
        fastpool.maxpool2d(X, 2)
        fastpool.maxpool2d(X, 2, backend="numpy")
    fastpool.maxpool2d(X, 2)
    fastpool.set_default_backend(None)
    fastpool.maxpool2d(X, 2)
    assert used == ["numba", "numpy", "numba", "numpy", "numba", "numpy", "numpy", "numba"]


@pytest.mark.numba
def test_every_function_takes_a_backend(used):
    output, indices = fastpool.maxpool2d(X, 2, return_indices=True, backend="numba")
    fastpool.maxpool2d_backward(output, indices, X.shape, 2, backend="numpy")
    fastpool.maxunpool2d(output, indices, 2, backend="numba")
    assert used == ["numba", "numpy", "numba"]


def test_context_ends_with_an_error(used, cold):
    with pytest.raises(ZeroDivisionError), fastpool.use_backend("numba"):
        raise ZeroDivisionError
    fastpool.maxpool2d(X, 2, backend=None)
    assert used == ["numpy"]


def test_threads_and_tasks_have_contexts_of_their_own():
    def in_thread(seen):
        seen.append(dispatch.current_default())

    async def task(name, seen):
        with fastpool.use_backend(name):
            await asyncio.sleep(0)
            seen.append((name, dispatch.current_default()))

    async def tasks(seen):
        await asyncio.gather(*(task(name, seen) for name in ("numpy", "numba") * 3))

    seen: list = []
    with fastpool.use_backend("numpy"):
        thread = threading.Thread(target=in_thread, args=(seen,))
        thread.start()
        thread.join()
    # A free-threaded Python from 3.14 on starts threads with their parent's context.
    inherited = getattr(sys.flags, "thread_inherit_context", False)
    assert seen == ["numpy" if inherited else "auto"]
    seen.clear()
    asyncio.run(tasks(seen))
    assert len(seen) == 6
    assert all(name == default for name, default in seen)


@pytest.mark.parametrize("name", ["cuda", "", "NumPy"])
def test_unknown_names(monkeypatch, name):
    message = rf"must be one of \('auto', 'numpy', 'numba'\), got '{name}'"
    with pytest.raises(ValueError, match="maxpool2d: backend " + message):
        fastpool.maxpool2d(X, 2, backend=name)
    with pytest.raises(ValueError, match="set_default_backend " + message):
        fastpool.set_default_backend(name)
    with pytest.raises(ValueError, match="use_backend " + message):
        fastpool.use_backend(name)
    if name:
        monkeypatch.setattr(dispatch, "_environment", name)
        with pytest.raises(ValueError, match="FASTPOOL_BACKEND " + message):
            fastpool.maxpool2d(X, 2)


def test_auto_compiles_when_the_work_has_cost_as_much(used, cold):
    """Small calls stay in NumPy until together they have cost a compilation."""
    seconds = fastpool.maxpool2d(X, 2) is not None and next(iter(dispatch._spent.values()))
    calls = math.ceil(dispatch.COMPILE_SECONDS / seconds)
    for _ in range(calls):
        fastpool.maxpool2d(X, 2)
    assert used == ["numpy"] * (calls - 1) + ["numba"] * 2
    assert len(cold) == 1


def test_auto_waits_for_no_compiler_in_a_small_call(used, cold):
    """Another window is another kernel; and what is compiled for one call serves all."""
    fastpool.maxpool2d(X, 2, backend="numba")
    for x in (X, X, X[1:], X.astype(np.float32)):
        fastpool.maxpool2d(x, 2)
        fastpool.maxpool2d(x, 3)
    assert used[1:] == ["numba", "numpy"] * 4
    fastpool.maxpool2d(X, 3, backend="numba")
    fastpool.maxpool2d(X, 3)
    assert used[-1] == "numba"
    assert len(cold) == 2


def test_auto_compiles_for_a_large_call_at_once(monkeypatch, used, cold):
    monkeypatch.setattr(dispatch, "NUMPY_SECONDS_PER_CELL", dispatch.COMPILE_SECONDS / X.size)
    fastpool.maxpool2d(X, 2)
    assert used == ["numba"]


@pytest.fixture
def jit(monkeypatch):
    """The module that compiles, with nothing compiled yet."""
    fastpool.backends()
    module = sys.modules["fastpool.backends.numba.jit"]
    monkeypatch.setattr(module, "_functions", {})
    return module


@pytest.mark.numba
def test_auto_waits_for_no_other_threads_compilation(used, jit):
    x = np.ones((1, 1, 31, 37))
    with ThreadPoolExecutor(1) as other:
        other.submit(jit._compiling.acquire).result()
        fastpool.maxpool2d(x, 2)
        other.submit(jit._compiling.release).result()
    fastpool.maxpool2d(x, 2, backend="numba")
    fastpool.maxpool2d(x, 2)
    assert used == ["numpy", "numba", "numba"]


@pytest.mark.numba
def test_a_compilation_that_fails(monkeypatch, used, jit):
    """NumPy answers, with one warning; who insists on Numba hears what it said."""

    def fail(*arguments):
        raise NotImplementedError("no such instruction")

    monkeypatch.setattr(jit, "CFunc", fail)
    monkeypatch.setattr(dispatch, "COMPILE_SECONDS", 0)
    monkeypatch.setattr(dispatch, "_warned", False)
    x = np.ones((1, 1, 33, 39))
    with pytest.warns(RuntimeWarning, match="no such instruction; NumPy answers") as caught:
        shapes = [fastpool.maxpool2d(x, 2).shape for _ in range(3)]
    assert shapes == [(1, 1, 16, 19)] * 3
    assert len(caught) == 1
    with pytest.raises(fastpool.BackendUnavailable, match="NotImplementedError: no such instr"):
        fastpool.maxpool2d(x, 2, backend="numba")
    assert used == ["numpy"] * 3


def test_accounts_are_bounded(monkeypatch, used, cold):
    monkeypatch.setattr(dispatch, "_MOST", 3)
    for size in range(1, 10):
        fastpool.maxpool2d(np.ones((size, size)), size)
        assert 1 <= len(dispatch._spent) <= 3
        assert 1 <= len(dispatch._refused) <= 3
    assert used == ["numpy"] * 9


@pytest.mark.numba
def test_backends_lists_both():
    assert fastpool.backends() == (("numpy", True, ""), ("numba", True, ""))
    fastpool.maxpool2d(X, 2)
    assert callable(fastpool.backends)


HEAVY = "'numba', 'llvmlite', 'torch', 'dask', 'jax', 'matplotlib', 'sklearn', 'ml_dtypes'"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("", "[]"),
        ("fastpool.maxpool2d(np.ones((4, 4)), 2, backend='numpy')", "[]"),
        ("fastpool.maxpool2d(np.ones((4, 4)), 2)", "[]"),
        pytest.param(
            "fastpool.maxpool2d(np.ones((4, 4)), 2, backend='numba')",
            "['numba', 'llvmlite']",
            marks=pytest.mark.numba,
        ),
    ],
    ids=["import", "numpy", "auto", "numba"],
)
def test_nothing_heavy_is_imported_before_its_need(call, expected):
    code = f"""
        import sys
        import numpy as np, fastpool
        {call}
        print([name for name in ({HEAVY}) if name in sys.modules])
    """
    assert run(code) == expected


STATES = {
    "missing": ("sys.modules['numba'] = None", "numba"),
    "broken": ("fail(ImportError('no shared object'))", "ImportError: no shared object"),
    "at odds with itself": ("fail(AttributeError('np.float'))", "AttributeError: np.float"),
    "at odds with Python": ("fail(SystemError('bad call'))", "SystemError: bad call"),
    "at odds with NumPy": ("np.__version__ = '99.0.0'", "Got NumPy 99.0"),
}
NEEDS = {"at odds with NumPy": pytest.mark.numba}
CALLS = {
    "maxpool2d": "fastpool.maxpool2d(x, 2, return_indices=True",
    "maxpool2d_backward": "fastpool.maxpool2d_backward(output, indices, x.shape, 2",
    "maxunpool2d": "fastpool.maxunpool2d(output, indices, 2",
}


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        *(pytest.param(*STATES[name], id=name, marks=NEEDS.get(name, ())) for name in STATES),
        pytest.param(
            "",
            "No module named 'numba'",
            id="not installed",
            marks=pytest.mark.skipif(find_spec("numba") is not None, reason="Numba is installed"),
        ),
    ],
)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_without_numba(state, cause, call):
    """ "auto" goes on in NumPy with one warning; an explicit "numba" raises, every time."""
    code = textwrap.dedent("""
        import sys, warnings
        import numpy as np, fastpool
        from fastpool import dispatch

        def fail(error):
            class Finder:
                def find_spec(self, name, path=None, target=None):
                    if name == "numba": raise error
            dispatch._numba_found()
            sys.meta_path.insert(0, Finder())

        STATE
        dispatch.FIRST_COMPILE_SECONDS = 0
        x = np.arange(16.0).reshape(4, 4)
        output, indices = fastpool.maxpool2d(x, 2, return_indices=True, backend="numpy")
        expected = CALL, backend="numpy")

        def pool():
            return CALL)

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            line = pool.__code__.co_firstlineno + 1
            for _ in range(3):
                found = pool()
                assert np.array_equal(found, expected)
        (warning,) = caught
        assert warning.category is RuntimeWarning
        assert (warning.filename, warning.lineno) == ("<string>", line), warning
        print(warning.message)
        for _ in range(2):
            try:
                CALL, backend="numba")
            except fastpool.BackendUnavailable as error:
                assert isinstance(error, ImportError)
                print(error)
        numpy, numba = fastpool.backends()
        assert numpy.available and not numba.available
        print(numba.reason)
    """)
    lines = run(code.replace("STATE", state).replace("CALL", call)).splitlines()
    assert len(lines) == 4
    assert all(cause in line for line in lines)
    assert lines[0].endswith("; NumPy answers instead")


@pytest.mark.parametrize("name", ["numpy", pytest.param("numba", marks=pytest.mark.numba)])
def test_environment_variable(name):
    code = """
        import sys, numpy as np, fastpool
        fastpool.maxpool2d(np.ones((4, 4)), 2)
        print('numba' in sys.modules)
    """
    assert run(code, FASTPOOL_BACKEND=name) == str(name == "numba")
