"""What a wrong call is told, word for word where it matters, and that it writes nothing."""

import collections
import contextlib

import numpy as np
import numpy.ma.mrecords
import oracle
import pytest
from bits import assert_same

import fastpool
from fastpool.cli.check import MEMORIES, in_memory
from fastpool.rules.arrays import OVERLAP_WORK

X = np.arange(48.0, dtype=np.float32).reshape(1, 3, 4, 4)
OUTPUT, INDICES = fastpool.maxpool2d(X, 2, return_indices=True, backend="numpy")


def forward(x=X, kernel_size=2, **options):
    return fastpool.maxpool2d(x, kernel_size, **options)


def backward(grad_output=OUTPUT, indices=INDICES, input_shape=X.shape, kernel_size=2, **options):
    return fastpool.maxpool2d_backward(grad_output, indices, input_shape, kernel_size, **options)


def unpool(x=OUTPUT, indices=INDICES, kernel_size=2, **options):
    return fastpool.maxunpool2d(x, indices, kernel_size, **options)


def function_name(function):
    return {forward: "maxpool2d", backward: "maxpool2d_backward", unpool: "maxunpool2d"}[function]


EVERY = pytest.mark.parametrize("function", [forward, backward, unpool])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"kernel_size": 5},
            "maxpool2d: kernel_size (5, 5) does not fit the padded input (4, 4); "
            "x has shape (1, 3, 4, 4)",
        ),
        (
            {"kernel_size": 3, "dilation": (1, 3)},
            "maxpool2d: kernel_size (3, 3) with dilation (1, 3) spans (3, 7) and does not fit "
            "the padded input (4, 4); x has shape (1, 3, 4, 4)",
        ),
        (
            {"x": np.ones((1, 1, 1, 1)), "stride": 1, "padding": 1, "dilation": 2},
            "maxpool2d: window 0 of the height axis holds no input cell (kernel_size (2, 2), "
            "stride (1, 1), padding ((1, 1), (1, 1)), dilation (2, 2)); "
            "x has shape (1, 1, 1, 1)",
        ),
        (
            {"padding": ((0, 0), (0, 3)), "stride": 1},
            "maxpool2d: window 4 of the width axis holds no input cell (kernel_size (2, 2), "
            "stride (1, 1), padding ((0, 0), (0, 3)), dilation (1, 1)); "
            "x has shape (1, 3, 4, 4)",
        ),
        ({"kernel_size": 0}, "maxpool2d: kernel_size must be at least 1, got 0"),
        ({"stride": (1, -1)}, "maxpool2d: stride must be at least 1, got -1"),
        ({"stride": 0}, "maxpool2d: stride must be at least 1, got 0"),
        ({"dilation": 0}, "maxpool2d: dilation must be at least 1, got 0"),
        ({"padding": -1}, "maxpool2d: padding must be at least 0, got -1"),
        (
            {"padding": "full"},
            "maxpool2d: padding must be one of ('valid', 'same'), got 'full'",
        ),
        (
            {"kernel_size": (2, 2, 2)},
            "maxpool2d: kernel_size must be an integer or a pair, got (2, 2, 2)",
        ),
        ({"layout": "CHWN"}, "maxpool2d: layout must be one of ('NCHW', 'NHWC'), got 'CHWN'"),
        (
            {"index_format": "torch"},
            "maxpool2d: index_format must be one of ('flat', 'window'), got 'torch'",
        ),
        (
            {"x": np.ones(4)},
            "maxpool2d: x needs at least 2 axes in layout 'NCHW', got shape (4,)",
        ),
        (
            {"backend": "cuda"},
            "maxpool2d: backend must be one of ('auto', 'numpy', 'numba'), got 'cuda'",
        ),
    ],
)
def test_value_errors_of_forward(options, message):
    with pytest.raises(ValueError) as caught:
        forward(**options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 2.0}, "maxpool2d: kernel_size must be an integer, got float"),
        ({"kernel_size": (2, 2.0)}, "maxpool2d: kernel_size must be an integer, got float"),
        ({"kernel_size": True}, "maxpool2d: kernel_size must be an integer, got True"),
        ({"kernel_size": None}, "maxpool2d: kernel_size must be an integer, got NoneType"),
        ({"stride": "2"}, "maxpool2d: stride must be an integer, got str"),
        ({"padding": ((1, 1), 1)}, "maxpool2d: padding must be an integer, got tuple"),
        ({"ceil_mode": 1}, "maxpool2d: ceil_mode must be a bool, got int"),
        ({"return_indices": "no"}, "maxpool2d: return_indices must be a bool, got str"),
        ({"layout": None}, "maxpool2d: layout must be one of ('NCHW', 'NHWC'), got NoneType"),
        (
            {"backend": 1},
            "maxpool2d: backend must be one of ('auto', 'numpy', 'numba'), got int",
        ),
        (
            {"x": X.astype(complex)},
            "maxpool2d: x has dtype complex128; supported are float16, bfloat16, float32, "
            "float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64, bool",
        ),
        ({"out": [X]}, "maxpool2d: out must be a NumPy array, got list"),
        (
            {"out": OUTPUT, "return_indices": True},
            "maxpool2d: out must be a pair (output, indices) with return_indices",
        ),
    ],
)
def test_type_errors_of_forward(options, message):
    forward(kernel_size=(2, 2))  # what a cache remembers must not let (2, 2.0) pass
    with pytest.raises(TypeError) as caught:
        forward(**options)
    assert str(caught.value) == message


