"""Averages of JAX arrays: fastpool's bits, and derivatives through JAX's transformations."""

import inspect
import itertools
import pickle
from functools import partial

import numpy as np
import process
import pytest
import strategies
from bits import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

import fastpool
from fastpool.cli import check

jax = pytest.importorskip("jax")
jnp, lax = jax.numpy, jax.lax

from fastpool.interop.jax import avg_pool2d, host  # noqa: E402  (it needs JAX)

# Windows that tile; with borders, which count in all ways; dilated; and a tree.
WINDOWS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0), "count_include_pad": False},
    {"kernel_size": 3, "stride": 1, "padding": ((0, 1), (2, 1)), "divisor_override": -5},
    {"kernel_size": 2, "stride": 1, "dilation": (2, 3)},
    {"kernel_size": (8, 9), "stride": 1, "padding": (4, 5), "count_include_pad": False},
]
JITS = pytest.mark.parametrize("jit", [lambda f: f, jax.jit], ids=["eager", "jit"])


@pytest.fixture(autouse=True)
def on_numpy():
    """Where a test names no other: the choice is made when a function is traced."""
    with fastpool.use_backend("numpy"):
        yield


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def values(shape, dtype="float32", style="random", seed=0):
    return check.adversarial(np.random.default_rng(seed), shape, check.dtype_of(dtype), style)


def same(found, expected):
    assert isinstance(found, jax.Array)
    assert_same(np.asarray(found), expected, any_nan=True)


def weighted(weights, **options):
    """A weighted sum of the averages, as a function of the input."""
    return lambda x: (avg_pool2d(x, **options) * weights).sum()


@JITS
@pytest.mark.parametrize(
    "dtype", ["float32", "float16", "bfloat16", "int8", "uint32", "bool", "float64", "int64"]
)
def test_values_and_gradients(dtype, jit, backend):
    """In both layouts; integers and bools become floats of the size that is JAX's default."""
    shape, wide = (2, 3, 9, 8), "64" in dtype
    with jax.enable_x64(wide), fastpool.use_backend(backend):
        for number, (window, layout) in enumerate(itertools.product(WINDOWS, ("NCHW", "NHWC"))):
            options = {**window, "layout": layout}
            if backend == "numba" and number % 5:
                continue
            x = values(shape, dtype, check.STYLES[number % len(check.STYLES)])
            whole = "float" not in dtype
            result = ("float64" if wide else "float32") if whole else None
            right = fastpool.avgpool2d(x, **options, dtype=result)
            same(jit(partial(avg_pool2d, **options))(x), right)
            if whole:
                continue
            weights, tangent = values(right.shape, dtype, seed=1), values(shape, dtype, seed=2)
            pull = jit(lambda x, w, o=options: jax.vjp(partial(avg_pool2d, **o), x)[1](w)[0])
            same(pull(x, weights), fastpool.avgpool2d_backward(weights, shape, **options))
            push = jit(lambda x, t, o=options: jax.jvp(partial(avg_pool2d, **o), (x,), (t,)))
            for found, expected in zip(
                push(x, tangent), (right, fastpool.avgpool2d(tangent, **options)), strict=True
            ):
                same(found, expected)


@settings(max_examples=30)
@given(strategies.geometries(), st.booleans())
def test_any_geometry(case, padded):
    shape, arguments = case
    del arguments["index_format"]
    x, arguments["count_include_pad"] = values(shape), padded
    try:
        expected = fastpool.avgpool2d(x, **arguments)
    except ValueError as error:
        with pytest.raises(ValueError, match="avg_pool2d") as caught:
            avg_pool2d(x, **arguments)
        assert str(caught.value) == str(error).replace("avgpool2d", "avg_pool2d")
        return
    same(avg_pool2d(x, **arguments), expected)
    weights = values(expected.shape, seed=1)
    right = fastpool.avgpool2d_backward(weights, shape, **arguments)
    same(jax.grad(weighted(weights, **arguments))(x), right)


@pytest.mark.parametrize("mode", ["fwd", "rev"])
def test_check_grads(x64, mode):
    """Of third order, by JAX's own test."""
    from jax.test_util import check_grads

    cells = np.tanh(values((2, 6, 5, 3), "float64"))
    for window, layout in itertools.product(WINDOWS[:5], ("NCHW", "NHWC")):
        x = cells if layout == "NHWC" else np.moveaxis(cells, -1, 1)
        pool = partial(avg_pool2d, layout=layout, **window)
        check_grads(lambda x, pool=pool: pool(x) ** 3, (x,), order=3, modes=[mode])


