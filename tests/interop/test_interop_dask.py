"""Dask arrays: the bits of the whole array, whatever its chunks, on every scheduler."""

import doctest
import io
import math
import threading
from itertools import product
from unittest import mock

import numpy as np
import process
import pytest
import strategies
from bits import assert_same
from hypothesis import given
from hypothesis import strategies as st
from members import IDS, MEMBERS

import fastpool
from fastpool.cli import check

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

from dask.array import utils  # noqa: E402  (as the next)

from fastpool.interop import dask as adapter  # noqa: E402
from fastpool.interop.dask import forward  # noqa: E402

WINDOW = (3, 2, 1)


@pytest.fixture(autouse=True)
def in_this_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


def values(shape, dtype="float32", style="ties", seed=0):
    return check.adversarial(np.random.default_rng(seed), shape, check.dtype_of(dtype), style)


def assert_eq(*args, **options):
    """Dask's own; it compares by arithmetic, which a signalling NaN of 16 bits is invalid in."""
    with np.errstate(invalid="ignore"):
        utils.assert_eq(*args, **options)


def calls_of_chunks():
    """A mock that records how chunks are pooled."""
    return mock.patch.object(forward, "execute_call", wraps=forward.execute_call)


class TestAnyChunks:
    @pytest.mark.whole(backend="numba")
    @pytest.mark.whole
    @given(st.data(), strategies.geometries(), strategies.dtypes())
    def test_forward_and_backward(self, backend, data, case, dtype):
        shape, arguments = case
        options = {"backend": backend}
        x = values(shape, dtype.name, data.draw(st.sampled_from(check.STYLES)))
        chunked = da.from_array(x, chunks=data.draw(strategies.chunks(shape)))
        try:
            expected = fastpool.maxpool2d(x, **arguments, return_indices=True, **options)
        except ValueError as error:
            with pytest.raises(ValueError, match="maxpool2d") as caught:
                adapter.maxpool2d(chunked, **arguments)
            assert str(caught.value) == str(error)
            return
        found = adapter.maxpool2d(chunked, **arguments, return_indices=True, **options)
        assert isinstance(found, fastpool.PoolResult)
        for array, other in zip(found, expected, strict=True):
            assert_eq(array, other, equal_nan=True)
            assert_same(array.compute(), other)
        assert_same(adapter.maxpool2d(chunked, **arguments, **options).compute(), expected.output)

        gradient = values(expected.output.shape, dtype.name, "random", 1)
        rules = expected.indices, shape
        right = fastpool.maxpool2d_backward(gradient, *rules, **arguments, **options)
        for wanted in (None, data.draw(strategies.chunks(shape))):
            result = adapter.maxpool2d_backward(
                da.from_array(gradient, chunks=data.draw(strategies.chunks(gradient.shape))),
                found.indices, shape, **arguments, **options, chunks=wanted,
            )  # fmt: skip
            assert result.chunks == wanted or wanted is None
            assert_eq(result, right)
            assert_same(result.compute(), right)

    @given(st.data(), strategies.geometries(), st.booleans())
    @pytest.mark.whole
    def test_unpool(self, data, case, scattered):
        """Also where flat indices name cells anywhere, many of them several times."""
        shape, arguments = case
        x = values(shape, "int16", "random")
        try:
            output, indices = fastpool.maxpool2d(x, **arguments, return_indices=True)
        except ValueError:
            return
        arguments.pop("ceil_mode")
        at = -2 if arguments["layout"] == "NCHW" else -3
        plane = shape[at] * shape[at + 1]
        if scattered and arguments["index_format"] == "flat":
            rng = np.random.default_rng(data.draw(st.integers(0, 99)))
            indices = rng.integers(0, plane, indices.shape)
        arguments["output_size"] = shape
        chunked = [
            da.from_array(a, chunks=data.draw(strategies.chunks(a.shape)))
            for a in (output, indices)
        ]
        wanted = data.draw(st.one_of(st.none(), strategies.chunks(shape)))
        try:
            expected = fastpool.maxunpool2d(output, indices, **arguments)
        except ValueError as error:
            with pytest.raises(ValueError, match="maxunpool2d") as caught:
                adapter.maxunpool2d(*chunked, **arguments)
            assert str(caught.value) == str(error)
            return
        except IndexError:
            with pytest.raises(IndexError, match="maxunpool2d"):
                adapter.maxunpool2d(*chunked, **arguments).compute()
            return
        result = adapter.maxunpool2d(*chunked, **arguments, chunks=wanted)
        assert_eq(result, expected)
        assert_same(result.compute(), expected)