@EVERY
@pytest.mark.parametrize(
    "values",
    [
        np.zeros(OUTPUT.shape, object),
        np.zeros(OUTPUT.shape, "U1"),
        np.zeros(OUTPUT.shape, "S2"),
        np.zeros(OUTPUT.shape, "M8[s]"),
        np.zeros(OUTPUT.shape, "m8[s]"),
        np.zeros(OUTPUT.shape, "V2"),
        np.zeros(OUTPUT.shape, np.complex64),
        np.zeros(OUTPUT.shape, np.longdouble),
        np.zeros(OUTPUT.shape, [("a", np.float32)]),
    ],
    ids=lambda values: str(values.dtype),
)
def test_unsupported_dtypes(function, values):
    with pytest.raises(TypeError, match="supported are float16, bfloat16, float32"):
        function(values)


class Guest:
    """What makes an array of itself."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


class Sequence:
    """What NumPy takes for a list."""

    def __init__(self, *entries):
        self.entries = entries

    def __len__(self):
        return len(self.entries)

    def __getitem__(self, at):
        return self.entries[at]


def hidden_masks():
    """Values of the output's shape that hold a mask, set or not."""
    masked, plain = np.ma.masked_array(OUTPUT, OUTPUT > 30), np.asarray(OUTPUT)
    constant = plain.tolist()
    constant[0][2][1][0] = np.ma.masked
    return {
        "array": masked,
        "nothing masked": np.ma.masked_array(OUTPUT),
        "records": np.ma.mrecords.MaskedRecords(OUTPUT.shape, [("a", "f4")]),
        "list": [masked[0]],
        "tuple": (masked[0],),
        "last of many": [[plain[0, 0], plain[0, 1], masked[0, 2]]],
        "nested": [([list(rows) for rows in masked[0, :2]] + [plain[0, 2]])],
        "rows": [[[np.ma.masked_array(row, False) for row in rows] for rows in plain[0]]],
        "constant": constant,
        "deque": collections.deque([masked[0]]),
        "sequence": Sequence(Sequence(*masked[0])),
        "guest": Guest(masked),
        "list of guests": [[Guest(plain[0, 0]), plain[0, 1], Guest(masked[0, 2])]],
    }


@EVERY
@pytest.mark.parametrize("kind", hidden_masks())
def test_masked_arrays(function, kind):
    values = hidden_masks()[kind]
    name = "grad_output" if function is backward else "x"
    refusal = "masks are not supported; fastpool.downsample takes them"
    message = f"{function_name(function)}: {name} is a masked array, and {refusal}"
    with pytest.raises(TypeError) as caught:
        function(values)
    assert str(caught.value) == message


@pytest.mark.parametrize("function", [backward, unpool])
@pytest.mark.parametrize("kind", hidden_masks())
def test_masked_indices(function, kind):
    with pytest.raises(TypeError) as caught:
        function(indices=hidden_masks()[kind])
    message = (
        "indices is a masked array, and masks are not supported; fastpool.downsample takes them"
    )
    assert str(caught.value) == f"{function_name(function)}: {message}"