def test_hessians(x64):
    """Forward over reverse, reverse over forward, and either over itself."""
    x, window = values((2, 5, 4), "float64"), WINDOWS[2]
    matrix = np.asarray(jax.jacfwd(partial(avg_pool2d, **window))(x)).reshape(-1, x.size)
    output = fastpool.avgpool2d(x, **window)
    expected = (matrix.T * 6 * output.ravel()) @ matrix
    loss = lambda x: (avg_pool2d(x, **window) ** 3).sum()  # noqa: E731
    for outer, inner in itertools.product((jax.jacfwd, jax.jacrev), repeat=2):
        for jit in (lambda f: f, jax.jit):
            found = np.asarray(jit(outer(inner(loss)))(x)).reshape(x.size, x.size)
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_linearized_transposed_and_not_wanted():
    x = values((3, 9, 8))
    for window in WINDOWS:
        output, push = jax.linearize(partial(avg_pool2d, **window), x)
        weights = values(output.shape, seed=1)
        (found,) = jax.linear_transpose(partial(avg_pool2d, **window), x)(weights)
        same(found, fastpool.avgpool2d_backward(weights, x.shape, **window))
        same(push(x), fastpool.avgpool2d(x, **window))
        back = jax.linear_transpose(push, x)
        (again,) = jax.linear_transpose(lambda w, back=back: back(w)[0], weights)(x)
        same(again, fastpool.avgpool2d(x, **window))
    text = str(jax.make_jaxpr(jax.grad(lambda x: lax.stop_gradient(avg_pool2d(x, 2)).sum()))(x))
    assert "spread" not in text
    counts = np.arange(32).reshape(2, 4, 4)
    gradient = jax.grad(lambda x: (avg_pool2d(x, 2) * avg_pool2d(counts, 2)).sum())
    weights = fastpool.avgpool2d(counts, 2, dtype="float32")
    same(
        gradient(np.ones((2, 4, 4), np.float32)),
        fastpool.avgpool2d_backward(weights, (2, 4, 4), 2),
    )


class TestVmap:
    @pytest.mark.parametrize("axis", [0, 1, 2, 3, -1])
    def test_any_axis(self, axis):
        x = values((4, 5, 6, 7))
        result = jax.vmap(lambda x: avg_pool2d(x, 2), in_axes=axis)(x)
        same(result, fastpool.avgpool2d(np.moveaxis(x, axis, 0), 2))

    def test_nested_and_jitted_gradient(self):
        x, weights = values((2, 3, 4, 8, 6)), values((2, 3, 4, 4, 3), seed=1)
        gradient = jax.grad(lambda x, w: (avg_pool2d(x, 2) * w).sum())
        result = jax.jit(jax.vmap(jax.vmap(gradient)))(x, weights)
        same(result, fastpool.avgpool2d_backward(weights, x.shape, 2))

    def test_jacobian(self):
        x = values((3, 5, 4))
        jacobian = jax.jacrev(lambda x: avg_pool2d(x, 2, 1))(x)
        basis = np.eye(36, dtype=np.float32).reshape(-1, 3, 4, 3)
        right = fastpool.avgpool2d_backward(basis, (36, *x.shape), 2, 1)
        same(jacobian, right.reshape(3, 4, 3, *x.shape))

    def test_one_call(self, monkeypatch):
        calls = []

        def record(own, call, inputs, *rest):
            calls.append(inputs[0].shape)
            return own(call, inputs, *rest)

        monkeypatch.setattr(host, "execute_call", partial(record, host.execute_call))
        jax.jit(jax.vmap(jax.grad(lambda x: avg_pool2d(x, 2).sum())))(values((7, 6, 4)))
        # A sum's gradient does not depend on the averages: they are not computed.
        assert calls in ([(7, 6, 4), (7, 3, 2)], [(7, 3, 2)], [(1, 3, 2)], [(3, 2)])


def test_control_flow_checkpoints_and_shapes():
    x = values((4, 3, 8, 8))
    step = lambda total, x: (total + avg_pool2d(x, 2).sum(), avg_pool2d(x, 2))  # noqa: E731
    same(lax.scan(step, 0.0, x)[1], fastpool.avgpool2d(x, 2))
    loss = lambda x: (avg_pool2d(3 * x, 3, 1, 1) ** 2).sum()  # noqa: E731
    assert_same(*(np.asarray(jax.grad(f)(x)) for f in (loss, jax.checkpoint(loss))))
    with jax.disable_jit():
        same(jax.jit(lambda x: avg_pool2d(x, 2))(x), fastpool.avgpool2d(x, 2))
    for dtype, result in (("bfloat16", "bfloat16"), ("int8", "float32"), ("bool", "float32")):
        spec = jax.ShapeDtypeStruct((2, 3, 9, 9), dtype)
        found = jax.eval_shape(lambda x: avg_pool2d(x, 3, 2, "same"), spec)
        assert (found.shape, str(found.dtype)) == ((2, 3, 5, 5), result)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"kernel_size": 5}, ValueError, r"avg_pool2d: kernel_size \(5, 5\) does not fit"),
        ({"kernel_size": 2.0}, TypeError, "avg_pool2d: kernel_size must be an integer"),
        ({"divisor_override": 0}, ValueError, "avg_pool2d: divisor_override must be an integer"),
        ({"count_include_pad": 1}, TypeError, "avg_pool2d: count_include_pad must be a bool"),
        ({"layout": "CHWN"}, ValueError, "avg_pool2d: layout must be one of"),
    ],
)
def test_errors_come_when_a_function_is_traced(options, error, text):
    options = {"kernel_size": 2, **options}
    with pytest.raises(error, match=text):
        jax.eval_shape(lambda x: avg_pool2d(x, **options), jnp.zeros((3, 4, 4)))


