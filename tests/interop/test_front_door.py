"""Any array in, the same kind out: fastpool's own functions with arrays of other libraries."""

import importlib
import importlib.util
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from bits import assert_same

import fastpool
from fastpool.api import guests
from fastpool.rules.members import FUNCTIONS

# Windows of 3 cells, 2 apart, reach every cell: so indices fit the default size of unpooling.
SIZES = {1: (11,), 2: (7, 9), 3: (5, 5, 7)}
RNG = np.random.default_rng(0)


def library(name):
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


torch, jax, xarray = (library(name) for name in ("torch", "jax", "xarray"))
dask = importlib.import_module("dask.array") if library("dask") else None


class Case(NamedTuple):
    """A call of a public function, with NumPy arrays."""

    inputs: tuple
    arguments: tuple
    options: dict


def case(name, dtype=np.float32, **options):
    """A small call of any function, whose windows overlap."""
    function = FUNCTIONS[name]
    n, kind = function.dimensions, function.operation.name
    x = RNG.integers(-9, 9, (2, 3, *SIZES[n])).astype(dtype)
    windows = ((3,) * n,) if function.adaptive else (2, 3, 2) if kind == "lp" else (3, 2)
    if kind == "mode":
        x = x.astype(np.int32)
    if function.part == "forward":
        return Case((x,), windows, options)
    picks = function.operation.picks_cell
    forward = {"unpool": f"maxpool{n}d", "backward": name.removesuffix("_backward")}
    pool = getattr(fastpool, forward[function.part])
    if picks:
        output, indices = pool(x, *windows, return_indices=True, **options)
        if function.part == "unpool":
            return Case((output, indices), windows, options)
        return Case((output, indices), (x.shape, *windows), options)
    output = pool(x, *windows, **options)
    if kind == "lp":
        return Case((output, x), windows, options)
    return Case((output,), (x.shape, *windows), options)


def expected(name, given):
    return getattr(fastpool, name)(*given.inputs, *given.arguments, **given.options)


def results(name, made, given):
    """What the function returns for the same arrays of another kind, as a tuple."""
    inputs = tuple(made(array) for array in given.inputs)
    found = getattr(fastpool, name)(*inputs, *given.arguments, **given.options)
    return tuple(found) if isinstance(found, tuple) else (found,)


def as_tensor(array):
    return torch.from_numpy(array)


def as_jax(array):
    return jax.numpy.asarray(array)


def as_dask(array):
    return dask.from_array(array, chunks=(1, 2, *(3,) * (array.ndim - 2)))


def as_named(array):
    return xarray.DataArray(array, dims=[f"d{i}" for i in range(array.ndim)])


def of_jax(array):
    return np.asarray(array)


needs = {
    "torch": pytest.mark.skipif(torch is None, reason="PyTorch is not installed"),
    "jax": pytest.mark.skipif(jax is None, reason="JAX is not installed"),
    "dask": pytest.mark.skipif(dask is None, reason="Dask is not installed"),
    "xarray": pytest.mark.skipif(xarray is None, reason="xarray is not installed"),
}


class Kind(NamedTuple):
    """A guest: how its arrays are made, what they are, and their memory as NumPy's."""

    make: object
    type: object
    back: object


KINDS = {
    "torch": Kind(as_tensor, torch and torch.Tensor, lambda a: a.detach().numpy()),
    "jax": Kind(as_jax, jax and jax.Array, of_jax),
    "dask": Kind(as_dask, dask and dask.Array, lambda a: a.compute(scheduler="sync")),
    "xarray": Kind(as_named, xarray and xarray.DataArray, lambda a: a.values),
}
GUESTS = [pytest.param(name, marks=needs[name]) for name in KINDS]


def options_of(name):
    """Options of a function that change its result."""
    function = FUNCTIONS[name]
    yield {}
    yield {"layout": function.layouts[1]}
    if function.part == "forward" and function.operation.picks_cell:
        yield {"return_indices": True}
        if not function.adaptive:
            yield {"return_indices": True, "index_format": "window", "padding": ((1, 0),) * 1}
    elif function.operation.picks_cell and not function.adaptive:
        yield {"index_format": "window"}
    elif function.part == "forward" and function.operation.name == "avg":
        yield {"dtype": "float16"}


def fitted(name, options):
    """The same with one entry an axis, and a smaller window where the channels are pooled."""
    n = FUNCTIONS[name].dimensions
    if "padding" in options:
        options = {**options, "padding": ((1, 0),) * n}
    return options


