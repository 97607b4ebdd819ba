"""Kernels that XLA calls on its own arrays: fastpool's bits, without Python if that can be."""

import ctypes
from contextlib import contextmanager

import numpy as np
import process
import pytest
from bits import assert_same

import fastpool
from fastpool.backends.protocol import Service
from fastpool.cli import check
from fastpool.dispatch import economy, table
from fastpool.process.huge_pages import ADVICE, PAGE

jax = pytest.importorskip("jax")
jnp = jax.numpy

from fastpool.interop.jax import (  # noqa: E402  (it needs JAX)
    avg_pool2d,
    host,
    in_place,
    lp_pool2d,
    max_pool2d,
    max_pool3d,
    min_pool1d,
    sum_pool2d,
)
from fastpool.interop.jax.primitives import scatter_p  # noqa: E402

pytestmark = pytest.mark.numba
# Of which kind an error is, depends on whether this is the first call.
ERRORS = (RuntimeError, ValueError)


@pytest.fixture(autouse=True)
def on_numba():
    with fastpool.use_backend("numba"):
        yield


@pytest.fixture
def no_python(monkeypatch):
    """Calls that reach Python."""
    calls = []
    run = in_place._answer_in_python
    monkeypatch.setattr(in_place, "_answer_in_python", lambda words: calls.append(run(words)))
    monkeypatch.setattr(host, "execute_call", lambda *_: pytest.fail("Python was called"))
    return calls


@pytest.fixture
def seen(monkeypatch):
    """Calls that are answered in Python."""
    calls = []
    run = host.execute_call
    monkeypatch.setattr(host, "execute_call", lambda *a: calls.append(a[0].name) or run(*a))
    return calls


def values(shape, dtype="float32", style="ties", seed=0):
    return check.adversarial(np.random.default_rng(seed), shape, check.dtype_of(dtype), style)


def gradient_of(pool):
    return jax.jit(lambda x, w: jax.vjp(pool, x)[1](w)[0])


