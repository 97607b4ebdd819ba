"""Every pooling of JAX arrays, for 1, 2 and 3 axes: fastpool's bits, and JAX's transformations."""

import inspect
import itertools
import math
import pickle
from functools import partial

import numpy as np
import pytest
import strategies
from bits import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

import fastpool
from fastpool.cli import check
from fastpool.rules.members import FUNCTIONS

jax = pytest.importorskip("jax")
jnp = jax.numpy

from fastpool.interop import jax as adapter  # noqa: E402  (it needs JAX)

LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}
SIZES = {1: (23,), 2: (9, 8), 3: (4, 5, 6)}
# Windows that overlap and reach into the padding; and that tile.
OVERLAPPING = {"kernel_size": 3, "stride": 2, "padding": 1}
TILING = {"kernel_size": 2}
NORMS = (1, 2, 3, 6, math.inf)
# What differs between the arguments of members.
MORE = {
    "lp": [{"norm_type": p, **each} for p in NORMS for each in (OVERLAPPING, TILING)],
    "adaptive": [{"output_size": size} for size in (1, 3, 4, 11, None)],
}
KINDS = ("max", "min", "avg", "sum", "lp", "adaptive_max", "adaptive_avg")


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


def shape_of(layout, lead=(2,)):
    sizes = SIZES[len(layout) - 2]
    return (*lead, *sizes, 3) if layout.endswith("C") else (*lead, 3, *sizes)


def same(found, expected):
    assert isinstance(found, jax.Array)
    with np.errstate(invalid="ignore"):  # a signalling NaN of 16 bits is invalid to compare
        assert_same(np.asarray(found), expected, any_nan=True)


def functions(kind, n):
    """The function for JAX and that for arrays."""
    return getattr(adapter, f"{kind}_pool{n}d"), getattr(fastpool, f"{kind}pool{n}d")


def options_of(kind):
    return MORE.get(kind.partition("_")[0], [OVERLAPPING, TILING])


def gradient_of(kind, x, weights, options):
    """What fastpool makes of arrays: the gradient of a weighted sum of the output."""
    n = len(options["layout"]) - 2
    _, pool = functions(kind, n)
    before = {name: each for name, each in options.items() if name != "norm_type"}
    if kind == "sum":
        return fastpool_backward("avg", n)(weights, x.shape, **options, divisor_override=1)
    backward = fastpool_backward(kind, n)
    if kind == "lp":
        return backward(weights, x, options["norm_type"], **before)
    if kind.endswith("avg"):
        return backward(weights, x.shape, **options)
    indices = pool(x, **options, return_indices=True).indices
    return backward(weights, indices, x.shape, **options)


def fastpool_backward(kind, n):
    return getattr(fastpool, f"{kind}pool{n}d_backward")


def check_member(kind, layout, options, dtype="float32", style="random", jit=jax.jit):
    """Values and gradients."""
    own, of_arrays = functions(kind, len(layout) - 2)
    options = {**options, "layout": layout}
    x, pool = values(shape_of(layout), dtype, style), partial(own, **options)
    right = of_arrays(x, **options)
    same(jit(pool)(x), right)
    weights = values(right.shape, dtype, seed=1)
    pull = jit(lambda x, w: jax.vjp(pool, x)[1](w)[0])
    same(pull(x, weights), gradient_of(kind, x, weights, options))