def all_calls():
    for name in FUNCTIONS:
        for options in options_of(name):
            yield pytest.param(name, fitted(name, options), id=f"{name}-{'-'.join(options)}")


def with_layout(given, name):
    """Channels last, where the layout says so: the axes of the case, moved."""
    function = FUNCTIONS[name]
    if given.options.get("layout") != function.layouts[1]:
        return given
    moved = tuple(np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in given.inputs)
    arguments = given.arguments
    if function.part == "backward" and function.operation.name != "lp":
        shape = arguments[0]
        arguments = ((shape[0], *shape[2:], shape[1]), *arguments[1:])
    return Case(moved, arguments, given.options)


def made_case(name, options, dtype=np.float32):
    plain = {key: value for key, value in options.items() if key == "index_format"}
    if FUNCTIONS[name].part == "forward":
        plain = {}
    given = case(name, dtype, **plain)
    return with_layout(given._replace(options=options), name)


@pytest.mark.parametrize("guest", GUESTS)
@pytest.mark.parametrize(("name", "options"), list(all_calls()))
def test_every_function(guest, name, options):
    """The bits of the NumPy result, in the guest's own kind."""
    kind, given = KINDS[guest], made_case(name, options)
    right = expected(name, given)
    right = tuple(right) if isinstance(right, tuple) else (right,)
    found = results(name, kind.make, given)
    assert len(found) == len(right)
    for actual, wanted in zip(found, right, strict=True):
        assert isinstance(actual, kind.type)
        actual = kind.back(actual)
        if guest == "jax" and wanted.dtype == np.int64:  # JAX's own integers
            actual = actual.astype(np.int64)
        assert_same(np.ascontiguousarray(actual), wanted)


@pytest.mark.parametrize("guest", GUESTS)
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if "2d" in name])
def test_out_is_refused(guest, name):
    given = case(name)
    inputs = tuple(KINDS[guest].make(array) for array in given.inputs)
    with pytest.raises(TypeError, match=rf"^{name}: out is a NumPy array, and \w+ an? [PJDx]"):
        getattr(fastpool, name)(*inputs, *given.arguments, out=np.zeros(3))


@pytest.mark.parametrize("guest", GUESTS)
@pytest.mark.parametrize("name", ["maxpool2d", "avgpool2d", "lppool2d", "adaptive_maxpool2d"])
def test_backend(guest, name, monkeypatch):
    """It goes to the adapter, and a wrong one is refused as ever."""
    given = case(name)
    x = KINDS[guest].make(given.inputs[0])
    right = expected(name, given)
    found = getattr(fastpool, name)(x, *given.arguments, backend="numpy")
    assert_same(np.ascontiguousarray(KINDS[guest].back(found)), right)
    with pytest.raises(ValueError, match="backend must be one of"):
        getattr(fastpool, name)(x, *given.arguments, backend="cuda")


@pytest.mark.parametrize("guest", GUESTS)
def test_wrong_arguments(guest):
    """The messages are those of the function that was called."""
    x = KINDS[guest].make(np.zeros((2, 3, 6, 8), np.float32))
    with pytest.raises(ValueError, match=r"^maxpool2d: kernel_size \(9, 9\) does not fit"):
        fastpool.maxpool2d(x, 9)
    with pytest.raises(TypeError, match=r"^avgpool2d: kernel_size must be"):
        fastpool.avgpool2d(x, 2.0)