@pytest.mark.whole(backend="numba")
@pytest.mark.parametrize("member", MEMBERS, ids=IDS)
@pytest.mark.parametrize("index_format", ["flat", "window"])
def test_any_number_of_axes(member, index_format, backend):
    """In two kinds of chunks, each of the windows of every member, in both layouts."""
    names = [function.__name__ for function in (member.pool, member.backward, member.unpool)]
    pool, backward, unpool = (getattr(adapter, name) for name in names)
    rng = np.random.default_rng(0)
    for windows, layout in product(member.windows, member.layouts):
        shape = (2, *member.sizes, 3) if layout.endswith("C") else (2, *member.sizes)
        x = values(shape)
        options = {"layout": layout, "index_format": index_format, "backend": backend}
        right = member.pool(x, **windows, return_indices=True, **options)
        gradient = values(right.output.shape, style="random")
        routed = member.backward(gradient, right.indices, shape, **windows, **options)
        rest = {name: each for name, each in windows.items() if name != "ceil_mode"}
        rest.update(output_size=shape, **options)
        anywhere = rng.integers(0, math.prod(member.sizes), right.indices.shape)
        for size in (3, (2, *(5,) * (x.ndim - 1))):
            pooled = pool(da.from_array(x, chunks=size), **windows, return_indices=True, **options)
            for found, expected in zip(pooled, right, strict=True):
                assert_same(found.compute(), expected)
            values_ = da.from_array(gradient, chunks=size)
            for wanted in (None, size):
                found = backward(
                    values_, pooled.indices, shape, **windows, **options, chunks=wanted
                )
                assert_same(found.compute(), routed)
                for codes in (right.indices, anywhere)[: 1 + (index_format == "flat")]:
                    found = unpool(values_, codes, **rest, chunks=wanted)
                    assert_same(found.compute(), member.unpool(gradient, codes, **rest))


def test_the_later_of_equal_indices_wins_across_chunks():
    """Values of several chunks for one cell, in another order than that of the chunks."""
    x = np.arange(1, 37.0).reshape(6, 6)
    indices = np.full((6, 6), 77)
    indices[4, 0] = 78
    for sizes in ((6, 6), (2, 3), (3, 2), (1, 1), ((1, 5), (4, 2))):
        result = adapter.maxunpool2d(da.from_array(x, chunks=sizes), indices, 2, chunks=(5, 5))
        assert_same(result.compute(), fastpool.maxunpool2d(x, indices, 2))


