"""JAX arrays: fastpool's bits, and derivatives through JAX's transformations."""

import doctest
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
from fastpool.rules import geometry
from fastpool.rules.arguments import windows as windows_of
from fastpool.rules.indices import gather

jax = pytest.importorskip("jax")
jnp, lax = jax.numpy, jax.lax

from fastpool.interop import jax as adapter  # noqa: E402  (it needs JAX)
from fastpool.interop.jax import host, max_pool2d, min_pool2d  # noqa: E402

WINDOWS = [
    (2,),
    (3, 2, 1),
    ((3, 2), (1, 2), (1, 0)),
    (3, 1, ((0, 1), (2, 1)), 1),
    (2, 2, 0, 1, True),
]
DTYPES = ["float32", "float16", "bfloat16", "int8", "uint32", "bool", "float64", "int64"]


@pytest.fixture(autouse=True)
def on_each(backend):
    """Both backends: the choice is made when a function is traced."""
    with fastpool.use_backend(backend):
        yield


# Where it does not matter, or is chosen in another process.
on_one = pytest.mark.parametrize("backend", ["auto"])


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def values(shape, dtype="float32", style="ties", seed=0):
    return check.adversarial(np.random.default_rng(seed), shape, check.dtype_of(dtype), style)


def own_gradient(x, weights, *arguments, layout="NCHW"):
    """What fastpool makes of arrays: the gradient of a weighted sum of the output."""
    indices = fastpool.maxpool2d(x, *arguments, return_indices=True, layout=layout).indices
    return fastpool.maxpool2d_backward(weights, indices, x.shape, *arguments, layout=layout)


def weighted(weights, *arguments, **options):
    """That sum, as a function of the input."""
    return lambda x: (max_pool2d(x, *arguments, **options) * weights).sum()