@pytest.mark.parametrize("n", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients(kind, n):
    for number, options in enumerate(options_of(kind)):
        check_member(kind, LAYOUTS[n][number % 2], options, style="ties")


@pytest.mark.numba
@pytest.mark.parametrize("kind", ["max", "avg", "lp", "adaptive_max", "adaptive_avg"])
def test_the_other_backend(kind):
    with fastpool.use_backend("numba"):
        check_member(kind, "NCHW", options_of(kind)[1], jit=lambda f: f)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_other_floats(kind, dtype):
    if dtype in strategies.DTYPES:
        with jax.enable_x64(dtype == "float64"):
            for style, options in zip(("zeros", "nans", "bits"), options_of(kind), strict=False):
                check_member(kind, "NHWC", options, dtype, style)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint32", "bool", "int64", "uint64"])
def test_integers(dtype):
    """Sums are JAX's own integers, averages and norms its floats; labels are counted."""
    wide = "64" in dtype
    x = values((2, 3, 9, 8), dtype, "bits")
    float_, whole = ("float64", "int64") if wide else ("float32", "int32")
    whole = f"u{whole}" if dtype.startswith("u") else whole
    with jax.enable_x64(wide):
        for kind, result in (
            ("max", None), ("mode", None), ("adaptive_max", None), ("adaptive_avg", float_),
            ("avg", float_), ("sum", whole),
        ):  # fmt: skip
            pool, of_arrays = functions(kind, 2)
            options = {} if result is None else {"dtype": result}
            same(pool(x, 3), of_arrays(x, 3, **options))
        same(adapter.lp_pool2d(x, 3, 2), fastpool.lppool2d(x, 3, 2).astype(float_))
        assert jnp.sum(jnp.asarray(x)).dtype == whole


@settings(max_examples=40)
@given(st.data(), st.sampled_from(("adaptive_max", "adaptive_avg")))
def test_any_adaptive_pooling(data, kind):
    """Also of windows of more than 256 cells, whose codes have two bytes."""
    sizes = data.draw(st.tuples(st.integers(1, 24), st.integers(1, 40)))
    output_size = data.draw(st.tuples(*[st.one_of(st.none(), st.integers(0, 9))] * 2))
    layout = data.draw(st.sampled_from(LAYOUTS[2]))
    shape = (*sizes, 2) if layout.endswith("C") else (2, *sizes)
    x = values(shape, style=data.draw(st.sampled_from(check.STYLES)))
    pool, of_arrays = functions(kind, 2)
    options = {"output_size": output_size, "layout": layout}
    right = of_arrays(x, **options)
    found, pull = jax.vjp(partial(pool, **options), x)
    same(found, right)
    weights = values(right.shape, seed=1)
    same(pull(weights)[0], gradient_of(kind, x, weights, options))


@pytest.mark.parametrize("mode", ["fwd", "rev"])
@pytest.mark.parametrize("kind", KINDS)
def test_check_grads(x64, kind, mode):
    """By JAX's own test; magnitudes are distinct. In 2-D it is done for more windows."""
    from jax.test_util import check_grads

    rng = np.random.default_rng(0)
    for layout, order in (("NWC", 3), ("NCDHW", 1)):
        shape = (2, 7, 2) if layout == "NWC" else (1, 1, 3, 4, 3)
        signs = rng.choice((-1, 1), math.prod(shape))
        x = (rng.permutation(np.linspace(0.5, 3, len(signs))) * signs).reshape(shape)
        given = ({"norm_type": p, **OVERLAPPING} for p in (1, 3, math.inf))
        for options in given if kind == "lp" else options_of(kind)[2:3] or [OVERLAPPING]:
            pool = partial(functions(kind, len(layout) - 2)[0], layout=layout, **options)
            check_grads(
                lambda x, pool=pool: pool(x) ** 2, (x,), order=order, modes=[mode], eps=1e-4,
                atol=1e-4, rtol=1e-4,
            )  # fmt: skip


@pytest.mark.parametrize("p", [2, 5])
def test_hessians_of_norms(x64, p):
    """Forward over reverse, reverse over forward, and either over itself: as of a formula."""
    x = values((6, 5), "float64") / 4

    def formula(x):
        patches = [x[i : i + 2, j : j + 3] for i in range(5) for j in range(3)]
        return jnp.stack([(jnp.abs(each) ** p).sum() ** (1 / p) for each in patches])

    weights = values((15,), "float64", seed=1)
    right = jax.hessian(lambda x: formula(x) @ weights)(x)
    loss = lambda x: adapter.lp_pool2d(x, p, (2, 3), 1).ravel() @ weights  # noqa: E731
    for outer, inner in itertools.product((jax.jacfwd, jax.jacrev), repeat=2):
        found = jax.jit(outer(inner(loss)))(x)
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-9)