class TestBadIndices:
    @pytest.mark.parametrize("form", ["flat", "window"])
    @pytest.mark.parametrize("bad", [-1, 10**6, 2**32 + 3, np.iinfo(np.int64).min])
    def test_the_place_is_that_in_the_whole_array(self, form, bad):
        x = values((2, 3, 12, 11))
        output, indices = fastpool.maxpool2d(x, *WINDOW, return_indices=True, index_format=form)
        indices = indices.astype(np.int64)
        indices[1, 2, 4, 3] = bad
        for arguments, function in (
            ((x.shape, *WINDOW), "maxpool2d_backward"),
            ((*WINDOW, x.shape), "maxunpool2d"),
        ):
            arguments = indices, *arguments
            with pytest.raises(IndexError) as expected:
                getattr(fastpool, function)(output, *arguments, index_format=form)
            lazy = getattr(adapter, function)(
                da.from_array(output, chunks=(1, 2, 2, 2)), *arguments, index_format=form
            )
            with pytest.raises(IndexError) as found:
                lazy.compute()
            assert str(found.value) == str(expected.value)

    def test_taps_of_other_windows(self):
        x = values((12, 12))
        output, indices = fastpool.maxpool2d(x, 2, return_indices=True)
        indices[3, 4] = 5
        lazy = adapter.maxpool2d_backward(da.from_array(output, chunks=3), indices, x.shape, 2)
        with pytest.raises(IndexError, match=r"indices\[3, 4\] = 5 is not a tap of its window"):
            lazy.compute()

    def test_cells_of_other_chunks(self):
        """Row 1, column 6: in a chunk of 6 columns it would be row 2, column 0."""
        x = values((12, 12))
        output, indices = fastpool.maxpool2d(x, 2, return_indices=True)
        indices[1, 0] = 18
        lazy = adapter.maxpool2d_backward(da.from_array(output, chunks=3), indices, x.shape, 2)
        with pytest.raises(IndexError, match=r"indices\[1, 0\] = 18 is not a tap of its window"):
            lazy.compute()

    def test_windows_without_a_cell(self):
        """Of an unpooling: whatever a window index says there, it is wrong."""
        x = da.from_array(np.ones((3, 3)), chunks=2)
        lazy = adapter.maxunpool2d(x, np.zeros((3, 3), int), 1, 3, 0, (5, 7), index_format="window")
        with pytest.raises(IndexError, match=r"indices\[2, \d\] = 0"):
            lazy.compute()


class TestGraph:
    def poisoned(self, shape, sizes):
        """An array whose chunks cannot be computed."""

        def poison(block):
            raise AssertionError("this was to be computed later, or never")

        return da.zeros(shape, chunks=sizes).map_blocks(poison, meta=np.empty((0,) * len(shape)))

    def test_nothing_is_computed_early(self):
        x = self.poisoned((2, 12, 12), (1, 5, 5))
        output, indices = adapter.maxpool2d(x, *WINDOW, return_indices=True)
        gradient = adapter.maxpool2d_backward(output, indices, x.shape, *WINDOW, chunks=x.chunks)
        unpooled = adapter.maxunpool2d(output, indices, *WINDOW, x.shape)
        listed = adapter.maxpool2d([x[0], x[1]], *WINDOW)
        for lazy in (output, indices, gradient, unpooled, listed):
            with pytest.raises(AssertionError, match="computed later"):
                lazy.compute()

    def test_only_what_is_needed_is_computed(self):
        """A corner of the output needs a corner of the input."""
        x = da.concatenate([da.ones((16, 30), chunks=8), self.poisoned((16, 30), (8, 8))])
        assert_same(adapter.maxpool2d(x, *WINDOW)[:3].compute(), np.ones((3, 15)))

    def test_it_grows_with_the_number_of_chunks(self):
        def tasks(count):
            x = da.zeros((1, count * 8, count * 8), chunks=(1, 8, 8))
            output, indices = adapter.maxpool2d(x, *WINDOW, return_indices=True)
            rest = output, indices
            lazies = (
                output,
                adapter.maxpool2d_backward(*rest, x.shape, *WINDOW, chunks=x.chunks),
                adapter.maxunpool2d(*rest, *WINDOW, x.shape),
                adapter.maxunpool2d(*rest, *WINDOW, x.shape, index_format="window"),
            )
            edges = [
                sum(len(deps) for deps in lazy.__dask_graph__().get_all_dependencies().values())
                for lazy in lazies
            ]
            return [len(lazy.__dask_graph__()) for lazy in lazies], edges

        few, many = tasks(6), tasks(24)
        for small, large in zip(few[0] + few[1], many[0] + many[1], strict=True):
            assert large < 20 * small  # 16 times as many chunks, and fewer at an edge
        assert max(many[0]) < 24**2 * 30

    def test_equal_calls_are_one(self):
        x = da.zeros((8, 8), chunks=4)
        assert adapter.maxpool2d(x, 2).name == adapter.maxpool2d(x, (2, 2), 2).name
        names = {
            adapter.maxpool2d(x, 2, backend="numpy").name,
            adapter.maxpool2d(x, 2, backend="auto").name,
            adapter.maxpool2d(x, 2, 1).name,
            adapter.maxpool2d(x, 2, 1, return_indices=True).output.name,
            adapter.maxpool2d(x + 1, 2).name,
        }
        assert len(names) == 5

    def test_output_and_indices_are_pooled_once(self):
        x = da.from_array(values((2, 12, 12)), chunks=(1, 5, 5))
        result = adapter.maxpool2d(x, *WINDOW, return_indices=True)
        with calls_of_chunks() as call:
            dask.compute(*result)
        assert call.call_count == result.output.npartitions

    def test_a_block_in_one_chunk_is_not_copied(self):
        seen = []
        x = da.zeros((1, 16, 16), chunks=(1, 8, 8), dtype=np.int8)
        x = x.map_blocks(lambda block: seen.append(block + 1) or seen[-1], meta=x._meta)
        with calls_of_chunks() as call:
            adapter.maxpool2d(x, 2).compute()
        assert call.call_count == 4
        for each in call.call_args_list:
            assert any(each.args[1][0] is block for block in seen)

    def test_halos_are_what_windows_reach(self):
        """Two rows and columns more of the next chunks, for windows of 3 at stride 1."""
        x = da.zeros((24, 24), chunks=8)
        with calls_of_chunks() as call:
            adapter.maxpool2d(x, 3, 1).compute()
        shapes = sorted(each.args[1][0].shape for each in call.call_args_list)
        assert shapes == sorted((a, b) for a in (10, 10, 8) for b in (10, 10, 8))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((30,), ValueError, r"maxpool2d: kernel_size \(30, 30\) does not fit"),
        ((2.0,), TypeError, "maxpool2d: kernel_size must be an integer"),
        ((2, 2, 0, 1, False, 1), TypeError, "maxpool2d: return_indices must be a bool"),
    ],
)
def test_wrong_arguments(arguments, error, text):
    with pytest.raises(error, match=text):
        adapter.maxpool2d(da.zeros((8, 8)), *arguments)