def test_masked_outputs():
    """Whatever `out` is, it is an array of its own: no list of arrays, and no guest."""
    for out in hidden_masks().values():
        with pytest.raises(TypeError, match="out must be a NumPy array"):
            forward(out=out)
        for pair in ((out, INDICES.copy()), (OUTPUT.copy(), out)):
            with pytest.raises(TypeError, match="out must be a NumPy array"):
                forward(out=pair, return_indices=True)


def test_masked_arrays_as_objects():
    values = np.empty(2, object)
    values[:] = [np.ma.zeros((4, 4)), np.zeros((4, 4))]
    for each in (values, [values, values], list(values)):
        with pytest.raises(TypeError, match=r"has dtype object|is a masked array"):
            forward(each)


def test_masked_sizes():
    """NumPy's own `__index__` of a masked array ignores the mask."""
    for value in (np.ma.masked_array(2, True), np.ma.masked_array([2, 2], [True, False])):
        with pytest.raises(TypeError, match="kernel_size must be an integer, got a masked array"):
            forward(kernel_size=value)


def test_guests_and_sequences_without_masks():
    for values in (
        Guest(X), [Guest(X[0])], Sequence(*X), collections.deque(X),
        list(map(list, X)), [[[list(map(np.float32, row)) for row in rows] for rows in X[0]]],
        [[[memoryview(row) for row in rows] for rows in X[0]]],
    ):  # fmt: skip
        assert_same(forward(values), OUTPUT)


def test_lists_that_hold_themselves():
    """Twice: every level has twice as many, to no end."""
    endless = []
    endless += [endless, endless]
    deep = []
    for _ in range(10**5):
        deep = [deep]
    for values in (endless, deep, [[endless]], (deep, deep)):
        with pytest.raises((TypeError, ValueError), match="x cannot be made an array"):
            forward(values)


@EVERY
def test_ragged_lists(function):
    with pytest.raises(ValueError, match=r"(x|grad_output) cannot be made an array"):
        function([[1, 2], [3]])


@pytest.mark.parametrize("function", [backward, unpool])
@pytest.mark.parametrize("dtype", [np.float32, bool, complex, object])
def test_indices_must_be_integers(function, dtype):
    with pytest.raises(TypeError, match="indices must be integers, got dtype"):
        function(indices=INDICES.astype(dtype))


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (
            backward,
            {"grad_output": np.ones((1, 1, 2, 2))},
            "maxpool2d_backward: grad_output has shape (1, 1, 2, 2), required is (1, 3, 2, 2)",
        ),
        (
            backward,
            {"indices": np.ones((1, 4, 3, 1), int)},
            "maxpool2d_backward: indices has shape (1, 4, 3, 1), required is (1, 3, 2, 2)",
        ),
        (
            backward,
            {"input_shape": (1, 3, 6, 6)},
            "maxpool2d_backward: grad_output has shape (1, 3, 2, 2), required is (1, 3, 3, 3)",
        ),
        (
            backward,
            {"input_shape": (-1, 3, 4, 4)},
            "maxpool2d_backward: input_shape must be at least 0, got -1",
        ),
        (
            unpool,
            {"indices": np.ones((1, 3, 2, 1), int)},
            "maxunpool2d: indices has shape (1, 3, 2, 1), required is (1, 3, 2, 2)",
        ),
        (
            unpool,
            {"output_size": (6, 4)},
            "maxunpool2d: output_size (6, 4) is out of reach on the height axis, which must be "
            "3 to 5; x has shape (1, 3, 2, 2)",
        ),
        (
            unpool,
            {"output_size": (1, 2, 4, 4)},
            "maxunpool2d: output_size must be (height, width) or a shape that differs from "
            "that of x in its spatial axes only, got (1, 2, 4, 4)",
        ),
        (
            unpool,
            {"output_size": (4,)},
            "maxunpool2d: output_size must be (height, width) or a shape that differs from "
            "that of x in its spatial axes only, got (4,)",
        ),
        (
            unpool,
            {"padding": 4},
            "maxunpool2d: padding ((4, 4), (4, 4)) leaves nothing of the height axis, whose "
            "size would be -4; x has shape (1, 3, 2, 2)",
        ),
    ],
)
def test_value_errors_of_shapes(backend, function, options, message):
    with pytest.raises(ValueError) as caught:
        function(**options, backend=backend)
    assert str(caught.value) == message


