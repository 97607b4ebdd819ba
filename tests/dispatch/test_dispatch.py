"""The choice of a backend, and what happens where one is missing or broken."""

import asyncio
import math
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import pytest
import spying
from process import run

import fastpool
import fastpool.backends.numpy as numpy_backend
from fastpool.api import execute
from fastpool.dispatch import defaults, economy, table

X = np.arange(16.0).reshape(4, 4)


@pytest.fixture
def used(monkeypatch):
    """The names of the backends that calls have used, in order."""
    names = []
    spying.spy(names.append, monkeypatch.setattr)
    return names


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No default, no environment variable, nothing learnt."""
    monkeypatch.setattr(defaults, "_process_default", None)
    monkeypatch.setattr(defaults, "_environment", None)
    monkeypatch.setattr(economy, "_spent", {})
    monkeypatch.setattr(execute, "_tasks", {})


class Imitation:
    """A backend that has a compiler, in words: NumPy does its work."""

    def __init__(self, name):
        self.name, self.compiled, self.ran = name, set(), []

    def plan(self, call, storages):
        return ImitatedPlan(self, call, numpy_backend.plan(call, storages))

    def answers(self, call):
        return call.missing is None

    def ready(self, plan):
        return plan.call.geometry.windows in self.compiled

    def compile(self, plan, complete=False):
        self.compiled.add(plan.call.geometry.windows)

    def steps(self, plan, threads):
        return ()

    def describe(self):
        return {}


class ImitatedPlan:
    reason = "in a test"

    def __init__(self, owner, call, plan):
        self.backend, self.owner, self.call, self._plan = owner.name, owner, call, plan

    def run(self, inputs, outputs):
        self.owner.compile(self)
        self.owner.ran.append(self.call.name)
        return self._plan.run(inputs, outputs)


@pytest.fixture
def cold(monkeypatch):
    """The kernels that a Numba backend, which has none at first, was asked to compile."""
    backend = Imitation("numba")
    monkeypatch.setitem(table._loaded, "numba", backend)
    return backend.compiled


@pytest.mark.numba
def test_order_of_precedence(monkeypatch, used):
    monkeypatch.setattr(defaults, "_environment", "numba")
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
        seen.append(defaults.current_default())

    async def task(name, seen):
        with fastpool.use_backend(name):
            await asyncio.sleep(0)
            seen.append((name, defaults.current_default()))

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
        monkeypatch.setattr(defaults, "_environment", name)
        with pytest.raises(ValueError, match="FASTPOOL_BACKEND " + message):
            fastpool.maxpool2d(X, 2)


def test_auto_compiles_when_the_work_has_cost_as_much(used, cold):
    """Small calls stay in NumPy until together they have cost a compilation."""
    seconds = fastpool.maxpool2d(X, 2) is not None and next(iter(economy._spent.values()))
    calls = math.ceil(economy.COMPILE_SECONDS / seconds)
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


@pytest.mark.parametrize(
    ("rate", "indices"),
    [("NUMPY_SECONDS_PER_CELL", True), ("NUMPY_SECONDS_PER_CELL_ALONE", False)],
)
def test_auto_compiles_for_a_large_call_at_once(monkeypatch, used, cold, rate, indices):
    monkeypatch.setattr(economy, rate, economy.COMPILE_SECONDS / X.size)
    fastpool.maxpool2d(X, 2, return_indices=not indices)
    fastpool.maxpool2d(X, 2, return_indices=indices)
    assert used == ["numpy", "numba"]


@pytest.fixture
def jit(monkeypatch):
    """The module that compiles, with nothing compiled yet."""
    fastpool.available_backends()
    module = sys.modules["fastpool.backends.numba.compile.jit"]
    monkeypatch.setattr(module, "_compiled", {})
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
    monkeypatch.setattr(economy, "COMPILE_SECONDS", 0)
    monkeypatch.setattr(economy, "_warned", False)
    x = np.ones((1, 1, 33, 39))
    with pytest.warns(RuntimeWarning, match="no such instruction; NumPy answers") as caught:
        shapes = [fastpool.maxpool2d(x, 2).shape for _ in range(3)]
    assert shapes == [(1, 1, 16, 19)] * 3
    assert len(caught) == 1
    with pytest.raises(fastpool.BackendUnavailable, match="NotImplementedError: no such instr"):
        fastpool.maxpool2d(x, 2, backend="numba")
    assert used == ["numpy"] * 3 + ["numba"]


def test_accounts_are_bounded(monkeypatch, used, cold):
    monkeypatch.setattr(economy, "_MOST", 3)
    for size in range(1, 10):
        fastpool.maxpool2d(np.ones((size, size)), size)
        assert 1 <= len(economy._spent) <= 3
    assert used == ["numpy"] * 9


def test_tasks_are_bounded(monkeypatch):
    monkeypatch.setattr(execute, "_MOST", 3)
    for size in range(1, 10):
        fastpool.maxpool2d(np.ones((size, size)), size, backend="numpy")
        assert 1 <= len(execute._tasks) <= 3


def test_a_third_backend_gets_its_own_calls(monkeypatch):
    """What is kept of a call is kept by its backend, too; in every function, from the first on."""
    third = Imitation("third")
    monkeypatch.setitem(table.TABLE, "third", "nowhere")
    monkeypatch.setitem(table._loaded, "third", third)
    for _ in range(3):
        for backend in ("numpy", "third", None):
            output, indices = fastpool.maxpool2d(X, 2, return_indices=True, backend=backend)
            fastpool.maxpool2d_backward(output, indices, X.shape, 2, backend=backend)
            fastpool.maxunpool2d(output, indices, 2, backend=backend)
            fastpool.maxpool1d(X, 2, backend=backend)
    assert third.ran == ["maxpool2d", "maxpool2d_backward", "maxunpool2d", "maxpool1d"] * 3
    with fastpool.use_backend("third"):
        fastpool.maxpool2d(X, 2, return_indices=True)
    assert len(third.ran) == 13
    assert ("third", True, "") in fastpool.available_backends()


def test_a_repeated_call_is_understood_once(monkeypatch):
    """In every function: the ten-thousandth call looks into a table."""
    output, indices = fastpool.maxpool2d(X, 2, return_indices=True, backend="numpy")
    calls = (
        lambda: fastpool.maxpool2d(X, 2, backend="numpy"),
        lambda: fastpool.maxpool2d(X, (2, 2), padding=((0, 0), (0, 0)), backend="numpy"),
        lambda: fastpool.maxpool2d(X[::2], 2, backend="numpy"),
        lambda: fastpool.maxpool2d(X, 2, out=np.empty((2, 2)), backend="numpy"),
        lambda: fastpool.maxpool2d_backward(output, indices, X.shape, 2, backend="numpy"),
        lambda: fastpool.maxunpool2d(output, indices, 2, backend="numpy"),
        lambda: fastpool.maxpool1d(X, 2, backend="numpy"),
        lambda: fastpool.maxpool3d(X[np.newaxis], (1, 2, 2), backend="numpy"),
        lambda: fastpool.avgpool2d(X, 2, dtype=np.float32, backend="numpy"),
        lambda: fastpool.avgpool2d_backward(output, X.shape, 2, backend="numpy"),
        lambda: fastpool.adaptive_maxpool2d(X, (None, 3), backend="numpy"),
    )
    expected = [call().tobytes() for call in calls]
    makers = dict(execute._MAKERS)
    monkeypatch.setattr(execute, "_MAKERS", {})
    assert [call().tobytes() for call in calls] == expected
    monkeypatch.setattr(execute, "_MAKERS", makers)
    for kernel_size in (2.0, True, (2, True), (2.0, 2)):
        with pytest.raises(TypeError, match="kernel_size"):
            fastpool.maxpool2d(X, kernel_size, backend="numpy")


@pytest.mark.numba
def test_backends_lists_both():
    assert fastpool.available_backends() == (("numpy", True, ""), ("numba", True, ""))
    fastpool.maxpool2d(X, 2)
    assert not callable(fastpool.backends)  # a package


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
        from fastpool.dispatch import economy, table

        def fail(error):
            class Finder:
                def find_spec(self, name, path=None, target=None):
                    if name == "numba": raise error
            table.compiler_found()
            sys.meta_path.insert(0, Finder())

        STATE
        economy.FIRST_COMPILE_SECONDS = 0
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
        numpy, numba = fastpool.available_backends()
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