def test_wrong_arrays():
    x = da.zeros((8, 8), chunks=4)
    with pytest.raises(TypeError, match="x has dtype complex128"):
        adapter.maxpool2d(x.astype(complex), 2)
    with pytest.raises(ValueError, match="x has chunks of unknown sizes"):
        adapter.maxpool2d(x[x[:, 0] > 0], 2)
    with pytest.raises(TypeError, match="x is a masked array"):
        adapter.maxpool2d(np.ma.zeros((8, 8)), 2)
    with pytest.raises(TypeError, match="indices must be integers"):
        adapter.maxpool2d_backward(x[:4, :4], x[:4, :4], (8, 8), 2)
    with pytest.raises(ValueError, match="indices has shape"):
        adapter.maxpool2d_backward(x[:4, :4], da.zeros((4, 5), dtype=int), (8, 8), 2)
    with pytest.raises(ValueError, match="grad_output has shape"):
        adapter.maxpool2d_backward(x, da.zeros((8, 8), dtype=int), (8, 8), 2)
    with pytest.raises(ValueError, match="backend must be one of"):
        adapter.maxpool2d(x, 2, backend="cuda")


class TestMasks:
    """No way in drops a mask: blocks, halos, what is rechunked, indices, lists."""

    def array(self, shape, sizes, dtype=float):
        """An array of two by two blocks: the last alone is masked, and the meta does not say so.

        As of a reader that masks what is missing.
        """
        x = np.ones(shape, dtype)
        x[..., -1, -1] = 99

        def read(block):
            return np.ma.masked_equal(block, 99) if (block == 99).any() else block

        lazy = da.from_array(x, chunks=sizes)
        return lazy.map_blocks(read, dtype=dtype, meta=np.empty((0,) * x.ndim, dtype))

    def refused(self, lazy, parameter):
        text = (
            f"{lazy[0]}: {parameter} is a masked array, and masks are not supported; "
            "fastpool.downsample takes them"
        )
        with pytest.raises(TypeError) as caught:
            lazy[1].compute()
        assert str(caught.value) == text

    def test_masked_chunks(self):
        with pytest.raises(TypeError, match="x is a masked array"):
            adapter.maxpool2d(da.ma.masked_equal(da.zeros((8, 8)), 1), 2)

    # np.block joins pieces of 2**20 cells or more, together, in another way.
    @pytest.mark.parametrize("size", [8, 510, 511, 512])
    @pytest.mark.parametrize("window", [(2,), (3, 1, 1), (2, 3, 0, 5)])
    def test_blocks_of_any_size(self, size, window):
        """A block alone; four with halos; a halo's cells that the mask is far from."""
        x = self.array((2 * size, 2 * size), size)
        pooled = adapter.maxpool2d(x, *window)
        name = "maxpool2d"
        self.refused((name, pooled), "x")
        self.refused((name, pooled[-2:, -2:]), "x")
        self.refused((name, pooled[..., -1].sum()), "x")
        if pooled.numblocks == (2, 2) and window[1:] == (1, 1):
            self.refused((name, pooled[size - 1 : size, size - 1 : size]), "x")
        for lazy in adapter.maxpool2d(x, *window, return_indices=True):
            self.refused((name, lazy), "x")
        assert adapter.maxpool2d(x[:size], *window).compute().max() == 1

    @pytest.mark.parametrize("size", [8, 511])
    @pytest.mark.parametrize("form", ["flat", "window"])
    @pytest.mark.parametrize("wanted", [None, 100, -1])
    @pytest.mark.whole
    def test_gradients_and_unpooling(self, size, form, wanted):
        """Values and indices, whole or cut, and rechunked along all axes."""
        shape, whole = (2, 2 * size, 2 * size), (2, 4 * size, 4 * size)
        plain = np.ones(shape)
        indices = fastpool.maxpool2d(np.ones(whole), 2, return_indices=True, index_format=form)[1]
        masked = self.array(shape, (1, size, size))
        codes = da.from_array(indices, chunks=(1, size, size))
        codes = codes.map_blocks(lambda block: np.ma.array(block), meta=codes._meta)
        options = {"index_format": form, "chunks": wanted}
        for name, values, rest in (
            ("maxpool2d_backward", "grad_output", (whole, 2)),
            ("maxunpool2d", "x", (2,)),
        ):
            function = getattr(adapter, name)
            self.refused((name, function(masked, indices, *rest, **options)), values)
            self.refused((name, function(plain, codes, *rest, **options)), "indices")

    def test_strays(self):
        """Values that flat indices send to other chunks are looked for before a chunk is made."""
        x, indices = self.array((16, 16), 8), np.zeros((16, 16), int)
        self.refused(("maxunpool2d", adapter.maxunpool2d(x, indices, 2, chunks=16)[:1]), "x")

    def test_channels_last(self):
        x = self.array((16, 16, 2), (8, 8, 2))
        pooled = adapter.maxpool2d(x, 3, 1, 1, layout="NHWC")
        for lazy in (pooled, pooled[:1, :1]):
            self.refused(("maxpool2d", lazy), "x")

    @pytest.mark.parametrize("dimensions", [1, 3])
    def test_other_numbers_of_axes(self, dimensions):
        name = f"maxpool{dimensions}d"
        x = self.array((8,) * 3, (4,) * 3)
        pooled = getattr(adapter, name)(x, 3, 1, 1)
        corner = [slice(-1, None)] * (3 - dimensions) + [slice(1)] * dimensions
        for lazy in (pooled, pooled[tuple(corner)]):
            self.refused((name, lazy), "x")

    def test_lists(self):
        plain, masked = np.zeros((8, 8)), np.ma.zeros((8, 8))
        lazy = da.zeros((8, 8), chunks=4)
        for x in (
            [plain, masked],
            [lazy, masked],
            [[lazy], [masked]],
            [lazy, da.ma.masked_equal(lazy, 1)],
        ):
            with pytest.raises(TypeError, match="maxpool2d: x is a masked array"):
                adapter.maxpool2d(x, 2)
        self.refused(("maxpool2d", adapter.maxpool2d([self.array((8, 8), 4)] * 2, 2)), "x")