def test_more_errors():
    with pytest.raises(TypeError, match="avg_pool2d: x has dtype complex64"):
        avg_pool2d(jnp.zeros((4, 4), complex), 2)
    with pytest.raises(TypeError, match="avg_pool2d: x is a masked array"):
        avg_pool2d(np.ma.zeros((4, 4)), 2)
    with pytest.raises(TypeError, match="divisor_override must be an integer, got DynamicJaxpr"):
        jax.jit(lambda d: avg_pool2d(jnp.zeros((4, 4)), 2, divisor_override=d))(2)


def test_signature_backend_and_pickle(backend):
    expected = list(inspect.signature(fastpool.avgpool2d).parameters)
    found = list(inspect.signature(avg_pool2d).parameters)
    assert found == [name for name in expected if name not in ("dtype", "out", "backend")]
    with fastpool.use_backend(backend):
        text = str(jax.make_jaxpr(lambda x: avg_pool2d(x, 2))(jnp.zeros((4, 4))))
    assert f"backend='{backend}'" in text
    assert pickle.loads(pickle.dumps(avg_pool2d)) is avg_pool2d
    assert avg_pool2d.__module__ == "fastpool.interop.jax"
    assert "fastpool.avgpool2d" in avg_pool2d.__doc__


@pytest.mark.parametrize(("shape", "layout"), strategies.EMPTY)
def test_empty_axes(shape, layout):
    pool = partial(avg_pool2d, kernel_size=2, layout=layout)
    x = jnp.zeros(shape)
    expected = fastpool.avgpool2d(np.zeros(shape, np.float32), 2, layout=layout)
    for function in (pool, jax.jit(pool)):
        same(function(x), expected)
    assert jax.jvp(pool, (x,), (x,))[1].shape == expected.shape
    assert jax.vmap(jax.grad(lambda x: pool(x).sum()))(x[None]).shape == (1, *shape)


def test_64_bits_in_threads_of_xla():
    """Where `jax.enable_x64` of the caller's thread is not known."""
    code = """
    import numpy as np
    import jax, jax.numpy as jnp, fastpool
    from fastpool.interop.jax import avg_pool2d

    x = np.random.default_rng(0).standard_normal((16, 32, 64, 64))
    expected = fastpool.avgpool2d(x, 3, 2, 1)
    with jax.enable_x64(True):
        pool = jax.jit(lambda x: avg_pool2d(x, 3, 2, 1))
        results = [pool(jnp.asarray(x) * 2**n) for n in range(20)]
        print(all((np.asarray(y) == expected * 2**n).all() for n, y in enumerate(results)))
    """
    assert process.run(code) == "True"


def test_several_devices():
    """Under shard_map, each device pools its part."""
    code = """
    import numpy as np
    import jax, jax.numpy as jnp, fastpool
    from jax.sharding import NamedSharding, PartitionSpec as P
    from fastpool.interop.jax import avg_pool2d

    fastpool.set_default_backend("numpy")
    mesh = jax.make_mesh((4,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    x = np.random.default_rng(0).standard_normal((8, 3, 9, 8)).astype(np.float32)
    output = fastpool.avgpool2d(x, 3, 2, 1)
    gradient = fastpool.avgpool2d_backward(output, x.shape, 3, 2, 1)
    x, weights = (jax.device_put(a, NamedSharding(mesh, P("d"))) for a in (x, output))
    pool = lambda x: avg_pool2d(x, 3, 2, 1)
    part = lambda x, w: jax.lax.psum((pool(x) * w).sum(), "d")
    whole = jax.shard_map(part, mesh=mesh, in_specs=(P("d"), P("d")), out_specs=P())
    for result, expected in (
        (jax.shard_map(pool, mesh=mesh, in_specs=P("d"), out_specs=P("d"))(x), output),
        (jax.jit(jax.grad(whole))(x, weights), gradient),
    ):
        assert np.asarray(result).tobytes() == expected.tobytes()
    print("done")
    """
    flags = "--xla_force_host_platform_device_count=4"
    assert process.run(code, XLA_FLAGS=flags) == "done"