def test_subnormal_numbers(backend):
    """XLA's threads take them for zeros; the calls do not, and leave the threads as they are."""
    x = np.zeros((4, 6), np.float32)
    x[:, 1::2] = np.arange(1, 13).reshape(4, 3) * np.float32(1e-41)
    with fastpool.use_backend(backend):
        for kind in KINDS:
            pool, of_arrays = functions(kind, 2)
            options = {**options_of(kind)[1], "layout": "NCHW"}
            right = of_arrays(x, **options)
            same(jax.jit(partial(pool, **options))(x), right)
            weights = np.full(right.shape, 1e-40, np.float32)
            gradient = jax.vjp(partial(pool, **options), x)[1](weights)[0]
            same(gradient, gradient_of(kind, x, weights, options))
        assert np.asarray(fastpool.avgpool2d(x, 1) + x).any()


def test_norms_of_zeros():
    """They have no slope, of whatever order."""
    x = np.zeros((2, 4, 4), np.float32)
    for p in NORMS:
        pool = partial(adapter.lp_pool2d, norm_type=p, kernel_size=2)
        same(jax.grad(lambda x, pool=pool: pool(x).sum())(x), np.zeros_like(x))
        same(jax.jvp(pool, (x,), (x + 1,))[1], np.zeros((2, 2, 2), np.float32))
        second = jax.jvp(jax.grad(lambda x, pool=pool: pool(x).sum()), (x,), (x + 1,))[1]
        same(second, np.zeros_like(x))


def test_tangents_of_norms_are_finite_where_powers_are_not():
    """Float32 would overflow."""
    x = np.full((1, 4), 1e20, np.float32)
    tangent = jax.jvp(lambda x: adapter.lp_pool1d(x, 4, 4), (x,), (np.ones_like(x),))[1]
    np.testing.assert_allclose(tangent, [[4**0.25]], rtol=1e-6)


class TestVmap:
    @pytest.mark.parametrize("kind", KINDS)
    def test_axes_and_gradients(self, kind):
        options = options_of(kind)[1]
        pool, of_arrays = functions(kind, 2)
        pool = partial(pool, **options)
        x = values((4, 5, 6, 7))
        for axis in (0, 1, 3, -1):
            moved = np.moveaxis(x, axis, 0)
            found = jax.vmap(pool, in_axes=axis)(x)
            same(found, of_arrays(np.ascontiguousarray(moved), **options))
        weights = values(of_arrays(x, **options).shape, seed=1)
        gradient = jax.jit(jax.vmap(jax.vmap(jax.grad(lambda x, w: (pool(x) * w).sum()))))
        expected = gradient_of(kind, x, weights, {**options, "layout": "NCHW"})
        same(gradient(x, weights), expected)

    @pytest.mark.parametrize("kind", ["adaptive_max", "lp"])
    def test_one_operand_alone(self, kind):
        """A Jacobian maps over gradients alone; and tangents may be the same for all images."""
        options = {**options_of(kind)[3], "layout": "NCHW"}
        pool = partial(functions(kind, 2)[0], **options)
        x = values((3, 5, 4))
        right = functions(kind, 2)[1](x, **options)
        basis = np.eye(right.size, dtype=np.float32).reshape(-1, *right.shape)
        every = np.ascontiguousarray(np.broadcast_to(x, (len(basis), *x.shape)))
        expected = gradient_of(kind, every, basis, options)
        same(jax.jacrev(pool)(x), expected.reshape(*right.shape, *x.shape))
        push = jax.vmap(lambda x, t: jax.jvp(pool, (x,), (t,))[1], (0, None))
        images = values((4, 3, 5, 4), seed=2)
        found = push(images, x)
        for image, each in zip(images, found, strict=True):
            same(each, np.asarray(jax.jvp(pool, (image,), (x,))[1]))
        weights = values(found.shape, seed=3)
        total = jax.grad(lambda t: (push(images, t) * weights).sum())(x)
        parts = gradient_of(kind, images, weights, options)
        np.testing.assert_allclose(total, parts.sum(0), rtol=1e-5, atol=1e-5)