class TestMixedKinds:
    @staticmethod
    def pairs():
        plain = case("maxunpool2d")
        kinds = [name for name in KINDS if not needs[name].args[0]]
        for one in kinds:
            for other in kinds:
                if one != other:
                    yield KINDS[one].make(plain.inputs[0]), KINDS[other].make(plain.inputs[1])

    def test_two_guests(self):
        for values, indices in self.pairs():
            with pytest.raises(TypeError, match="arrays must be of one kind") as caught:
                fastpool.maxunpool2d(values, indices, 3, 2)
            message = str(caught.value)
            assert guests.shown(values) in message
            assert guests.shown(indices) in message

    @pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
    def test_a_tensor_beside_numpy(self):
        plain = case("maxunpool2d")
        for made in ((as_tensor, np.asarray), (np.asarray, as_tensor)):
            values, indices = (make(a) for make, a in zip(made, plain.inputs, strict=True))
            with pytest.raises(TypeError, match="a PyTorch tensor") as caught:
                fastpool.maxunpool2d(values, indices, 3, 2)
            assert "a NumPy array" in str(caught.value)

    @pytest.mark.parametrize("guest", ["jax", "dask", "xarray"])
    def test_others_take_numpy(self, guest):
        if needs[guest].args[0]:
            pytest.skip("it is not installed")
        kind, plain = KINDS[guest], case("maxpool2d_backward")
        right = expected("maxpool2d_backward", plain)
        for made in ((kind.make, np.asarray), (np.asarray, kind.make)):
            inputs = (make(a) for make, a in zip(made, plain.inputs, strict=True))
            found = fastpool.maxpool2d_backward(*inputs, *plain.arguments)
            assert isinstance(found, kind.type)
            assert_same(kind.back(found), right)

    @pytest.mark.parametrize("guest", GUESTS)
    def test_a_guest_for_out(self, guest):
        x = np.zeros((2, 3, 6, 8), np.float32)
        out = KINDS[guest].make(np.zeros((2, 3, 3, 4), np.float32))
        with pytest.raises(TypeError, match="out must be a NumPy array, got"):
            fastpool.maxpool2d(x, 2, out=out)