# Few cells, which one thread pools; and enough for several. Planes whose gradients are averaged
# in two steps, and those whose cells pull.
SHAPES = [(2, 3, 9, 8), (4, 16, 62, 40), (64, 64, 7, 7)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_no_python(no_python, shape, layout):
    x = values(shape)
    options = {"layout": layout}
    output, indices = fastpool.maxpool2d(x, 3, 2, 1, return_indices=True, **options)
    weights = values(output.shape, style="random", seed=1)
    pool = lambda x: max_pool2d(x, 3, 2, 1, **options)  # noqa: E731
    expected = fastpool.maxpool2d_backward(weights, indices, shape, 3, 2, 1, **options)
    average = lambda x: avg_pool2d(x, 3, 2, 1, **options)  # noqa: E731
    for _ in range(3):
        assert_same(np.asarray(jax.jit(pool)(x)), output)
        assert_same(np.asarray(gradient_of(pool)(x, weights)), expected)
        found = np.asarray(jax.jit(average)(x))
        assert_same(found, fastpool.avgpool2d(x, 3, 2, 1, **options), any_nan=True)
        found = np.asarray(gradient_of(average)(x, weights))
        assert_same(found, fastpool.avgpool2d_backward(weights, shape, 3, 2, 1, **options))
    assert no_python == []


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8", "bool", "uint32", "int64"])
def test_no_python_in_other_dtypes_and_dimensions(no_python, dtype):
    with jax.enable_x64("64" in dtype):
        x = values((3, 4, 10, 12), dtype)
        assert_same(np.asarray(min_pool1d(x, 2)), fastpool.minpool1d(x, 2))
        assert_same(np.asarray(max_pool2d(x, 2)), fastpool.maxpool2d(x, 2))
        assert_same(np.asarray(max_pool3d(x, 2)), fastpool.maxpool3d(x, 2))
        if dtype != "bool":
            result = np.asarray(sum_pool2d(x, 2))
            expected = fastpool.sumpool2d(x, 2, dtype=result.dtype)
            assert_same(result, expected, any_nan=True)
    assert no_python == []


def test_subnormal_numbers_in_several_threads(no_python):
    """None of XLA's threads takes them for zeros, and each does again after the call."""
    x = np.random.default_rng(0).integers(1, 99, (8, 16, 64, 64)).astype(np.float32)
    x *= np.float32(1e-44)
    output = fastpool.maxpool2d(x, 2, 2)
    assert output.min() > 0
    pool = jax.jit(lambda x: (max_pool2d(x, 2), avg_pool2d(x, 2), jnp.sum(x * 2)))
    for _ in range(5):
        largest, average, total = pool(x)
        assert_same(np.asarray(largest), output)
        assert_same(np.asarray(average), fastpool.avgpool2d(x, 2))
        assert total == 0
    assert no_python == []


def test_arrays_of_which_one_is_repeated(no_python):
    """The codes of one image, for the gradients of many, which nobody copies."""
    x = values((3, 5, 4), style="random")
    jacobian = jax.jit(jax.jacrev(lambda x: max_pool2d(x, 2, 1)))(x)
    indices = fastpool.maxpool2d(x, 2, 1, return_indices=True).indices
    basis = np.eye(indices.size, dtype=np.float32).reshape(-1, *indices.shape)
    every = np.broadcast_to(indices, basis.shape)
    expected = fastpool.maxpool2d_backward(basis, every, (len(basis), *x.shape), 2, 1)
    assert_same(np.asarray(jacobian), expected.reshape(*indices.shape, *x.shape))
    assert no_python == []


def test_what_has_no_kernel_is_answered_in_python():
    """Norms, and the derivative along a tangent; on the same arrays."""
    x, tangent = values((2, 6, 7), style="random"), values((2, 6, 7), style="random", seed=1)
    assert "fastpool" in jax.jit(lambda x: lp_pool2d(x, 2, 3)).lower(x).as_text()
    assert_same(np.asarray(jax.jit(lambda x: lp_pool2d(x, 2, 3))(x)), fastpool.lppool2d(x, 2, 3))
    push = jax.jit(lambda x, t: jax.jvp(lambda x: max_pool2d(x, 2), (x,), (t,))[1])
    indices = fastpool.maxpool2d(x, 2, return_indices=True).indices
    cells = np.take_along_axis(tangent.reshape(2, -1), indices.reshape(2, -1), 1)
    assert_same(np.asarray(push(x, tangent)), cells.reshape(indices.shape))


def codes_and_gradient(bad):
    """A pooling of (2, 4, 6), codes of which one may be bad, and gradients."""
    jaxpr = jax.make_jaxpr(jax.grad(lambda x: max_pool2d(x, 2).sum()))(jnp.zeros((2, 4, 6)))
    (equation,) = (each for each in jaxpr.eqns if each.primitive is scatter_p)
    codes = np.zeros((2, 2, 3), np.uint8)
    codes[1, 0, 2] = bad
    codes[1, 1, 0] = bad
    return equation.params["pooling"], codes, np.ones((2, 2, 3), np.float32)


def test_bad_indices_are_errors_that_name_the_first():
    pooling, codes, gradient = codes_and_gradient(3)
    scatter = jax.jit(lambda c, g: scatter_p.bind(c, g, pooling=pooling)[0])
    expected = np.zeros((2, 4, 6), np.float32)
    expected[:, ::2, ::2] = 1
    expected[1, 0, 4] = expected[1, 2, 0] = 0
    expected[1, 1, 5] = expected[1, 3, 1] = 1
    assert_same(np.asarray(scatter(codes, gradient)), expected)
    _, codes, _ = codes_and_gradient(4)
    with pytest.raises(ERRORS, match=r"IndexError: maxpool2d_backward: indices\[1, 0, 2\] = 4"):
        scatter(codes, gradient).block_until_ready()


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("index_format", ["flat", "window"])
@pytest.mark.parametrize("rules", [(3, 2, 1), (2, 2, 0), ((3, 2), 2, (1, 0), 2)], ids=str)
def test_indices_without_python(no_python, layout, index_format, rules):
    """They come out, and gradients and values follow them."""
    x, options = values((2, 3, 9, 8)), {"layout": layout, "index_format": index_format}
    pool = lambda x: fastpool.maxpool2d(x, *rules, return_indices=True, **options)  # noqa: E731
    route = lambda g, i: fastpool.maxpool2d_backward(g, i, x.shape, *rules, **options)  # noqa: E731
    sizes = x.shape[2:] if layout == "NCHW" else x.shape[1:3]
    unpool = lambda y, i: fastpool.maxunpool2d(y, i, *rules[:3], sizes, **options)  # noqa: E731
    output, indices = pool(x)
    found = jax.jit(pool)(x)
    assert_same(np.asarray(found[0]), output)
    assert_same(np.asarray(found[1]), indices.astype(found[1].dtype))
    assert found[1].dtype == (np.int32 if index_format == "flat" else np.uint8)
    gradient = values(output.shape, style="random", seed=1)
    for function in [route, unpool][: 2 if len(rules) < 4 else 1]:
        made = jax.jit(function)(gradient, found[1])
        assert_same(np.asarray(made), function(gradient, indices))
    bad = np.asarray(found[1]).copy()
    bad[1, 0, 2, 1] = 200
    with pytest.raises(
        ERRORS, match=r"IndexError: maxpool2d_backward: indices\[1, 0, 2, 1\] = 200"
    ):
        jax.jit(route)(gradient, bad).block_until_ready()
    assert len(no_python) == 0  # it was not called to the end


@contextmanager
def changed(place, function):
    """Compiled code calls another function in the place of one of C's library."""
    from fastpool.backends.numba import services

    slots = services._slots[-1]
    kept, slots[place] = slots[place], ctypes.cast(function, ctypes.c_void_p).value
    try:
        yield
    finally:
        slots[place] = kept


def test_without_memory_python_answers(seen):
    """Which has other ways to get some, or raises MemoryError."""
    from fastpool.backends.numba.kernels import xla

    asked = []
    none = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda size: asked.append(size) or 0)
    x = values((4, 16, 62, 40))
    pool = jax.jit(lambda x: max_pool2d(x, 3, 2, 1))
    pool(x).block_until_ready()
    assert seen == []
    with changed(xla.MALLOC, none):
        assert_same(np.asarray(pool(x)), fastpool.maxpool2d(x, 3, 2, 1))
    assert seen == ["max_pool2d"]
    assert asked