def test_codes_of_adaptive_windows_are_small():
    x = jnp.zeros((2, 14, 13))
    pool = partial(adapter.adaptive_max_pool2d, output_size=(5, 4))
    assert "u8[" not in str(jax.make_jaxpr(pool)(x))
    text = str(jax.make_jaxpr(jax.grad(lambda x: pool(x).sum()))(x))
    assert "u8[2,5,4]" in text
    assert "i64[" not in text
    wide = partial(adapter.adaptive_max_pool1d, output_size=3)
    assert "u16[" in str(jax.make_jaxpr(jax.grad(lambda x: wide(x).sum()))(jnp.zeros(1000)))


@pytest.mark.parametrize(
    ("name", "arguments", "error", "text"),
    [
        ("max_pool1d", (5,), ValueError, r"max_pool1d: kernel_size \(5,\) does not fit"),
        ("min_pool3d", (2.0,), TypeError, "min_pool3d: kernel_size must be an integer"),
        ("sum_pool2d", (9,), ValueError, "sum_pool2d: kernel_size"),
        ("mode_pool2d", (2,), TypeError, "mode_pool2d: x has dtype float32; labels are"),
        ("lp_pool2d", (0, 2), ValueError, "lp_pool2d: norm_type must be at least 1"),
        ("lp_pool2d", (1.5, 2), ValueError, "lp_pool2d: norm_type must be a positive integer"),
        ("lp_pool2d", (2, 9), ValueError, "lp_pool2d: kernel_size"),
        ("adaptive_max_pool2d", (-1,), ValueError, "adaptive_max_pool2d: output_size must be"),
        ("adaptive_max_pool2d", ((1, 2, 3),), ValueError, "output_size must be an integer or"),
        ("adaptive_avg_pool1d", (2.0,), TypeError, "adaptive_avg_pool1d: output_size must be"),
        ("adaptive_avg_pool2d", ("2",), TypeError, "adaptive_avg_pool2d: output_size must be"),
    ],
)
def test_errors_come_when_a_function_is_traced(name, arguments, error, text):
    pool = getattr(adapter, name)
    with pytest.raises(error, match=text):
        jax.eval_shape(lambda x: pool(x, *arguments), jnp.zeros((3, 4, 4)))


@pytest.mark.parametrize("name", adapter.__all__)
def test_signature_pickle_and_arrays(name):
    function, of_arrays = getattr(adapter, name), name.replace("_pool", "pool")
    arguments = (1,) if "adaptive" in name else (1, 1)
    expected = list(inspect.signature(getattr(fastpool, of_arrays)).parameters)
    left_out = ("dtype", "out", "backend", "return_indices", "index_format")
    assert list(inspect.signature(function).parameters) == [
        each for each in expected if each not in left_out
    ]
    assert pickle.loads(pickle.dumps(function)) is function
    assert function.__module__ == "fastpool.interop.jax"
    assert f"`fastpool.{of_arrays}`" in function.__doc__
    with pytest.raises(TypeError, match=f"^{name}: x is a masked array"):
        function(np.ma.zeros((4, 4, 4, 4)), *arguments)
    with pytest.raises(TypeError, match=f"^{name}: x has dtype complex64"):
        function(jnp.zeros((4, 4, 4, 4), complex), *arguments)


def test_every_member_is_there():
    pools = {name for name, each in FUNCTIONS.items() if each.part == "forward"}
    assert {name.replace("_pool", "pool") for name in adapter.__all__} == pools


@pytest.mark.parametrize("kind", ["sum", "lp", "adaptive_max"])
@pytest.mark.parametrize(("shape", "layout"), strategies.EMPTY)
def test_empty_axes(kind, shape, layout):
    options = {**options_of(kind)[1], "layout": layout}
    own, of_arrays = functions(kind, 2)
    pool, x = partial(own, **options), jnp.zeros(shape)
    expected = of_arrays(np.zeros(shape, np.float32), **options)
    same(jax.jit(pool)(x), expected)
    assert jax.jvp(pool, (x,), (x,))[1].shape == expected.shape
    assert jax.vmap(jax.grad(lambda x: pool(x).sum()))(x[None]).shape == (1, *shape)