@needs["torch"]
class TestTorch:
    @pytest.mark.parametrize("layout", [0, 1])
    @pytest.mark.parametrize("name", [n for n, f in FUNCTIONS.items() if f.part == "forward"])
    def test_gradients(self, name, layout):
        """Those of fastpool's own backward functions, to the bit."""
        function = FUNCTIONS[name]
        if function.operation.name == "mode":
            pytest.skip("it has none")
        given = made_case(name, {"layout": function.layouts[layout]})
        x = as_tensor(given.inputs[0]).requires_grad_()
        output = getattr(fastpool, name)(x, *given.arguments, **given.options)
        weights = RNG.integers(-9, 9, output.shape).astype(np.float32)
        output.backward(torch.from_numpy(weights))
        assert_same(x.grad.numpy(), gradient(name, given, weights))

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("avgpool2d", {"dilation": 2}),
            ("sumpool1d", {"dilation": 2}),
            ("avgpool2d", {"padding": ((1, 0), (0, 2))}),
            ("lppool2d", {"padding": 1, "dilation": 2}),
        ],
    )
    def test_gradients_that_no_operator_has(self, name, options):
        given = case(name)._replace(options=options)
        x = as_tensor(given.inputs[0]).requires_grad_()
        output = getattr(fastpool, name)(x, *given.arguments, **options)
        assert_same(output.detach().numpy(), expected(name, given))
        weights = RNG.integers(-9, 9, output.shape).astype(np.float32)
        output.backward(torch.from_numpy(weights))
        assert_same(x.grad.numpy(), gradient(name, given, weights))

    @pytest.mark.parametrize("padding", [((1, 0), (0, 1)), "same", 1])
    def test_paddings(self, padding):
        given = case("maxpool2d", padding=padding)
        x = as_tensor(given.inputs[0]).requires_grad_()
        output = fastpool.maxpool2d(x, 3, 2, padding)
        assert_same(output.detach().numpy(), expected("maxpool2d", given))
        output.backward(torch.ones_like(output))
        ones = np.ones(output.shape, np.float32)
        assert_same(x.grad.numpy(), gradient("maxpool2d", given, ones))

    def test_the_adapter_takes_no_padding_of_two_ends(self):
        from fastpool.interop.torch import max_pool2d

        with pytest.raises(ValueError, match="padding must have 2 entries, got 4"):
            max_pool2d(torch.zeros(1, 1, 8, 8), 3, padding=(1, 1, 1, 1))

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    @pytest.mark.parametrize("name", ["maxpool2d", "avgpool2d", "sumpool2d", "lppool2d"])
    def test_halves(self, name, dtype):
        pytest.importorskip("ml_dtypes")
        given, kind = case(name), getattr(torch, dtype)
        x = as_tensor(given.inputs[0]).to(kind).requires_grad_()
        output = getattr(fastpool, name)(x, *given.arguments)
        assert output.dtype is kind
        wide = expected(name, given)
        assert torch.equal(output.detach(), torch.from_numpy(wide).to(kind))
        output.sum().backward()
        assert x.grad.dtype is kind

    def test_dtypes_of_both_libraries(self):
        x = torch.arange(16.0).reshape(4, 4).requires_grad_()
        for dtype in (torch.float64, np.float64, "float64"):
            output = fastpool.avgpool2d(x, 2, dtype=dtype)
            assert output.dtype is torch.float64
        output.sum().backward()
        assert x.grad.tolist() == [[0.25] * 4] * 4
        with pytest.raises(TypeError, match="dtype must be dtypes"):
            fastpool.avgpool2d(x, 2, dtype=torch.qint8)

    def test_channels_last_memory_stays(self):
        x = torch.rand(2, 3, 6, 8).contiguous(memory_format=torch.channels_last)
        output = fastpool.maxpool2d(x, 2)
        assert output.is_contiguous(memory_format=torch.channels_last)
        assert_same(output.numpy(), fastpool.maxpool2d(x.numpy(), 2))

    def test_no_gradient_is_lost_in_silence(self):
        x = torch.rand(1, 2, 8, 8, requires_grad=True)
        values, taps = fastpool.maxpool2d(x, 2, return_indices=True, index_format="window")
        with pytest.raises(TypeError, match=r"have no gradient; pass x.detach\(\)"):
            fastpool.maxunpool2d(values, taps, 2, index_format="window")
        with torch.no_grad():
            fastpool.maxunpool2d(values, taps, 2, index_format="window")

    def test_transformations(self):
        x = torch.rand(4, 2, 6, 6)
        found = torch.func.vmap(torch.func.grad(lambda x: fastpool.maxpool2d(x, 2).sum()))(x)
        assert found.sum() == 4 * 2 * 9
        with pytest.raises(TypeError, match=r"nothing that torch.func"):
            torch.func.grad(lambda x: fastpool.avgpool2d(x, 2, dilation=2).sum())(x)

    def test_parameters_subclasses_and_modes(self):
        class Own(torch.Tensor):
            pass

        x = torch.rand(1, 2, 4, 4)
        assert type(fastpool.maxpool2d(x.as_subclass(Own), 2)) is Own
        found = fastpool.maxpool2d(x.as_subclass(Own), 2, return_indices=True)
        assert type(found) is fastpool.PoolResult
        assert fastpool.avgpool2d(torch.nn.Parameter(x), 2).requires_grad
        with torch.device("cpu"):
            assert torch.equal(fastpool.maxpool2d(x, 2), fastpool.maxpool2d(x.clone(), 2))

    def test_other_devices_and_masks(self):
        x = torch.rand(1, 1, 4, 4)
        assert fastpool.maxpool2d(x.to("meta"), 2).shape == (1, 1, 2, 2)
        with pytest.raises(TypeError, match="compilers have none"):
            fastpool.modepool2d(x.int().to("meta"), 2)
        with (
            pytest.raises(TypeError, match="MaskedTensor"),
            pytest.warns(UserWarning, match="prototype"),
        ):
            fastpool.maxpool2d(torch.masked.masked_tensor(x, x > 0.5), 2)

    @pytest.mark.whole
    @pytest.mark.parametrize("dynamic", [False, True])
    @pytest.mark.parametrize("first", ["", "import fastpool.interop.torch"])
    def test_compile(self, dynamic, first):
        """In one graph, whether the adapter is imported before or not."""
        code = f"""
import torch, fastpool
{first}
def pool(x):
    return fastpool.maxpool2d(x, 2), fastpool.avgpool2d(x, 3, 2, 1), fastpool.sumpool2d(x, 2)
compiled = torch.compile(pool, fullgraph=True, backend="aot_eager", dynamic={dynamic})
for size in (8, 10):
    x = torch.rand(2, 3, size, 9, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    pairs = list(zip(compiled(x), pool(y), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    for each in zip(*pairs, strict=True):
        sum((output ** 2).sum() for output in each).backward()
    assert torch.equal(x.grad, y.grad)
"""
        subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def gradient(name, given, weights):
    """What fastpool's own backward function makes of NumPy arrays."""
    function, options = FUNCTIONS[name], dict(given.options)
    x = given.inputs[0]
    if function.operation.name == "lp":
        pool = getattr(fastpool, f"{name}_backward")
        return pool(weights, x, *given.arguments, **options)
    if function.operation.name == "sum":
        options["divisor_override"] = 1
    backward = getattr(fastpool, f"{name.replace('sum', 'avg')}_backward")
    rest = (x.shape, *given.arguments)
    if not function.operation.picks_cell:
        return backward(weights, *rest, **options)
    pool = getattr(fastpool, name)
    indices = pool(x, *given.arguments, return_indices=True, **options).indices
    return backward(weights, indices, *rest, **options)