def test_blocks_of_other_dtypes_than_the_array_says():
    """As of a reader that learns the dtype of a file late."""

    def told(value, dtype):
        x = da.zeros((8, 8), chunks=4, dtype=dtype)
        return x.map_blocks(lambda block: block.astype(value), meta=x._meta)

    assert_same(
        adapter.maxpool2d(told("float32", "float64"), 3, 1, 1).compute(), np.zeros((8, 8), "f4")
    )
    with pytest.raises(TypeError, match="x has dtype complex128"):
        adapter.maxpool2d(told(complex, float), 2).compute()
    codes = told(float, int)
    for form in ("flat", "window"):
        lazy = adapter.maxpool2d_backward(np.ones((8, 8)), codes, (16, 16), 2, index_format=form)
        with pytest.raises(TypeError, match="indices must be integers, got dtype float64"):
            lazy.compute()


def test_gradients_of_numpy_are_chunked_as_the_indices():
    indices = adapter.maxpool2d(da.zeros((12, 12), chunks=6), 2, return_indices=True).indices
    gradient = adapter.maxpool2d_backward(np.ones((6, 6)), indices, (12, 12), 2)
    assert gradient.chunks == ((6, 6), (6, 6))


@pytest.mark.parametrize("index_format", ["flat", "window"])
@pytest.mark.parametrize(("shape", "layout"), strategies.EMPTY)
def test_empty_axes(backend, shape, layout, index_format):
    options = {"layout": layout, "index_format": index_format, "backend": backend}
    x = np.zeros(shape, np.float32)
    expected = fastpool.maxpool2d(x, 2, return_indices=True, **options)
    for sizes in (-1, 3):
        chunked = da.from_array(x, chunks=sizes)
        pooled = adapter.maxpool2d(chunked, 2, return_indices=True, **options)
        for array, right in zip(pooled, expected, strict=True):
            assert_same(array.compute(), right)
        assert_same(adapter.maxpool2d(chunked, 2, **options).compute(), expected.output)
        for wanted in (None, chunked.chunks):
            more = {"chunks": wanted, **options}
            gradient = adapter.maxpool2d_backward(*pooled, shape, 2, **more)
            assert_same(gradient.compute(), x)
            arguments = *pooled, 2, None, 0, (7, 8)
            assert_same(adapter.maxunpool2d(*arguments, **more).compute(), x)