@pytest.mark.parametrize("jit", [lambda f: f, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_forward(dtype, layout, jit):
    with jax.enable_x64("64" in dtype):
        for arguments in WINDOWS:
            pool = jit(lambda x, a=arguments: max_pool2d(x, *a, layout=layout))
            for seed, style in enumerate(check.STYLES):
                x = values((2, 3, 9, 8), dtype, style, seed)
                result = pool(x)
                assert isinstance(result, jax.Array)
                assert_same(np.asarray(result), fastpool.maxpool2d(x, *arguments, layout=layout))


@settings(max_examples=30)
@given(strategies.geometries(), st.integers(0, 2**32))
def test_gradient_in_any_geometry(case, seed):
    shape, arguments = case
    layout, form = arguments["layout"], arguments.pop("index_format")
    assert form in ("flat", "window")
    x = values(shape, "float32", "zeros", seed)
    try:
        expected = fastpool.maxpool2d(x, **arguments)
    except ValueError as error:
        with pytest.raises(ValueError, match="max_pool2d") as caught:
            max_pool2d(x, **arguments)
        assert str(caught.value) == str(error).replace("maxpool2d", "max_pool2d")
        return
    weights = values(expected.shape, "float32", "random", seed)
    ceil_mode = bool(arguments.pop("ceil_mode"))
    positional = tuple(arguments[n] for n in ("kernel_size", "stride", "padding", "dilation"))
    positional = (*positional, ceil_mode)
    assert_same(np.asarray(max_pool2d(x, *positional, layout=layout)), expected)
    gradient = jax.grad(weighted(weights, *positional, layout=layout))(x)
    assert_same(np.asarray(gradient), own_gradient(x, weights, *positional, layout=layout))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("jit", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_gradient_and_its_transpose(dtype, layout, jit):
    """Of overlapping windows with ties, zeros and NaNs; 16-bit floats are rounded once."""
    with jax.enable_x64(dtype == "float64"):
        arguments, pool = (3, 2, 1), partial(max_pool2d, layout=layout)
        shape = (2, 9, 8, 5)
        push = jit(lambda x, t: jax.jvp(lambda x: pool(x, *arguments), (x,), (t,)))
        pull = jit(lambda x, w: jax.vjp(lambda x: pool(x, *arguments), x)[1](w)[0])
        for style in ("ties", "zeros", "nans", "bits"):
            x, tangent = values(shape, dtype, style), values(shape, dtype, "bits", 2)
            output, indices = fastpool.maxpool2d(x, *arguments, return_indices=True, layout=layout)
            weights = values(output.shape, dtype, "random", 1)
            gradient = own_gradient(x, weights, *arguments, layout=layout)
            assert_same(np.asarray(pull(x, weights)), gradient)
            cells = np.take_along_axis(planes(tangent, layout), planes(indices, layout), 2)
            results = push(x, tangent)
            assert_same(np.asarray(results[0]), output)
            assert_same(planes(np.asarray(results[1]), layout), cells)


def planes(array, layout):
    """Each plane in a row."""
    array = array if layout == "NCHW" else np.moveaxis(array, -1, 1)
    return array.reshape(*array.shape[:2], -1)


def reduce_window(x, kernel, stride, padding, layout):
    """JAX's own pooling."""
    own = slice(2, 4) if layout == "NCHW" else slice(1, 3)
    window, strides, pads = [1] * 4, [1] * 4, [(0, 0)] * 4
    window[own], strides[own], pads[own] = [kernel] * 2, [stride] * 2, [(padding,) * 2] * 2
    return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, pads)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("arguments", [(2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 1, 1)], ids=str)
def test_values_and_gradient_are_those_of_jax(arguments, layout):
    """With ties too, where both take the first cell; but for the signs of zeros."""
    own, of_jax = (partial(pool, layout=layout) for pool in (max_pool2d, reduce_window))
    rng, shape = np.random.default_rng(0), (2, 10, 12, 11)
    distinct = rng.permutation(np.prod(shape)).reshape(shape).astype(np.float32)
    for x in (distinct, values(shape), values(shape, style="zeros")):
        results = [pool(x, *arguments) + 0.0 for pool in (own, of_jax)]
        assert_same(*map(np.asarray, results))
        # Integers, whose sums are the same in any order.
        weights = rng.integers(-99, 99, results[0].shape).astype(np.float32)
        for jit in (lambda f: f, jax.jit):
            gradients = [
                jit(jax.grad(lambda x, p=pool, w=weights: (p(x, *arguments) * w).sum()))(x) + 0.0
                for pool in (own, of_jax)
            ]
            assert_same(*map(np.asarray, gradients))


@on_one
def test_what_differs_from_jax():
    """The first NaN, not the last; padding, which is never seen, and takes no gradient."""
    own, of_jax = (
        [
            jax.grad(lambda x, p=pool, a=arguments: p(x, *a, "NCHW").sum())(x).tolist()
            for x, arguments in (
                (jnp.array([[[[1.0, jnp.nan], [2.0, jnp.nan]]]]), (2, 2, 0)),
                (jnp.full((1, 1, 2, 2), -jnp.inf), (3, 2, 1)),
            )
        ]
        for pool in (lambda *a: max_pool2d(*a[:-1], layout=a[-1]), reduce_window)
    )
    assert own == [[[[[0, 1], [0, 0]]]], [[[[1, 0], [0, 0]]]]]
    assert of_jax == [[[[[0, 0], [0, 1]]]], [[[[0, 0], [0, 0]]]]]


def test_ties_go_to_the_first_cell():
    gradient = jax.grad(lambda x: max_pool2d(x, 2).sum())(jnp.zeros((4, 4)))
    assert_same(np.asarray(gradient), np.tile(np.array([[1, 0], [0, 0]], np.float32), (2, 2)))


def test_nan_goes_to_the_first_nan():
    x = jnp.array([[1.0, jnp.nan], [jnp.nan, 2.0]])
    assert jax.grad(lambda x: max_pool2d(x, 2).sum())(x).tolist() == [[0, 1], [0, 0]]


@pytest.mark.parametrize("mode", ["fwd", "rev"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_check_grads(x64, layout, mode):
    """Of third order, by JAX's own test."""
    from jax.test_util import check_grads

    x = np.random.default_rng(0).permutation(2.0 * np.arange(2 * 6 * 5 * 3)).reshape(2, 6, 5, 3)
    if layout == "NCHW":
        x = np.moveaxis(x, -1, 1)
    for arguments in ((2,), (3, 1, 1), ((2, 3), 1, ((1, 0), (0, 1)), (2, 1))):
        pool = partial(max_pool2d, layout=layout)
        check_grads(
            lambda x, pool=pool, a=arguments: pool(x, *a) ** 2,
            (x,),
            order=3,
            modes=[mode],
            eps=1e-3,
        )


def test_gathering_and_scattering_are_transposes(x64):
    """<scatter(g), v> is <g, gather(v)>, by hand: second derivatives of a quadratic."""
    x = values((3, 7, 8), "float64", "random")
    directions = values((3, 7, 8), "float64", "random", 1)
    square = lambda x: (max_pool2d(x, 3, 2, 1) ** 2).sum() / 2  # noqa: E731
    product = jax.grad(lambda x: (jax.grad(square)(x) * directions).sum())(x)
    indices = fastpool.maxpool2d(x, 3, 2, 1, return_indices=True).indices
    gathered = np.take_along_axis(directions.reshape(3, -1), indices.reshape(3, -1), 1)
    expected = fastpool.maxpool2d_backward(
        gathered.reshape(indices.shape), indices, x.shape, 3, 2, 1
    )
    assert_same(np.asarray(product), expected)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint32", "bool"])
def test_a_minimum(dtype, layout):
    """Values and gradient are those of arrays; the mapped axis is one more leading axis."""
    for arguments in WINDOWS:
        x = values((2, 9, 8, 3), dtype)
        expected = fastpool.minpool2d(x, *arguments, layout=layout, return_indices=True)
        pool = partial(min_pool2d, layout=layout)
        assert_same(np.asarray(pool(x, *arguments)), expected.output)
        mapped = jax.vmap(lambda x, a=arguments, pool=pool: pool(x, *a))(x)
        assert_same(np.asarray(mapped), expected.output)
        if dtype == "float32":
            weights = values(expected.output.shape, style="random", seed=1)
            loss = lambda x, a=arguments, p=pool, w=weights: (p(x, *a) * w).sum()  # noqa: E731
            gradient = fastpool.minpool2d_backward(
                weights, expected.indices, x.shape, *arguments, layout=layout
            )
            assert_same(np.asarray(jax.jit(jax.grad(loss))(x)), gradient)
    with pytest.raises(ValueError, match=r"^min_pool2d: kernel_size"):
        min_pool2d(np.ones((2, 2)), 3)


def test_hessians(x64):
    """Forward over reverse, reverse over forward, and either over itself."""
    x = values((2, 5, 4), "float64", "random")
    indices = fastpool.maxpool2d(x, 3, 2, 1, return_indices=True).indices
    output = np.take_along_axis(x.reshape(2, -1), indices.reshape(2, -1), 1)
    # Of the sum of cubes: 6 y where an output y is taken from, at the cell itself.
    expected = np.zeros((2, 20))
    for plane, (cells, numbers) in enumerate(zip(indices.reshape(2, -1), output, strict=True)):
        np.add.at(expected[plane], cells, 6 * numbers)
    expected = np.diag(expected.ravel()).reshape(*x.shape, *x.shape)
    loss = lambda x: (max_pool2d(x, 3, 2, 1) ** 3).sum()  # noqa: E731
    for outer, inner in itertools.product((jax.jacfwd, jax.jacrev), repeat=2):
        for jit in (lambda f: f, jax.jit):
            np.testing.assert_allclose(jit(outer(inner(loss)))(x), expected, rtol=1e-14)


def test_linearized_and_transposed():
    x, tangent = values((3, 5, 4)), values((3, 5, 4), style="random")
    output, push = jax.linearize(lambda x: max_pool2d(x, 3, 2, 1), x)
    weights = values(output.shape, style="random", seed=1)
    expected = own_gradient(x, weights, 3, 2, 1)
    assert_same(np.asarray(jax.linear_transpose(push, tangent)(weights)[0]), expected)
    pushed = jax.jvp(lambda x: max_pool2d(x, 3, 2, 1), (x,), (tangent,))[1]
    assert_same(np.asarray(push(tangent)), np.asarray(pushed))


def test_outputs_whose_gradient_is_not_wanted():
    """A cotangent that is known to be zero calls nothing; integers have none."""

    @jax.custom_vjp
    def second(_, x):
        return x.sum()

    second.defvjp(lambda _, x: (x.sum(), x), lambda x, g: (None, jnp.full_like(x, g)))
    x = values((2, 4, 4))
    for jit in (lambda f: f, jax.jit):
        gradient = jax.grad(lambda x: second(max_pool2d(x, 2), x))
        assert_same(np.asarray(jit(gradient)(x)), np.ones_like(x))
    assert "scatter" not in str(jax.make_jaxpr(gradient)(x))
    counts = np.arange(32).reshape(2, 4, 4)
    gradient = jax.grad(lambda x: (max_pool2d(x, 2) * max_pool2d(counts, 2)).sum())(x)
    weights = fastpool.maxpool2d(counts, 2).astype(np.float32)
    assert_same(np.asarray(gradient), own_gradient(x, weights, 2))


class TestVmap:
    @pytest.mark.parametrize("axis", [0, 1, 2, 3, -1])
    def test_any_axis(self, axis):
        x = values((4, 5, 6, 7))
        result = jax.vmap(lambda x: max_pool2d(x, 2), in_axes=axis)(x)
        assert_same(np.asarray(result), fastpool.maxpool2d(np.moveaxis(x, axis, 0), 2))

    def test_nested_and_jitted_gradient(self):
        x, weights = values((2, 3, 4, 8, 6)), values((2, 3, 4, 4, 3), style="random")
        gradient = jax.grad(lambda x, w: (max_pool2d(x, 2) * w).sum())
        result = jax.jit(jax.vmap(jax.vmap(gradient)))(x, weights)
        assert_same(np.asarray(result), own_gradient(x, weights, 2))

    def test_gradient_of_mapped(self):
        x, weights = values((2, 8, 6, 3)), values((3, 2, 4, 3), style="random")
        mapped = jax.vmap(lambda x: max_pool2d(x, 2), in_axes=3)
        result = jax.grad(lambda x: (mapped(x) * weights).sum())(x)
        expected = own_gradient(np.moveaxis(x, 3, 0), weights, 2)
        assert_same(np.asarray(result), np.moveaxis(expected, 0, 3))

    def test_one_operand_alone(self):
        """A Jacobian maps over gradients, while the codes are the same for all."""
        x = values((3, 5, 4), style="random")
        jacobian = jax.jacrev(lambda x: max_pool2d(x, 2, 1))(x)
        indices = fastpool.maxpool2d(x, 2, 1, return_indices=True).indices
        basis = np.eye(indices.size, dtype=np.float32).reshape(-1, *indices.shape)
        every = np.broadcast_to(indices, basis.shape)
        expected = fastpool.maxpool2d_backward(basis, every, (len(basis), *x.shape), 2, 1)
        assert_same(np.asarray(jacobian), expected.reshape(*indices.shape, *x.shape))

    def test_the_other_operand_alone(self):
        """One tangent or gradient for every image's own codes; transposed, their sum."""
        x, tangent = values((4, 3, 6, 5)), values((3, 6, 5), style="random")
        push = jax.vmap(
            lambda x, t: jax.jvp(lambda x: max_pool2d(x, 2, 1), (x,), (t,))[1], (0, None)
        )
        every = np.broadcast_to(tangent, x.shape)
        expected = jax.jvp(lambda x: max_pool2d(x, 2, 1), (x,), (every,))[1]
        assert_same(np.asarray(push(x, tangent)), np.asarray(expected))
        weights = np.arange(expected.size, dtype=np.float32).reshape(expected.shape)
        result = jax.grad(lambda t: (push(x, t) * weights).sum())(tangent)
        assert_same(np.asarray(result), own_gradient(x, weights, 2, 1).sum(0))

    @on_one
    def test_nothing_is_moved_or_repeated_needlessly(self):
        x = jnp.zeros((4, 5, 6, 7))
        pool = lambda x: max_pool2d(x, 2)  # noqa: E731
        for axes in (0, 1):
            text = str(jax.make_jaxpr(jax.vmap(pool, in_axes=axes, out_axes=axes))(x))
            assert "transpose" not in text
            assert "fastpool_pool" in text
        text = str(jax.make_jaxpr(jax.jacrev(pool))(x[0, 0]))
        assert "u8[1,3,3]" in text  # codes, beside the gradients of all outputs
        assert "u8[9,3,3]" not in text
        text = str(jax.make_jaxpr(jax.vmap(jax.grad(lambda x: pool(x).sum())))(x))
        assert "f32[1,5,3,3]" in text  # the sum's gradient, beside the codes of all images
        assert "f32[4,5,3,3] = broadcast" not in text

    @pytest.mark.parametrize("backend", ["numpy"])  # kernels are called without Python
    def test_one_call(self, monkeypatch):
        calls = []

        def record(own, call, inputs, *rest):
            calls.append(inputs[0].shape)
            return own(call, inputs, *rest)

        monkeypatch.setattr(host, "execute_call", partial(record, host.execute_call))
        jax.vmap(lambda x: max_pool2d(x, 2))(values((5, 4, 4)))
        assert calls == [(5, 4, 4)]
        jax.jit(jax.vmap(jax.grad(lambda x: max_pool2d(x, 2).sum())))(values((7, 4, 4)))
        assert calls[1:] == [(7, 4, 4), (7, 2, 2)]


def test_control_flow_and_checkpoints():
    x = values((4, 3, 8, 8), style="random")
    step = lambda total, x: (total + max_pool2d(x, 2).sum(), max_pool2d(x, 2))  # noqa: E731
    _, outputs = lax.scan(step, 0.0, x)
    assert_same(np.asarray(outputs), fastpool.maxpool2d(x, 2))
    loss = lambda x: max_pool2d(3 * x, 3, 1, 1).sum()  # noqa: E731
    assert_same(*(np.asarray(jax.grad(f)(x)) for f in (loss, jax.checkpoint(loss))))
    branch = lambda x: lax.cond(x.sum() > 0, loss, jnp.sum, x)  # noqa: E731
    big = np.abs(x)
    assert_same(*(np.asarray(jax.jit(jax.grad(f))(big)) for f in (loss, branch)))
    repeat = lambda x: lax.fori_loop(0, 3, lambda _, x: max_pool2d(x, 3, 1, 1), x)  # noqa: E731
    assert_same(np.asarray(repeat(x)), fastpool.maxpool2d(x, 7, 1, 3))
    with jax.disable_jit():
        assert_same(np.asarray(jax.jit(lambda x: max_pool2d(x, 2))(x)), fastpool.maxpool2d(x, 2))
        weights = np.ones((4, 3, 4, 4), np.float32)
        gradient = jax.vmap(jax.grad(lambda x: max_pool2d(x, 2).sum()))(x)
        assert_same(np.asarray(gradient), own_gradient(x, weights, 2))


def test_donated_input():
    """XLA may put the result where the input was."""
    x = values((4, 3, 16, 16), style="random")
    expected = fastpool.maxpool2d(x, 3, 1, 1)
    pool = jax.jit(lambda x: max_pool2d(x, 3, 1, 1), donate_argnums=0)
    for _ in range(5):
        assert_same(np.asarray(pool(jnp.array(x))), expected)


@on_one
def test_shapes_are_known_without_data():
    spec = jax.ShapeDtypeStruct((2, 3, 9, 9), jnp.bfloat16)
    result = jax.eval_shape(lambda x: max_pool2d(x, 3, 2, "same"), spec)
    assert (result.shape, result.dtype) == ((2, 3, 5, 5), jnp.bfloat16)
    assert jax.jit(lambda x: max_pool2d(x, 2)).lower(spec).out_info.shape == (2, 3, 4, 4)


def test_empty_batch():
    x = jnp.zeros((0, 3, 4, 4))
    assert max_pool2d(x, 2).shape == (0, 3, 2, 2)
    assert jax.jit(jax.grad(lambda x: max_pool2d(x, 2).sum()))(x).shape == x.shape


@on_one
def test_no_code_is_computed_unless_a_gradient_is_wanted():
    x = jnp.zeros((2, 4, 4))
    text = str(jax.make_jaxpr(lambda x: max_pool2d(x, 2))(x))
    assert "u8[" not in text
    text = str(jax.make_jaxpr(jax.grad(lambda x: max_pool2d(x, 2).sum()))(x))
    assert "u8[" in text
    assert "i32[" not in text
    wide = str(jax.make_jaxpr(jax.grad(lambda x: max_pool2d(x, 20, 1, 10).sum()))(x))
    assert "u16[" in wide


@on_one
@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((5,), ValueError, r"max_pool2d: kernel_size \(5, 5\) does not fit"),
        ((0,), ValueError, "max_pool2d: kernel_size must be at least 1"),
        ((2.0,), TypeError, "max_pool2d: kernel_size must be an integer"),
        ((2, 2, 0, 1, 1), TypeError, "max_pool2d: ceil_mode must be a bool"),
        ((2, 2, "full"), ValueError, "max_pool2d: padding must be one of"),
        ((1, 1, 1), ValueError, "holds no input cell"),
    ],
)
def test_errors_come_when_a_function_is_traced(arguments, error, text):
    with pytest.raises(error, match=text):
        jax.eval_shape(lambda x: max_pool2d(x, *arguments), jnp.zeros((3, 4, 4)))


class Guest:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


@on_one
def test_masked_arrays():
    """JAX refuses one, and drops the masks of what is in a list."""
    masked = np.ma.masked_array(np.ones((4, 4), np.float32), False)
    for x in (masked, [masked], [[jnp.ones((4, 4))], (masked,)], Guest(masked), [Guest(masked)]):
        with pytest.raises(TypeError, match="max_pool2d: x is a masked array"):
            max_pool2d(x, 2)
    with pytest.raises(TypeError, match="max_pool2d: x is a masked array"):
        jax.jit(lambda x: max_pool2d([x, masked], 2))(jnp.ones((4, 4)))
    stacked = jax.jit(lambda x: max_pool2d([x, x], 2))(jnp.ones((4, 4)))
    assert_same(np.asarray(stacked), np.ones((2, 2, 2), np.float32))


@on_one
def test_more_errors():
    with pytest.raises(TypeError, match="kernel_size must be an integer, got DynamicJaxprTracer"):
        jax.jit(lambda k: max_pool2d(jnp.zeros((4, 4)), k))(2)
    with pytest.raises(TypeError, match="x has dtype complex64"):
        max_pool2d(jnp.zeros((4, 4), complex), 2)
    with pytest.raises(ValueError, match="layout must be one of"):
        max_pool2d(jnp.zeros((4, 4, 4)), 2, layout="CHWN")


@pytest.mark.parametrize("backend", ["numpy"])
def test_errors_of_a_call_reach_the_caller(monkeypatch):
    """Those that depend on no argument, as of memory."""

    def fail(*_, **__):
        raise MemoryError("no room for windows")

    x = jnp.zeros((5, 4, 4))
    monkeypatch.setattr(host, "execute_call", fail)
    for pool in (lambda x: max_pool2d(x, 2), jax.jit(lambda x: max_pool2d(x, 2))):
        # Of which kind, depends on whether this is the first call.
        with pytest.raises((RuntimeError, ValueError), match="no room for windows"):
            pool(x).block_until_ready()


def test_the_backend_is_that_of_the_trace(backend):
    text = str(jax.make_jaxpr(lambda x: max_pool2d(x, 2))(jnp.zeros((4, 4))))
    assert f"backend='{backend}'" in text


@on_one
def test_the_backend_in_threads_of_xla():
    """It is that of the trace there, too, and one that cannot be had is known by then."""
    code = """
    import sys
    import jax, jax.numpy as jnp, fastpool
    from fastpool.interop.jax import max_pool2d

    sys.modules["numba"] = None
    x, pool = jnp.ones((8, 64, 64, 64)), lambda x: max_pool2d(x, 3, 2, 1).sum()
    with fastpool.use_backend("numpy"):
        step = jax.jit(jax.grad(pool))
        step(x).block_until_ready()
    fastpool.set_default_backend("numba")
    (step(x) + step(x + 1)).block_until_ready()
    try:
        jax.eval_shape(pool, x)
    except fastpool.BackendUnavailable:
        print("known when traced")
    """
    assert process.run(code) == "known when traced"


@on_one
def test_64_bits_in_threads_of_xla():
    """Where `jax.enable_x64` of the caller's thread is not known."""
    code = """
    import numpy as np
    import jax, jax.numpy as jnp, fastpool
    from fastpool.interop.jax import max_pool2d

    x = np.random.default_rng(0).standard_normal((16, 32, 64, 64))
    expected = fastpool.maxpool2d(np.float64(x), 3, 2, 1)
    with jax.enable_x64(True):
        pool = jax.jit(lambda x: max_pool2d(x, 3, 2, 1))
        results = [pool(jnp.asarray(x) * 2**n) for n in range(20)]
        print(all((np.asarray(y) == expected * 2**n).all() for n, y in enumerate(results)))
    """
    assert process.run(code) == "True"


@on_one
def test_several_devices():
    """Under shard_map, each device pools its part; else every device the whole."""
    code = """
    import numpy as np
    import jax, jax.numpy as jnp, fastpool
    from jax.sharding import NamedSharding, PartitionSpec as P
    from fastpool.interop.jax import max_pool2d

    mesh = jax.make_mesh((4,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    x = np.random.default_rng(0).standard_normal((8, 3, 9, 8)).astype(np.float32)
    output, indices = fastpool.maxpool2d(x, 3, 2, 1, return_indices=True)
    weights = np.random.default_rng(1).standard_normal(output.shape).astype(np.float32)
    gradient = fastpool.maxpool2d_backward(weights, indices, x.shape, 3, 2, 1)
    x, weights = (jax.device_put(a, NamedSharding(mesh, P("d"))) for a in (x, weights))
    pool = lambda x: max_pool2d(x, 3, 2, 1)
    loss = lambda x, w: (pool(x) * w).sum()
    part = lambda x, w: jax.lax.psum(loss(x, w), "d")
    whole = jax.shard_map(part, mesh=mesh, in_specs=(P("d"), P("d")), out_specs=P())
    on_second = pool(jax.device_put(np.asarray(x), jax.devices()[1]))
    for result, expected in (
        (pool(x), output),
        (jax.jit(jax.grad(loss))(x, weights), gradient),
        (jax.shard_map(pool, mesh=mesh, in_specs=P("d"), out_specs=P("d"))(x), output),
        (jax.jit(jax.grad(whole))(x, weights), gradient),
        (jax.pmap(pool)(np.asarray(x).reshape(4, 2, 3, 9, 8)).reshape(output.shape), output),
        (on_second, output),
    ):
        assert np.asarray(result).tobytes() == expected.tobytes()
    print(on_second.devices() == {jax.devices()[1]})
    """
    flags = "--xla_force_host_platform_device_count=4"
    assert process.run(code, XLA_FLAGS=flags) == "True"


@on_one
def test_examples():
    result = doctest.testmod(adapter)
    assert result.attempted > 4
    assert result.failed == 0


@on_one
def test_pickles_name_the_package():
    assert b"fastpool.interop.jax\n" in pickle.dumps(max_pool2d, 0)
    for function in (max_pool2d, min_pool2d):
        assert pickle.loads(pickle.dumps(function)) is function


@on_one
def test_nothing_hangs():
    """As many gradients at once as XLA has threads for callbacks, and more, of large arrays.

    With `jax.pure_callback` it does: see the adapter's docstring.
    """
    code = """
    import faulthandler, threading
    faulthandler.dump_traceback_later(200, exit=True)
    import jax, jax.numpy as jnp, numpy as np
    from fastpool.interop.jax import max_pool2d

    x = jnp.asarray(np.random.default_rng(0).standard_normal((8, 64, 112, 112), np.float32))

    @jax.jit
    @jax.grad
    def gradient(x):
        y = max_pool2d(jnp.sin(x), 3, 2, 1)
        return (y @ jnp.swapaxes(y, -1, -2)).sum() + max_pool2d(x, 2).sum()

    expected, wrong = gradient(x), []

    def work():
        for _ in range(2):
            results = [gradient(x) for _ in range(2)]
            wrong.extend(1 for result in results if not (result == expected).all())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(len(wrong))
    """
    assert process.run(code) == "0"


@on_one
def test_nothing_is_imported_unasked():
    code = """
    import sys
    import fastpool, fastpool.interop
    assert "jax" not in sys.modules
    import fastpool.interop.jax
    print(sorted({"torch", "dask", "numba"} & set(sys.modules)))
    """
    assert process.run(code) == "[]"


def test_gather_takes_flat_indices_too():
    """What two adapters rest on: the inverse of unpooling."""
    x = values((2, 3, 9, 8, 4), style="random")
    for layout in ("NCHW", "NHWC"):
        windows = ((3, 2), (2, 1), ((1, 0), (0, 1)), (2, 3))
        found = geometry.pooled("f", "x", x.shape, windows_of("f", 2, *windows), False, layout)
        for form in ("flat", "window"):
            output, indices = fastpool.maxpool2d(
                x, *windows, return_indices=True, layout=layout, index_format=form
            )
            assert_same(gather(x, indices, found, form == "window"), output)


@pytest.mark.parametrize(("shape", "layout"), strategies.EMPTY)
def test_empty_axes(shape, layout):
    def pool(x):
        return max_pool2d(x, 2, layout=layout)

    def total(x):
        return pool(x).sum()

    x = jnp.zeros(shape)
    expected = fastpool.maxpool2d(np.zeros(shape, np.float32), 2, layout=layout)
    for function in (pool, jax.jit(pool)):
        assert_same(np.asarray(function(x)), expected)
    assert jax.jvp(pool, (x,), (x,))[1].shape == expected.shape
    assert jax.grad(total)(x).shape == shape
    assert jax.vmap(pool)(x[None]).shape == (1, *expected.shape)
    assert jax.vmap(jax.grad(total))(x[None]).shape == (1, *shape)