@needs["jax"]
class TestJax:
    @pytest.mark.parametrize("layout", [0, 1])
    @pytest.mark.parametrize("name", [n for n, f in FUNCTIONS.items() if f.part == "forward"])
    def test_gradients(self, name, layout):
        function = FUNCTIONS[name]
        if function.operation.name == "mode":
            pytest.skip("it has none")
        given = made_case(name, {"layout": function.layouts[layout]})
        x = as_jax(given.inputs[0])

        def pool(x):
            return getattr(fastpool, name)(x, *given.arguments, **given.options)

        output = jax.jit(pool)(x)
        assert_same(np.asarray(output), expected(name, given))
        weights = RNG.integers(-9, 9, output.shape).astype(np.float32)
        found = jax.jit(jax.grad(lambda x: (pool(x) * weights).sum()))(x)
        assert_same(np.asarray(found), gradient(name, given, weights))

    @pytest.mark.parametrize("form", ["flat", "window"])
    def test_indices_beside_gradients(self, form):
        x = as_jax(case("maxpool2d").inputs[0])

        def loss(x):
            output, indices = fastpool.maxpool2d(x, 3, 2, return_indices=True, index_format=form)
            return (output**2).sum(), indices

        found, indices = jax.jit(jax.grad(loss, has_aux=True))(x)
        right = jax.grad(lambda x: (fastpool.maxpool2d(x, 3, 2) ** 2).sum())(x)
        assert_same(np.asarray(found), np.asarray(right))
        taken = fastpool.maxpool2d(
            np.asarray(x), 3, 2, return_indices=True, index_format=form
        ).indices
        assert np.array_equal(np.asarray(indices), taken)

    def test_vmap(self):
        x = as_jax(case("maxpool2d").inputs[0])
        each = jax.vmap(lambda x: fastpool.maxpool2d(x, 2, return_indices=True), in_axes=1)(x)
        whole = fastpool.maxpool2d(jax.numpy.moveaxis(x, 1, 0), 2, return_indices=True)
        assert type(each) is fastpool.PoolResult
        for a, b in zip(each, whole, strict=True):
            assert_same(np.asarray(a), np.asarray(b))

    @pytest.mark.parametrize("form", ["flat", "window"])
    @pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
    def test_gradient_of_unpooling(self, form, layout):
        """Every value gets what stands at its index."""
        x = RNG.standard_normal((2, 4, 6, 2)).astype(np.float32)
        options = {"index_format": form, "layout": layout}
        output, indices = fastpool.maxpool2d(x, 2, return_indices=True, **options)
        weights = RNG.standard_normal(x.shape).astype(np.float32)

        def loss(values):
            spread = fastpool.maxunpool2d(values, indices, 2, **options)
            return (spread * weights[:, : spread.shape[1], : spread.shape[2]]).sum()

        found = jax.grad(loss)(as_jax(output))
        ones = np.zeros_like(output)
        step = np.float32(1)
        at = (1, 0, 1, 0)
        ones[at] = step
        assert found.shape == output.shape
        assert np.asarray(found)[at] == np.asarray(loss(as_jax(ones)))

    @pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
    @pytest.mark.parametrize("name", ["maxunpool2d", "maxpool2d_backward"])
    def test_gradient_through_vmap(self, name, layout):
        """Of values that all indices share, and of indices that all values share."""
        x = RNG.standard_normal((3, 6, 6, 6)).astype(np.float32)
        values, indices = fastpool.maxpool2d(x, 2, return_indices=True, layout=layout)
        rest = ((6, 6, 6), 2) if "backward" in name else (2,)
        weights = as_jax(RNG.integers(-9, 9, x.shape).astype(np.float32))

        def route(values, indices):
            return getattr(fastpool, name)(values, indices, *rest, layout=layout)

        def one(values, indices, weights):
            return (route(values, indices) * weights).sum()

        weights = weights[(slice(None), *map(slice, route(values[0], indices[0]).shape))]
        parts = zip(indices, weights, strict=True)
        right = sum(jax.grad(one)(as_jax(values[0]), *each) for each in parts)
        shared = lambda v: jax.vmap(one, (None, 0, 0))(v, indices, weights).sum()  # noqa: E731
        np.testing.assert_allclose(jax.grad(shared)(as_jax(values[0])), right, rtol=1e-6)
        parts = zip(as_jax(values), weights, strict=True)
        right = [jax.grad(one)(value, indices[0], weight) for value, weight in parts]
        each = lambda v: jax.vmap(one, (0, None, 0))(v, indices[0], weights).sum()  # noqa: E731
        np.testing.assert_allclose(jax.grad(each)(as_jax(values)), right, rtol=1e-6)

    def test_gradient_of_the_gradient(self):
        given = case("maxpool2d_backward")
        values, indices = given.inputs

        def loss(values):
            return (fastpool.maxpool2d_backward(values, indices, *given.arguments) ** 2).sum()

        found = np.asarray(jax.grad(loss)(as_jax(values)))
        spread = expected("maxpool2d_backward", given)
        planes = spread.reshape(2, 3, -1)
        right = 2 * np.take_along_axis(planes, indices.reshape(2, 3, -1), -1)
        assert_same(found, right.reshape(found.shape))

    def test_a_wrong_index(self):
        given = case("maxpool2d_backward")
        values, indices = given.inputs
        bad = indices.copy()
        bad[1, 2, 0, 1] = 47
        with pytest.raises(Exception, match=r"indices\[1, 2, 0, 1\] = 47 is not a tap"):
            jax.block_until_ready(
                fastpool.maxpool2d_backward(as_jax(values), bad, *given.arguments)
            )

    def test_dtypes_that_jax_has_not(self):
        x = as_jax(np.zeros((1, 1, 4, 4), np.float32))
        with pytest.raises(TypeError, match="without jax_enable_x64"):
            fastpool.avgpool2d(x, 2, dtype="float64")
        assert fastpool.avgpool2d(x, 2, dtype="float16").dtype == np.float16