def test_arrays_of_numpy_and_empty_ones():
    x = values((2, 8, 8))
    assert_same(adapter.maxpool2d(x, 2).compute(), fastpool.maxpool2d(x, 2))
    empty = da.zeros((0, 3, 8, 8), chunks=(1, 2, 3, 3))
    output, indices = adapter.maxpool2d(empty, 2, return_indices=True)
    assert output.compute().shape == (0, 3, 4, 4)
    assert adapter.maxpool2d_backward(output, indices, empty.shape, 2).compute().size == 0
    assert adapter.maxunpool2d(output, indices, 2).compute().shape == empty.shape


def test_the_backend_is_the_callers():
    """As it is when the graph is built, not where a task runs."""
    x = da.from_array(values((2, 12, 12)), chunks=(1, 5, 5))
    with fastpool.use_backend("numpy"):
        lazy = adapter.maxpool2d(x, 2)
    with calls_of_chunks() as call:
        lazy.compute()
    assert {each.args[3] for each in call.call_args_list} == {"numpy"}


@pytest.mark.numba
@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_one_thread_a_task(scheduler):
    fastpool.available_backends()
    from fastpool.backends.numba.compile import launch as launching

    x = da.from_array(values((4, 512, 512), style="random"), chunks=(1, 512, 512))
    with mock.patch.object(launching, "_run_parallel", wraps=launching._run_parallel) as launch:
        output, indices = adapter.maxpool2d(x, 2, return_indices=True, backend="numba")
        gradient = adapter.maxpool2d_backward(output, indices, x.shape, 2, backend="numba")
        gradient.compute(scheduler=scheduler)
    assert launch.call_count == 0


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
@pytest.mark.whole
def test_schedulers(scheduler):
    x = values((2, 40, 40), style="random")
    chunked = da.from_array(x, chunks=(1, 13, 17))
    expected = fastpool.maxpool2d(x, *WINDOW, return_indices=True)
    output, indices = adapter.maxpool2d(chunked, *WINDOW, return_indices=True)
    gradient = adapter.maxpool2d_backward(output, indices, x.shape, *WINDOW)
    found = dask.compute(output, indices, gradient, scheduler=scheduler, num_workers=2)
    right = fastpool.maxpool2d_backward(*expected, x.shape, *WINDOW)
    for array, other in zip(found, (*expected, right), strict=True):
        assert_same(array, other)