def test_errors_of_python_reach_the_caller(monkeypatch):
    def fail(*_, **__):
        raise MemoryError("no room for windows")

    monkeypatch.setattr(host, "write_norms", fail)
    with pytest.raises(ERRORS, match="MemoryError: no room for windows"):
        jax.jit(lambda x: lp_pool2d(x, 2, 2))(jnp.zeros((5, 4, 4))).block_until_ready()


def test_auto_goes_over_to_the_kernel(seen, monkeypatch):
    """Once it is ready: a program that was compiled before has it too."""
    x = values((2, 5, 9, 7))
    expected = fastpool.maxpool2d(x, (2, 3))
    table.load(table.COMPILED)  # a program of few cells is not worth Numba's start
    pool = jax.jit(lambda x: max_pool2d(x, (2, 3)))
    ready = economy.ready_plan
    with fastpool.use_backend("auto"):
        monkeypatch.setattr(economy, "ready_plan", lambda *_: None)
        for _ in range(2):
            assert_same(np.asarray(pool(x)), expected)
        assert seen == ["max_pool2d"] * 2
        monkeypatch.setattr(economy, "ready_plan", ready)
        for _ in range(3):
            assert_same(np.asarray(pool(x)), expected)
    assert seen == ["max_pool2d"] * 3


def test_a_program_of_few_cells_is_not_worth_numbas_start():
    code = """
    import sys
    import jax, jax.numpy as jnp, fastpool
    from fastpool.interop.jax import max_pool2d

    pool = jax.jit(lambda x: max_pool2d(x, 2))
    print(pool(jnp.zeros((4, 4))).shape, "numba" in sys.modules)
    """
    assert process.run(code, FASTPOOL_BACKEND=None) == "(2, 2) False"