@needs["dask"]
class TestDask:
    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_nothing_is_computed(self, name):
        """Blocks that cannot be made, which nobody wants."""

        def fail(block):
            raise AssertionError("a block was computed")

        given = case(name)
        inputs = [
            as_dask(array)
            .map_blocks(fail, dtype=array.dtype, meta=np.empty((0,) * array.ndim))
            .astype(array.dtype)
            for array in given.inputs
        ]
        found = getattr(fastpool, name)(*inputs, *given.arguments)
        right = expected(name, given)
        assert found.shape == right.shape
        assert found.dtype == right.dtype
        with pytest.raises(AssertionError, match="a block was computed"):
            found.compute(scheduler="sync")

    def test_masked_blocks(self):
        x = dask.ma.masked_equal(dask.zeros((8, 8), chunks=4), 1)
        with pytest.raises(TypeError, match="maxpool2d: x is a masked array"):
            fastpool.maxpool2d(x, 2)


@needs["xarray"]
class TestXarray:
    @staticmethod
    def array(**changes):
        return xarray.DataArray(
            RNG.standard_normal((2, 7, 9)),
            dims=("time", "y", "x"),
            coords={
                "time": np.array(["2020-01-01", "2020-02-01"], "datetime64[ns]"),
                "y": np.arange(7.0) ** 2,
                "x": ("x", np.arange(9), {"units": "m"}),
                "hour": ("y", np.arange(7).astype("datetime64[h]").astype("datetime64[ns]")),
                "height": (("y", "x"), RNG.standard_normal((7, 9))),
                "letter": ("x", list("abcdefghi")),
                "scalar": 5,
            },
            name="temperature",
            attrs={"units": "K"},
        )

    @pytest.mark.parametrize("lazy", [False, pytest.param(True, marks=needs["dask"])])
    @pytest.mark.parametrize(("name", "method"), [("maxpool2d", "max"), ("minpool2d", "min")])
    def test_as_coarsen(self, name, method, lazy):
        x = self.array()
        if lazy:
            x = x.chunk(y=3)
        found = getattr(fastpool, name)(x, (2, 3))
        coarse = x.drop_vars("letter").coarsen(y=2, x=3, boundary="trim")
        xarray.testing.assert_identical(found, getattr(coarse, method)())
        assert (found.chunks is not None) == lazy

    @pytest.mark.parametrize(
        "windows",
        [{"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": 2, "dilation": 3},
         {"kernel_size": 2, "ceil_mode": True}, {"kernel_size": 3, "padding": 1},
         {"output_size": (3, 4)}],
    )  # fmt: skip
    def test_coordinates_of_other_windows(self, windows):
        """The mean over the cells of each window that lie inside."""
        x = self.array()
        adaptive = "output_size" in windows
        found = (fastpool.adaptive_maxpool2d if adaptive else fastpool.maxpool2d)(x, **windows)
        for dim, number in (("y", 0), ("x", 1)):
            cells = np.asarray(x[dim], np.float64)
            one = {k: v for k, v in windows.items() if k != "output_size"}
            if adaptive:
                line = fastpool.adaptive_avgpool1d(cells, windows["output_size"][number])
            else:
                ceil = one.pop("ceil_mode", False)
                line = fastpool.avgpool1d(
                    cells, one["kernel_size"], one.get("stride"), one.get("padding", 0), ceil,
                    False, dilation=one.get("dilation", 1),
                )  # fmt: skip
            np.testing.assert_allclose(found[dim].values, line, rtol=1e-15)
        assert found["height"].dims == ("y", "x")
        pool = fastpool.adaptive_avgpool2d if adaptive else fastpool.avgpool2d
        counted = {} if adaptive else {"count_include_pad": False}
        assert_same(found["height"].values, pool(x["height"].values, **windows, **counted))
        assert "letter" not in found.coords
        assert found["scalar"] == 5
        assert found.indexes["time"].equals(x.indexes["time"])
        assert found["x"].attrs == {"units": "m"}
        assert found["hour"].dtype.kind == "M"
        assert (found.name, found.attrs) == (x.name, x.attrs)

    def test_indices_have_no_units(self):
        output, indices = fastpool.maxpool2d(self.array(), 2, return_indices=True)
        assert output.attrs == {"units": "K"}
        assert indices.attrs == {}
        assert indices.coords.equals(output.coords)
        back = fastpool.maxpool2d_backward(output, indices, (2, 7, 9), 2)
        assert back.dims == ("time", "y", "x")
        assert set(back.coords) == {"time", "scalar"}

    def test_layout(self):
        """The pooled axes are those that the layout says."""
        x = self.array().transpose("y", "x", "time")
        found = fastpool.maxpool2d(x, 2, layout="NHWC")
        assert found.dims == ("y", "x", "time")
        right = fastpool.maxpool2d(self.array().transpose("time", "y", "x"), 2)
        xarray.testing.assert_identical(found["y"], right["y"])

    def test_other_dims(self):
        x = self.array()
        output, indices = fastpool.maxpool2d(x, 2, return_indices=True)
        turned = indices.rename(x="z")
        with pytest.raises(ValueError, match="has dims"):
            fastpool.maxpool2d_backward(output, turned, x.shape, 2)

    def test_attributes_are_dropped_where_xarray_is_told_so(self):
        with xarray.set_options(keep_attrs=False):
            found = fastpool.maxpool2d(self.array(), 2)
        assert found.attrs == {}
        assert found["x"].attrs == {}