def test_progress_bar():
    from dask.diagnostics import ProgressBar

    printed = io.StringIO()
    with ProgressBar(out=printed, dt=0.01):
        adapter.maxpool2d(da.zeros((64, 64), chunks=16), 3).compute(scheduler="threads")
    assert "100% Completed" in printed.getvalue()
    for thread in threading.enumerate():
        assert "timer" not in thread.name.lower() or not thread.is_alive()


class TestFiles:
    def test_memory_mapped(self, tmp_path):
        x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (300, 200))
        x[...] = np.random.default_rng(0).integers(0, 255, x.shape)
        out = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", np.uint8, (150, 100))
        da.store(adapter.maxpool2d(da.from_array(x, chunks=64), 2), out)
        assert_same(np.load(tmp_path / "y.npy"), fastpool.maxpool2d(np.asarray(x), 2))

    @pytest.mark.filterwarnings("ignore")  # zarr's and Dask's own, about each other
    def test_zarr(self, tmp_path):
        pytest.importorskip("zarr")
        x = np.random.default_rng(0).integers(0, 255, (300, 200)).astype(np.int16)
        da.from_array(x, chunks=64).to_zarr(str(tmp_path / "x.zarr"))
        lazy = adapter.maxpool2d(da.from_zarr(str(tmp_path / "x.zarr")), 3, 2, 1)
        lazy.rechunk(64).to_zarr(str(tmp_path / "y.zarr"))
        found = da.from_zarr(str(tmp_path / "y.zarr")).compute()
        assert_same(found, fastpool.maxpool2d(x, 3, 2, 1))


CLUSTER = """
import faulthandler, os, signal, sys, tempfile, time, warnings
faulthandler.dump_traceback_later(200, exit=True)
warnings.simplefilter("ignore")  # Dask's own, about this machine
import numpy as np, dask, dask.array as da
from pathlib import Path
from distributed import Client, LocalCluster, wait
import fastpool, fastpool.interop.dask as fd

def cluster(**options):
    return Client(LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, **options))
"""


def on_a_cluster(code):
    """Run code in a process of its own, which starts the workers."""
    pytest.importorskip("distributed")
    return process.run(CLUSTER + code)