@pytest.mark.parametrize("input_shape", [4, None, "44", (4.0, 4), (None, 4)])
def test_input_shape_must_be_integers(input_shape):
    with pytest.raises(TypeError, match="input_shape must be"):
        backward(input_shape=input_shape)


@pytest.mark.parametrize("output_size", [4, "44", (4.0, 4), (True, 4)])
def test_output_size_must_be_integers(output_size):
    with pytest.raises(TypeError, match="output_size must be"):
        unpool(output_size=output_size)


BAD = [-1, 16, 2**32 + 3, 2**63 - 1, -(2**63)]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("function", [backward, unpool])
@pytest.mark.whole(backend="numba")
def test_index_outside_the_plane(backend, function, bad):
    indices = INDICES.copy()
    indices[0, 2, 1, 0] = bad
    name = "maxpool2d_backward" if function is backward else "maxunpool2d"
    where = (
        "a tap of its window inside the input" if function is backward else "a cell of the plane"
    )
    with pytest.raises(IndexError) as caught:
        function(indices=indices, backend=backend)
    assert str(caught.value) == (
        f"{name}: indices[0, 2, 1, 0] = {bad} is not {where} (index_format 'flat', plane (4, 4))"
    )


@pytest.mark.parametrize("bad", [4, 255, 2**31, 2**64 - 1])
@pytest.mark.parametrize("function", [backward, unpool])
@pytest.mark.whole(backend="numba")
def test_code_outside_the_window(backend, function, bad):
    codes = np.zeros(INDICES.shape, np.uint64)
    codes[0, 1, 1, 1] = bad
    with pytest.raises(IndexError, match=rf"indices\[0, 1, 1, 1\] = {bad} is not"):
        function(indices=codes, index_format="window", backend=backend)


@pytest.mark.parametrize("function", [backward, unpool])
@pytest.mark.whole(backend="numba")
def test_code_in_the_padding(backend, function):
    options = {"padding": 1, "index_format": "window", "backend": backend}
    output, codes = fastpool.maxpool2d(np.ones((4, 4)), 2, return_indices=True, **options)
    if function is backward:
        options["input_shape"] = (4, 4)
    assert function(output, codes, **options).sum() == 9
    for position, bad in (((0, 0), 1), ((2, 1), 2), ((1, 2), 3)):
        wrong = codes.copy()
        wrong[position] = bad
        with pytest.raises(IndexError, match=rf"indices\[{position[0]}, {position[1]}\] = {bad} "):
            function(output, wrong, **options)


@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "shape", "position"),
    [
        (2, 2, 2, (3, 3), (0, 0)),  # the first row of windows lies in the padding
        (2, 2, ((0, 4), (0, 4)), (3, 3), (0, 1)),  # the last columns of windows
        (1, 3, ((1, 0), (0, 0)), (4, 4), (0, 0)),
        (2, 1, ((0, 5), (0, 0)), (7, 2), (3, 0)),
    ],
)
@pytest.mark.whole(backend="numba")
def test_unpooling_windows_without_a_cell(backend, kernel_size, stride, padding, shape, position):
    """No pooling has such windows, but an unpooling may, and no index is right for them."""
    x = np.ones((5, *shape), np.float32)
    codes = np.zeros(x.shape, np.uint8)
    if kernel_size == 2 and padding == 2:
        codes[:, 1:] = 3
    with pytest.raises(IndexError) as caught:
        fastpool.maxunpool2d(
            x, codes, kernel_size, stride, padding, index_format="window", backend=backend
        )
    assert f"indices{[0, *position]} = 0 is not a tap" in str(caught.value)


def test_backward_refuses_cells_of_other_windows(backend):
    """PyTorch adds such a gradient wherever the index points."""
    indices = INDICES.copy()
    indices[0, 0, 0, 0] = 2
    with pytest.raises(IndexError, match=r"indices\[0, 0, 0, 0\] = 2 is not a tap"):
        backward(indices=indices, backend=backend)
    with pytest.raises(IndexError):  # between the taps of a dilated window
        backward(np.ones((1, 1)), np.array([[1]]), (3, 3), 2, dilation=2, backend=backend)