class Speaking:
    """An array of a library that nobody knows, which speaks DLPack."""

    def __init__(self, array, device=(1, 0)):
        self.array, self.device, self.asked = array, device, 0

    def __dlpack__(self, **options):
        self.asked += 1
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device

    def __len__(self):
        raise AssertionError("nobody may look at its elements")

    __getitem__ = __len__


class Copying(Speaking):
    def __array__(self, dtype=None, copy=None):
        raise AssertionError("this copies")


class TestDlpack:
    @pytest.mark.parametrize("kind", [Speaking, Copying])
    def test_memory_is_shared(self, kind):
        """What is computed is computed from the same addresses."""
        from fastpool.rules.arrays import as_arrays

        x = RNG.standard_normal((3, 6, 8)).astype(np.float32)[:, ::2, 1:]
        speaker = kind(x)
        (taken,) = as_arrays("maxpool2d", ("x",), (speaker,))
        assert taken.__array_interface__["data"][0] == x.__array_interface__["data"][0]
        assert taken.strides == x.strides
        found = fastpool.maxpool2d(speaker, 2)
        assert type(found) is np.ndarray
        assert_same(found, fastpool.maxpool2d(x, 2))
        assert speaker.asked == 2

    def test_out_may_not_overlap_it(self):
        x = np.zeros((4, 4), np.float32)
        with pytest.raises(ValueError, match="overlaps another argument"):
            fastpool.maxpool2d(Speaking(x), 2, out=x[:2, :2])

    @pytest.mark.parametrize("kind", [Speaking, Copying])
    def test_another_device(self, kind):
        with pytest.raises(TypeError, match=r"another device than the CPU \(DLPack's number 2\)"):
            fastpool.maxpool2d(kind(np.zeros((4, 4)), (2, 0)), 2)

    def test_what_dlpack_lacks(self):
        """An array of another byte order has no such way, and goes by the other one."""

        class Both(Speaking):
            def __array__(self, dtype=None, copy=None):
                return self.array

        x = RNG.standard_normal((4, 6)).astype(">f4")
        assert_same(fastpool.maxpool2d(Both(x), 2), fastpool.maxpool2d(x, 2))
        with pytest.raises(TypeError, match="maxpool2d: x cannot be made an array"):
            fastpool.maxpool2d(Speaking(x), 2)