def lowered(pool=lambda x: max_pool2d(x, 2, 1, 1)):
    return jax.jit(lambda x: pool(x)).lower(jnp.zeros((2, 3, 4))).as_text()


def test_who_answers_by_the_backend():
    assert in_place.TARGET in lowered()
    with fastpool.use_backend("numpy"):
        assert in_place.TARGET not in lowered()
        assert "python_cpu_callback" in lowered()


@pytest.mark.parametrize("version", [None, (0, 99), (1, 1), (-1, -1)])
def test_an_unknown_interface_is_not_used(monkeypatch, version):
    monkeypatch.setattr(in_place, "_version", lambda: version)
    in_place._registered.cache_clear()
    try:
        assert in_place.TARGET not in lowered()
        x = values((2, 6, 7))
        assert_same(
            np.asarray(jax.jit(lambda x: max_pool2d(x, 3, 1, 1))(x)), fastpool.maxpool2d(x, 3, 1, 1)
        )
    finally:
        in_place._registered.cache_clear()


def test_the_version_is_that_of_the_header(monkeypatch, tmp_path):
    assert in_place._version() in in_place._VERSIONS
    monkeypatch.setattr(in_place.ffi, "include_dir", lambda: str(tmp_path))
    assert in_place._version() is None
    folder = tmp_path / "xla" / "ffi" / "api"
    folder.mkdir(parents=True)
    (folder / "c_api.h").write_text("#define XLA_FFI_API_MAJOR 2\n")
    assert in_place._version() == (2, -1)


def test_many_services(no_python):
    """All of them are found, when the table that they lie in has become a larger one."""
    backend = table.load(table.COMPILED)
    x = values((2, 3, 12, 11))
    pool = jax.jit(lambda x: max_pool2d(x, 2, 2))
    expected = fastpool.maxpool2d(x, 2, 2)
    assert_same(np.asarray(pool(x)), expected)
    for key in range(-700, 700):
        backend.serve(key << 20, Service((1,), (1,), (4,), ()))
    assert_same(np.asarray(pool(x)), expected)
    other = jax.jit(lambda x: max_pool2d(x, 3, 2))
    assert_same(np.asarray(other(x)), fastpool.maxpool2d(x, 3, 2))
    assert no_python == []


def test_huge_pages(no_python):
    """The system is asked for them for large arrays that are filled, and for no other memory."""
    from fastpool.backends.numba.kernels import xla

    asked = []
    advice = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)
    advise = advice(lambda *arguments: asked.append(arguments) or 0)
    small, large = values((1, 2, 1024, 1024)), values((1, 4, 2048, 1024))
    pool = jax.jit(lambda x: max_pool2d(x, 2, 2))
    spread = jax.jit(lambda x: jax.vjp(lambda x: avg_pool2d(x, 3, 2, 1), x)[1](x[..., ::2, ::2])[0])
    jax.block_until_ready((pool(small), pool(large), spread(large)))
    with changed(xla.ADVISE, advise):
        jax.block_until_ready(pool(small))
        assert asked == []
        arrays = [jax.block_until_ready(each(large)) for each in (pool, spread)]
    for array, (first, size, what) in zip(arrays, asked, strict=True):
        begin = array.unsafe_buffer_pointer()
        assert begin <= first < first + size <= begin + array.nbytes
        assert first % PAGE == size % PAGE == 0
        assert size > array.nbytes - 2 * PAGE
        assert what == ADVICE
    assert no_python == []


def test_the_process_ends_while_xla_works():
    """Kernels on several threads, and indices that Python makes: nobody waits for ever."""
    code = """
    import numpy as np
    import jax, fastpool

    fastpool.set_default_backend("numba")
    x = np.random.default_rng(0).standard_normal((8, 16, 256, 256), np.float32)
    pool = jax.jit(lambda x: fastpool.maxpool2d(x, 2, return_indices=True))
    route = jax.jit(lambda x, i: fastpool.maxpool2d_backward(x[..., ::2, ::2], i, x.shape, 2))
    jax.block_until_ready(route(x, pool(x)[1]))
    for _ in range(8):
        route(x, pool(x)[1])
    print("the end")
    """
    assert process.run(code, NPROC="3", timeout=120) == "the end"