@pytest.mark.parametrize("index_format", ["flat", "window"])
@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "dilation"),
    [(2, 2, 1, 1), (3, 1, 0, 1), ((2, 3), (2, 1), (0, 1), (2, 1)), (2, 1, 1, (1, 2))],
)
@pytest.mark.whole(backend="numba")
def test_every_index_of_every_window(backend, kernel_size, stride, padding, dilation, index_format):
    """Just those that name a cell of the window, in backward, or of the plane are taken."""
    shape = (5, 4)
    geometry = {"stride": stride, "padding": padding, "dilation": dilation}
    options = {**geometry, "index_format": index_format, "backend": backend}
    kernel, rows, columns = oracle.windows(
        shape, kernel_size, **geometry, ceil_mode=False, layout="NCHW"
    )
    values, indices = fastpool.maxpool2d(
        np.arange(20).reshape(shape), kernel_size, return_indices=True, **options
    )
    for oh, ow in np.ndindex(indices.shape):
        for code in range(-1, 21):
            wrong = indices.astype(np.int64)
            wrong[oh, ow] = code
            for function, sizes in ((backward, "input_shape"), (unpool, "output_size")):
                cell = oracle.cell_of(
                    code, (rows[oh], columns[ow]), kernel, shape, index_format, function is backward
                )
                taken = contextlib.nullcontext()
                if cell is None:
                    message = rf"indices\[{oh}, {ow}\] = {code} "
                    taken = pytest.raises(IndexError, match=message)
                with taken:
                    function(values, wrong, kernel_size=kernel_size, **{sizes: shape}, **options)


@pytest.mark.parametrize("function", [backward, unpool])
@pytest.mark.whole(backend="numba")
def test_first_of_several_bad_indices(backend, function):
    """On a plane that several threads share, and over several planes."""
    for shape in ((500, 400), (40, 70, 60)):
        x = np.zeros(shape, np.int16)
        output, indices = fastpool.maxpool2d(x, 3, 1, 1, return_indices=True, backend=backend)
        positions = [(499, 399), (250, 3), (17, 200)]
        if len(shape) == 3:
            positions = [(39, 0, 0), (21, 69, 59), (21, 3, 0)]
        for position in positions:
            indices[position] = -5
        options = {"input_shape": shape} if function is backward else {}
        with pytest.raises(IndexError) as caught:
            function(
                output, indices, kernel_size=3, stride=1, padding=1, backend=backend, **options
            )
        assert f"indices{list(positions[-1])} = -5 " in str(caught.value)


def test_bad_index_touches_nothing_else(backend):
    """Guard cells around an output that is a view stay as they are."""
    whole = np.full((1, 3, 8, 8), 7.0, np.float32)
    out = whole[:, :, 2:6, 2:6]
    for bad in BAD:
        indices = INDICES.copy()
        indices[0, 0, 0, 0] = bad
        for function in (backward, unpool):
            with pytest.raises(IndexError):
                function(indices=indices, out=out, backend=backend)
    out[...] = 7.0
    assert (whole == 7.0).all()


OUTS = [
    (np.zeros((1, 3, 2, 3), np.float32), "has shape"),
    (np.zeros(OUTPUT.shape, np.float64), "has dtype float64, required is float32"),
    (np.zeros(OUTPUT.shape, ">f4"), "has dtype >f4, required is float32"),
    (in_memory(np.random.default_rng(), OUTPUT, "read-only"), "is read-only"),
    (
        np.lib.stride_tricks.as_strided(np.zeros(4, np.float32), OUTPUT.shape, (0, 0, 8, 4)),
        "has several elements at one address",
    ),
]


@pytest.mark.parametrize(("out", "message"), OUTS, ids=[message for _, message in OUTS])
def test_out_must_fit(backend, out, message):
    before = out.tobytes()
    with pytest.raises(ValueError, match=message):
        forward(out=out, backend=backend)
    assert out.tobytes() == before


def test_out_must_not_overlap(backend):
    memory = np.arange(64.0, dtype=np.float32)
    x, out = memory[:48].reshape(X.shape), memory[44:56].reshape(OUTPUT.shape)
    before = memory.tobytes()
    with pytest.raises(ValueError, match="out overlaps another argument"):
        forward(x, out=out, backend=backend)
    gradient, target = memory[:12].reshape(OUTPUT.shape), memory[8:56].reshape(X.shape)
    for function in (backward, unpool):
        with pytest.raises(ValueError, match="out overlaps another argument"):
            function(gradient, out=target, backend=backend)
    places = memory[:48].view(np.int64).reshape(1, 3, 2, 4)[..., :2]
    with pytest.raises(ValueError, match="out overlaps another argument"):
        unpool(indices=places, out=x, backend=backend)
    both = np.zeros(24, np.int64)
    pair = both[:6].view(np.float32).reshape(OUTPUT.shape), both[:12].reshape(OUTPUT.shape)
    with pytest.raises(ValueError, match="out overlaps another argument"):
        forward(out=pair, return_indices=True, backend=backend)
    assert memory.tobytes() == before