def named_torch():
    kind = type("Tensor", (), {"__array__": lambda self, dtype=None, copy=None: np.eye(4)})
    kind.__module__ = "torch"
    return kind()


class Meta(type):
    def __getattr__(cls, name):
        raise RuntimeError("no attribute for you")

    def __instancecheck__(cls, value):
        raise RuntimeError("no instance")

    def __subclasscheck__(cls, value):
        raise RuntimeError("no subclass")


class Hostile(metaclass=Meta):
    pass


class Lying:
    """It says that it is a tensor."""

    @property
    def __class__(self):
        if torch is None:
            raise RuntimeError("no class")
        return torch.Tensor

    def __array__(self, dtype=None, copy=None):
        return np.eye(4)


class TestHostileObjects:
    def test_a_name_is_not_a_type(self):
        assert fastpool.maxpool2d(named_torch(), 2).tolist() == [[1, 0], [0, 1]]
        assert fastpool.maxpool2d(Lying(), 2).tolist() == [[1, 0], [0, 1]]

    def test_metaclasses(self):
        with pytest.raises(TypeError, match="maxpool2d: x cannot be made an array"):
            fastpool.maxpool2d(Hostile(), 2)

    @pytest.mark.parametrize("method", ["__dlpack__", "__dlpack_device__"])
    def test_dlpack_that_raises(self, method):
        def fail(self, **options):
            raise KeyError("no")

        kind = type("Failing", (Speaking,), {method: fail})
        with pytest.raises(TypeError, match="maxpool2d: x cannot be made an array") as caught:
            fastpool.maxpool2d(kind(np.eye(4)), 2)
        assert isinstance(caught.value.__cause__, KeyError)

    @pytest.mark.parametrize("found", [None, object(), "text"])
    def test_modules_of_the_same_name(self, found, monkeypatch):
        for guest in guests.GUESTS:
            monkeypatch.setitem(sys.modules, guest.library, found)
        assert fastpool.maxpool2d(named_torch(), 2).tolist() == [[1, 0], [0, 1]]


def test_masked_arrays_are_referred():
    with pytest.raises(TypeError, match=r"maxpool2d: x is a masked array.*fastpool\.downsample"):
        fastpool.maxpool2d(np.ma.masked_equal(np.eye(4), 1), 2)


def test_subclasses_are_as_ever():
    class Own(np.ndarray):
        pass

    found = fastpool.maxpool2d(np.eye(4).view(Own), 2)
    assert type(found) is np.ndarray


def test_nothing_is_imported():
    """Not by NumPy arrays, nor by what becomes such, nor by a table of guests."""
    code = """
import sys
import numpy as np, fastpool
x = np.eye(8)
class Array:
    def __array__(self, dtype=None, copy=None):
        return x
for each in (x, x.tolist(), Array(), np.float32(x).view(np.ndarray)):
    fastpool.maxpool2d(each, 2)
    fastpool.lppool2d(each, 2, 2)
found = {"torch", "jax", "dask", "xarray", "pandas"}.intersection(sys.modules)
assert not found, found
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_adapters_by_name():
    for name in fastpool.interop.ADAPTERS:
        assert importlib.util.find_spec(f"fastpool.interop.{name}")
    with pytest.raises(AttributeError, match="no attribute 'cupy'"):
        fastpool.interop.cupy  # noqa: B018
    assert {guest.adapter for guest in guests.GUESTS} <= set(fastpool.interop.ADAPTERS)