@pytest.mark.whole
def test_two_processes_and_one_that_is_killed():
    """Midway: some chunks are made, and the others only once a worker is dead."""
    code = """
folder = Path(tempfile.mkdtemp())

def slow(block):
    (folder / os.urandom(8).hex()).touch()
    while len(list(folder.iterdir())) > 10 and not (folder / "go").exists():
        time.sleep(0.01)
    return block

x = np.random.default_rng(0).standard_normal((2, 96, 96))
output, indices = fastpool.maxpool2d(x, 3, 2, 1, return_indices=True)
right = output, indices, fastpool.maxpool2d_backward(output, indices, x.shape, 3, 2, 1)
with cluster() as client:
    chunked = da.from_array(x, chunks=(1, 20, 20)).map_blocks(slow, dtype=x.dtype)
    lazy = fd.maxpool2d(chunked, 3, 2, 1, return_indices=True)
    gradient = fd.maxpool2d_backward(*lazy, x.shape, 3, 2, 1, chunks=chunked.chunks)
    futures = client.compute([*lazy, gradient])
    while len(list(folder.iterdir())) <= 10:
        time.sleep(0.01)
    assert not all(future.done() for future in futures)
    nanny = next(iter(client.cluster.workers.values()))
    os.kill(nanny.pid, signal.SIGKILL)
    (folder / "go").touch()
    found = client.gather(futures)
    assert len(list(folder.iterdir())) > chunked.npartitions + 1  # some were made again
for array, other in zip(found, right):
    assert array.tobytes() == other.tobytes()
print("done")
"""
    assert on_a_cluster(code) == "done"


@pytest.mark.whole
def test_larger_than_memory():
    """Four times what the two workers may use together, with nothing put aside on disk."""
    code = """
import resource
dask.config.set({
    "distributed.worker.memory.target": False, "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": 0.9, "distributed.worker.memory.terminate": 0.95,
})
LIMIT, SIZE = 450 * 10**6, 60 * 1024

def made(block_info):
    rows, columns = (np.arange(*pair) for pair in block_info[None]["array-location"])
    return (rows * 7).astype(np.uint8)[:, None] ^ (columns * 11 // 8).astype(np.uint8)

with cluster(memory_limit=LIMIT) as client:
    x = da.map_blocks(made, chunks=da.core.normalize_chunks(2048, (SIZE, SIZE)), dtype=np.uint8)
    assert x.nbytes > 4 * 2 * LIMIT
    lazy = fd.maxpool2d(x, 9, 8, 4)
    sums = lazy.sum(axis=1, dtype=np.uint64)
    found, corner = client.gather(client.compute([sums, lazy[100:300, 300:600]]))
    most = client.run(lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    assert len(most) == 2 and max(most.values()) < LIMIT, most
assert len(found) == SIZE // 8
part = x[800 - 8:2400, 2400 - 8:4800].compute(scheduler="synchronous")
assert corner.tobytes() == fastpool.maxpool2d(part, 9, 8, 4)[1:, 1:].tobytes()
print("done")
"""
    assert on_a_cluster(code) == "done"


def test_examples():
    result = doctest.testmod(adapter)
    assert result.attempted > 4
    assert result.failed == 0


def test_nothing_is_imported_unasked():
    code = """
    import sys
    import fastpool, fastpool.interop
    assert "dask" not in sys.modules
    import fastpool.interop.dask
    print(sorted({"torch", "jax", "numba", "distributed"} & set(sys.modules)))
    """
    assert process.run(code) == "[]"


def test_window_indices_that_are_taken_for_flat_ones():
    """An error while the graph is made."""
    x = da.zeros((1, 32, 32), chunks=8)
    pooled = adapter.maxpool2d(x, 2, return_indices=True, index_format="window")
    with pytest.raises(TypeError, match=r"cannot count the 1024 cells.*index_format"):
        adapter.maxunpool2d(*pooled, 2)
    with pytest.raises(TypeError, match=r"cannot count the 1024 cells.*index_format"):
        adapter.maxpool2d_backward(*pooled, x.shape, 2)


@pytest.mark.parametrize("named", [{"dtype": "float32"}, {"meta": np.empty((0,) * 3, "float32")}])
def test_map_blocks(named):
    """It tries the function on one cell, unless it is told what that returns."""
    x = da.from_array(values((4, 8, 8)), chunks=(2, 4, 4))
    chunks = (2, 2), (2, 2), (2, 2)
    with pytest.raises(ValueError, match="does not fit"):
        x.map_blocks(fastpool.maxpool2d, 2, chunks=chunks)
    pooled = x.map_blocks(fastpool.maxpool2d, 2, chunks=chunks, **named)
    assert_same(pooled.compute(), fastpool.maxpool2d(x.compute(), 2))