@pytest.mark.whole(backend="numba")
def test_interleaved_views_do_not_overlap(backend):
    """Views of every second element share no element, though their extents overlap."""
    memory = np.zeros((1, 3, 4, 8), np.float32)
    memory[..., ::2] = X
    out = memory[:, :, :2, 1:4:2]
    assert forward(memory[..., ::2], out=out, backend=backend) is out
    assert (out == OUTPUT).all()
    assert (memory[..., ::2] == X).all()


def test_out_that_overlaps_for_all_one_can_tell(backend):
    """Whether these views share an element takes too long to find out: it counts as if."""
    memory, shape = np.zeros(2_000_000, np.int8), (18, 21, 27, 33)
    x = np.lib.stride_tricks.as_strided(memory, shape, (12798, 12730, 7210, 2876))
    out = np.lib.stride_tricks.as_strided(memory[77978:], shape, (58369, 2733, 99, 3))
    with pytest.raises(np.exceptions.TooHardError):
        np.shares_memory(x, out, max_work=OVERLAP_WORK)
    with pytest.raises(ValueError, match="out overlaps another argument"):
        forward(x, 1, out=out, backend=backend)


def test_too_large_for_memory(backend):
    shape = (2**20, 2**20, 4, 4)
    grid = np.broadcast_to(np.float32(1), (2**20, 2**20, 2, 2))
    zero = np.broadcast_to(np.int64(0), grid.shape)
    with pytest.raises(MemoryError, match="maxpool2d_backward: a result of shape"):
        backward(grid, zero, shape, backend=backend)
    with pytest.raises(MemoryError, match="maxpool2d_backward: a result of shape"):
        backward(
            np.broadcast_to(np.float32(1), (2**30, 2**24, 1, 1)),
            np.broadcast_to(np.int64(0), (2**30, 2**24, 1, 1)),
            (2**30, 2**24, 2**5, 2**5), 2**5, backend=backend,
        )  # fmt: skip


@pytest.mark.parametrize("memory", MEMORIES)
def test_rejected_arguments_write_nothing(backend, memory):
    out = in_memory(np.random.default_rng(0), np.full(OUTPUT.shape, 5, np.float32), memory)
    before = out.tobytes()
    with pytest.raises(ValueError):
        forward(kernel_size=2, stride=3, padding=9, out=out, backend=backend)
    assert out.tobytes() == before


@pytest.mark.parametrize(("dtype", "side"), [("uint8", 17), ("int8", 12), ("uint16", 257)])
@pytest.mark.whole(backend="numba")
def test_indices_that_cannot_count_the_cells(backend, dtype, side):
    """Window indices whose index_format is forgotten would all mean the first cells."""
    x = np.random.default_rng(0).standard_normal((2, 2 * (side // 2), side)).astype(np.float32)
    x = np.concatenate((x, x[:, : side - x.shape[1]]), 1)
    output, indices = fastpool.maxpool2d(
        x, 2, return_indices=True, index_format="window", backend=backend
    )
    indices = indices.astype(dtype)
    text = f'dtype {dtype} cannot count the {side * side} cells.*index_format="window"'
    with pytest.raises(TypeError, match=f"maxunpool2d: .*{text}"):
        fastpool.maxunpool2d(output, indices, 2, None, 0, (side, side), backend=backend)
    with pytest.raises(TypeError, match=f"maxpool2d_backward: .*{text}"):
        fastpool.maxpool2d_backward(output, indices, x.shape, 2, backend=backend)


@pytest.mark.whole(backend="numba")
def test_indices_that_just_count_the_cells(backend):
    x = np.arange(256.0).reshape(16, 16)
    output, indices = fastpool.maxpool2d(x, 2, return_indices=True, backend=backend)
    expected = fastpool.maxunpool2d(output, indices, 2, backend=backend)
    small = indices.astype(np.uint8)
    assert_same(fastpool.maxunpool2d(output, small, 2, backend=backend), expected)
