"""Nothing ends or stops a process: forks, threads, schedulers, signals, on every layer.

Each condition has a process of its own, which compares every function with the NumPy backend
(see everything.py).
"""

import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from process import PATH, run

from fastpool.process.threads import short_waits

pytest.importorskip("numba")

pytestmark = pytest.mark.whole

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
signals = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")


def environment(layer):
    """Two threads on a layer."""
    variables = {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    if layer == "tbb" and sys.platform == "linux":  # pip's library is not where the loader looks
        folders = [str(Path(sys.prefix) / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
        variables["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, folders))
    return variables


@pytest.fixture(scope="session", params=["omp", "workqueue", "tbb"])
def layer(request):
    """The name of a threading layer that can be loaded here."""
    absent = {
        "omp": sys.platform == "darwin" and "pip's Numba has no OpenMP on macOS",
        "tbb": find_spec("tbb") is None and not list(Path(sys.prefix).glob("lib/libtbb.so*"))
        and "tbb is not installed",
    }.get(request.param)  # fmt: skip
    if absent:
        pytest.skip(absent)
    return request.param


@pytest.fixture(scope="session")
def kernels(tmp_path_factory):
    """A folder that holds every kernel."""
    folder = str(tmp_path_factory.mktemp("kernels"))
    run("import everything; everything.check()", NUMBA_CACHE_DIR=folder)
    return folder


@pytest.fixture
def warm(layer, kernels):
    """Run code on a layer; the kernels need not be compiled."""
    return runner(layer, kernels)


@pytest.fixture(params=["cold", "warm"])
def either(request, layer, tmp_path):
    """The same, and also with every kernel yet to compile."""
    kernels = request.getfixturevalue("kernels") if request.param == "warm" else tmp_path
    return runner(layer, kernels)


@pytest.fixture
def cold(layer, tmp_path):
    """The same, with every kernel yet to compile."""
    return runner(layer, tmp_path)


def runner(layer, kernels):
    def run_on_layer(code, **variables):
        variables = {**environment(layer), "NUMBA_CACHE_DIR": str(kernels), **variables}
        return run(code, **variables)

    return run_on_layer


@forks
def test_children_of_a_parallel_process(warm):
    """Also their children; and the parent goes on, beside them and after them."""
    warm("""
        import multiprocessing
        from everything import check, check_in_parallel

        def family():
            check()
            child = fork.Process(target=check)
            child.start()
            child.join()
            assert child.exitcode == 0, child.exitcode

        fork = multiprocessing.get_context("fork")
        check_in_parallel()
        children = [fork.Process(target=family) for _ in range(2)]
        for child in children: child.start()
        check_in_parallel()
        for child in children: child.join()
        assert [child.exitcode for child in children] == [0, 0]
        with fork.Pool(2) as pool:
            assert pool.map(check, ["numba"] * 4) == [True] * 4
        check_in_parallel()
    """)


@forks
def test_children_of_a_process_yet_to_pool(warm):
    """Each has threads of its own, and so has the parent."""
    warm("""
        from everything import check_in_parallel, fork, wait
        children = [fork(check_in_parallel) for _ in range(2)]
        check_in_parallel()
        wait(*children, fork())
        check_in_parallel()
    """)


@forks
def test_children_of_a_process_with_other_numba_functions(warm):
    """Numba's threads were started, but not by fastpool, which the child is first to use."""
    warm("""
        import numba, numpy as np
        from everything import check, check_in_parallel, fork, wait

        @numba.njit(parallel=True)
        def double(x):
            for i in numba.prange(len(x)): x[i] *= 2

        double(np.ones(1000))
        wait(fork(), fork())
        check_in_parallel()
    """)


@forks
def test_fork_beside_a_kernel(warm):
    """One thread pools all the time, and the other forks."""
    warm("""
        import threading
        from everything import check, check_in_parallel, fork, wait

        def pool():
            while not stop.is_set(): check()

        check_in_parallel()
        stop = threading.Event()
        thread = threading.Thread(target=pool)
        thread.start()
        try:
            for _ in range(20): wait(fork())
            assert thread.is_alive()
        finally:
            stop.set()
            thread.join()
        check_in_parallel()
    """)


@forks
def test_fork_beside_a_compilation(cold):
    """No child inherits a lock of the compiler that nobody will release."""
    cold("""
        from everything import check_in_parallel, fork, pool_beside, wait
        thread, pooled, forked = pool_beside()
        children = []
        while not pooled.wait(1) and len(children) < 2 and thread.is_alive():
            children.append(fork())
        wait(*children)
        forked.set()
        thread.join()
        assert pooled.is_set()
        assert len(children) == 2
        check_in_parallel()
    """)


@forks
def test_fork_beside_the_first_import(warm):
    """No child inherits a lock of an import that nobody will end."""
    warm("""
        from everything import check_in_parallel, fork, pool_beside, wait
        thread, pooled, forked = pool_beside()
        while not pooled.is_set() and thread.is_alive(): wait(fork(), fork(lambda: None))
        forked.set()
        thread.join()
        assert pooled.is_set()
        check_in_parallel()
    """)


def test_eight_threads_at_once(either):
    """From the very first call on, which imports and compiles, or reads the cache."""
    either("""
        import threading
        from everything import check, check_in_parallel

        def pool():
            start.wait()
            for _ in range(5): done.append(check())

        done, start = [], threading.Barrier(8)
        threads = [threading.Thread(target=pool) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert len(done) == 40
        check_in_parallel()
    """)


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_dask(warm, scheduler):
    pytest.importorskip("dask")
    warm(f"""
        import dask
        from everything import check, check_in_parallel
        check_in_parallel()
        tasks = [dask.delayed(check)() for _ in range(8)]
        assert dask.compute(*tasks, scheduler={scheduler!r}, num_workers=4) == (True,) * 8
        check_in_parallel()
    """)


@pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing"])
def test_joblib(warm, backend):
    pytest.importorskip("joblib")
    warm(f"""
        import joblib
        from everything import check, check_in_parallel
        check_in_parallel()
        tasks = [joblib.delayed(check)() for _ in range(8)]
        assert joblib.Parallel(n_jobs=4, backend={backend!r})(tasks) == [True] * 8
        check_in_parallel()
    """)


def test_asyncio(warm):
    """Each task, and each thread that it starts, has the backend that the task has chosen."""
    warm("""
        import asyncio, fastpool
        from everything import check, check_in_parallel, spy, used

        def pool():
            check(None)
            return used.get()

        async def task(name):
            for _ in range(3):
                with fastpool.use_backend(name):
                    await asyncio.sleep(0)
                    assert pool() == name
                    await asyncio.sleep(0)
                    assert await asyncio.to_thread(pool) == name
            return name

        async def tasks():
            return await asyncio.gather(*map(task, names))

        spy()
        names = ["numpy", "numba"] * 4
        assert asyncio.run(tasks()) == names
        check_in_parallel()
    """)


@signals
def test_signal_handler_that_pools(either):
    """The handler runs while the main thread is inside a call, whatever that holds."""
    either("""
        import signal, fastpool
        from everything import check, check_in_parallel

        def handle(number, frame):
            handled.append(check())
            signal.setitimer(signal.ITIMER_REAL, 0.01)

        handled = []
        signal.signal(signal.SIGALRM, handle)
        fastpool.available_backends()
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        check()
        while len(handled) < 20: check()
        signal.setitimer(signal.ITIMER_REAL, 0)
        check_in_parallel()
    """)


@signals
def test_signal_handler_that_pools_during_the_import(warm):
    """It runs after the import, which it could not use, and once for many signals."""
    warm("""
        import signal, sys, fastpool
        from everything import check, check_in_parallel

        class Finder:
            def find_spec(self, name, path=None, target=None):
                if name in ("numba.core", "numba.core.config", "numba.core.types"):
                    assert not handled
                    signal.raise_signal(signal.SIGALRM)

        handled = []
        signal.signal(signal.SIGALRM, lambda number, frame: handled.append(check()))
        sys.meta_path.insert(0, Finder())
        fastpool.available_backends()
        assert handled == [True]
        check_in_parallel()
    """)


@signals
def test_signal_handler_that_raises_during_the_import(warm):
    """An error that is not Numba's is no reason to think that Numba is broken."""
    warm("""
        import signal, sys
        from everything import check, check_in_parallel

        class Hurry(Exception): pass

        class Finder:
            def find_spec(self, name, path=None, target=None):
                if name == "numba":
                    sys.meta_path.remove(self)
                    signal.raise_signal(signal.SIGALRM)

        def handle(number, frame):
            raise Hurry

        signal.signal(signal.SIGALRM, handle)
        sys.meta_path.insert(0, Finder())
        try:
            check()
        except Hurry:
            check_in_parallel()
        else:
            assert False
    """)


def test_one_thread(warm):
    warm("import everything; everything.check()", NUMBA_NUM_THREADS="1")


def test_one_thread_beside_those_of_the_caller(warm):
    """Inside the block, in this thread alone, and not after it."""
    warm(
        """
        import threading
        from unittest import mock
        from everything import check, check_in_parallel
        import fastpool
        from fastpool.process.threads import one_thread

        fastpool.available_backends()
        from fastpool.backends.numba.compile import launch as launching

        with one_thread():
            running = launching._run_parallel
            with mock.patch.object(launching, "_run_parallel", wraps=running) as launch:
                check()
            assert launch.call_count == 0
            errors = []
            threading.excepthook = errors.append
            other = threading.Thread(target=check_in_parallel)
            other.start()
            other.join()
            assert not errors, errors
        check_in_parallel()
        """,
        NUMBA_NUM_THREADS="4",
        NUMBA_THREADING_LAYER="omp",
    )


def test_threads_wait_for_a_short_time(monkeypatch):
    """While OpenMP is loaded, the environment says so, unless the user's says something else."""
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    with short_waits():
        assert int(os.environ["GOMP_SPINCOUNT"]) > 0
    assert "GOMP_SPINCOUNT" not in os.environ
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        with monkeypatch.context() as context:
            context.setenv(name, "the user's")
            before = dict(os.environ)
            with short_waits():
                assert os.environ == before
            assert os.environ == before


@pytest.mark.numba
def test_the_layer_is_loaded_in_short_waits():
    code = """
    import os
    from unittest import mock
    import numpy as np, fastpool
    fastpool.available_backends()
    from fastpool.backends.numba.compile import launch
    seen = []
    def count():
        seen.append(os.environ.get("GOMP_SPINCOUNT"))
        return 1
    with mock.patch.object(launch.numba, "get_num_threads", count):
        fastpool.maxpool2d(np.ones((2000, 2000), np.float32), 2, backend="numba")
    print(seen, "GOMP_SPINCOUNT" in os.environ)
    """
    assert run(code, GOMP_SPINCOUNT=None, OMP_WAIT_POLICY=None) == "['3000'] False"


def test_numbers_of_threads(warm):
    """Between calls, and in several threads at once, each of which has a number of its own."""
    warm(
        """
        import threading, numba
        from everything import check, check_in_parallel

        def pool(number):
            numba.set_num_threads(number)
            start.wait()
            for _ in range(5):
                check()
                assert numba.get_num_threads() == number

        for number in (4, 1, 3, 2):
            numba.set_num_threads(number)
            check() if number == 1 else check_in_parallel()
        errors, start = [], threading.Barrier(4)
        threading.excepthook = errors.append
        threads = [threading.Thread(target=pool, args=(n,)) for n in (1, 2, 3, 4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert not errors, errors
        assert numba.get_num_threads() == 2
        check_in_parallel()
        """,
        NUMBA_NUM_THREADS="4",
    )


def test_layer_that_cannot_be_loaded(kernels):
    """One warning says so, and every call is done by one thread."""
    code = """
        import sys, warnings
        from everything import check
        sys.modules["numba.np.ufunc.tbbpool"] = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", RuntimeWarning)
            check()
            check()
        for warning in caught:
            if warning.category is RuntimeWarning: print(str(warning.message).splitlines()[0])
    """
    printed = run(code, NUMBA_CACHE_DIR=kernels, NUMBA_THREADING_LAYER="tbb")
    assert printed.splitlines() == [
        "fastpool: no threading layer of Numba, so one thread does it all: "
        "No threading layer could be loaded."
    ]


def test_without_optimisation(tmp_path):
    run("import everything; everything.check()", NUMBA_OPT="0", NUMBA_CACHE_DIR=str(tmp_path))


def test_code_in_a_process_of_its_own_inherits_the_path():
    """As where the tests' own dependencies lie in a folder that PYTHONPATH names."""
    path = os.pathsep.join((PATH, os.path.abspath("elsewhere")))
    code = "import process; print(process.PATH)"
    assert run(code, PYTHONPATH=path).endswith(path)