def test_the_gate():
    """Who comes is counted and leaves again; who comes when it is closed is told so."""
    from fastpool.backends.numba import services
    from fastpool.backends.numba.kernels import xla

    x = values((4, 16, 62, 40))
    pool = jax.jit(lambda x: fastpool.maxpool2d(x, 3, 2, 1, return_indices=True))
    expected = [np.asarray(each) for each in pool(x)]
    services._close()
    try:
        assert services._gate[xla.INSIDE] == 0
        with pytest.raises(ERRORS, match="fastpool: Python is about to end"):
            jax.block_until_ready(pool(x))
    finally:
        services._gate[xla.CLOSED] = 0
    for found, each in zip(pool(x), expected, strict=True):
        assert_same(np.asarray(found), each)


def test_many_launches_at_once():
    """More threads call than XLA has, each with work for several."""
    code = """
    import threading
    import numpy as np
    import jax, jax.numpy as jnp, fastpool
    from fastpool.interop.jax import max_pool2d

    fastpool.set_default_backend("numba")
    x = np.random.default_rng(0).standard_normal((8, 16, 64, 64), np.float32)
    output, indices = fastpool.maxpool2d(x, 3, 2, 1, return_indices=True)
    expected = fastpool.maxpool2d_backward(output, indices, x.shape, 3, 2, 1)
    gradient = jax.jit(jax.grad(lambda x: (max_pool2d(x, 3, 2, 1) ** 2).sum() / 2))
    wrong = []

    def work():
        for _ in range(20):
            if np.asarray(gradient(x)).tobytes() != expected.tobytes():
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(len(wrong))
    """
    assert process.run(code, NPROC="3") == "0"


CACHED = """
import sys
import numpy as np
import jax, jax.numpy as jnp, fastpool
from fastpool.interop.jax import max_pool2d

fastpool.set_default_backend("numba")
jax.config.update("jax_compilation_cache_dir", {folder!r})
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
x = np.random.default_rng(0).standard_normal((2, 3, 12, 10), np.float32)
windows = [(3, 2, 1), (2, 2), (2, 1), (5, 1, 2)]
found = []
for each in windows[::{step}]:
    found.append(np.asarray(jax.jit(lambda x: max_pool2d(x, *each))(x)))
    assert found[-1].tobytes() == fastpool.maxpool2d(x, *each).tobytes()
print(len(found))
"""


def test_programs_that_xla_keeps_on_disk(tmp_path):
    """Another process has its kernels elsewhere; it compiles nothing anew, and is right."""
    folder = str(tmp_path / "programs")
    assert process.run(CACHED.format(folder=folder, step=1)) == "4"
    kept = {path.name for path in (tmp_path / "programs").glob("*-cache")}
    assert len(kept) >= 4
    assert process.run(CACHED.format(folder=folder, step=-1)) == "4"
    assert {path.name for path in (tmp_path / "programs").glob("*-cache")} == kept


def test_a_program_from_another_process(tmp_path):
    """Handed over without its operation: an error, where an address would end the process."""
    code = """
    import pickle, sys
    import jax, jax.numpy as jnp, fastpool
    from jax.experimental import serialize_executable as programs
    from fastpool.interop.jax import max_pool2d, min_pool2d

    fastpool.set_default_backend("numba")
    x = jnp.zeros((4, 4))
    if {save}:
        compiled = jax.jit(lambda x: max_pool2d(x, 2)).lower(x).compile()
        pickle.dump(programs.serialize(compiled), open({path!r}, "wb"))
        print("saved")
    else:
        min_pool2d(x, 2)
        compiled = programs.deserialize_and_load(*pickle.load(open({path!r}, "rb")))
        try:
            print(compiled(x).block_until_ready())
        except (RuntimeError, ValueError) as error:
            print(str(error).rpartition("RuntimeError: ")[2])
    """
    path = str(tmp_path / "program")
    assert process.run(code.format(save=True, path=path)) == "saved"
    expected = "fastpool knows this operation in the process alone that compiled it"
    assert process.run(code.format(save=False, path=path)) == expected
