"""Max pooling by other libraries and by fastpool, as calls that are ready to be timed.

Every function of `CONTENDERS` takes a `Problem`, a task and a number of threads. It imports its
library then and not before, so that none of them has to be installed, and raises
NotImplementedError with the reason if the library is missing or cannot do the task.

Outputs are preallocated and threads pinned wherever a library has a way to say so:

============  ====================================  ===========================================
peer          outputs                               threads
============  ====================================  ===========================================
torch         ``out=``; of values alone, fresh      ``set_num_threads``
ONNX Runtime  bound                                 ``intra_op_num_threads``
OpenVINO      bound                                 ``INFERENCE_NUM_THREADS``
JAX           fresh                                 by the first call in a process: see `jax`
scikit-image  fresh                                 one, whatever is asked for
SciPy         ``output=``                           one, whatever is asked for
============  ====================================  ===========================================
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

import fastpool

from .api import BackendName

# What is computed: the maxima alone, or with flat indices, or with window indices; the second
# of these on channels-last data; the gradient, from flat indices where there are indices.
VALUES, FLAT, WINDOW, CHANNELS_LAST, BACKWARD = TASKS = (
    "values",
    "flat",
    "window",
    "channels-last",
    "backward",
)


@dataclass(frozen=True)
class Problem:
    """A pooling of random float32 data, `shape` being NCHW; the data are made when needed."""

    shape: tuple[int, int, int, int]
    kernel: int
    stride: int
    padding: int = 0
    dilation: int = 1

    def __str__(self) -> str:
        return f"{self.shape} {self.window}"

    @property
    def window(self) -> str:
        """All but the shape, briefly."""
        padding = f" p{self.padding}" if self.padding else ""
        dilation = f" d{self.dilation}" if self.dilation > 1 else ""
        return f"k{self.kernel} s{self.stride}{padding}{dilation}"

    @property
    def arguments(self) -> tuple[int, int, int, int]:
        """What `maxpool2d` takes behind the input."""
        return self.kernel, self.stride, self.padding, self.dilation

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        """The shape of the output, NCHW."""
        reach = self.dilation * (self.kernel - 1) + 1 - 2 * self.padding
        height, width = ((size - reach) // self.stride + 1 for size in self.shape[2:])
        return (*self.shape[:2], height, width)

    @cached_property
    def x(self) -> np.ndarray:
        """The input."""
        return np.random.default_rng(0).standard_normal(self.shape, np.float32)

    @cached_property
    def x_channels_last(self) -> np.ndarray:
        """The input as NHWC."""
        return np.ascontiguousarray(np.moveaxis(self.x, 1, -1))

    @cached_property
    def grad_output(self) -> np.ndarray:
        """Whole numbers, whose sums are exact in whatever order a peer adds them."""
        rng = np.random.default_rng(1)
        return rng.integers(-8, 9, self.output_shape, np.int8).astype(np.float32)

    def expected(self, task: str) -> tuple[np.ndarray, ...]:
        """What the NumPy backend computes."""
        # It gives NHWC data the same result, so these need no computation of their own.
        return _fastpool(self, FLAT if task == CHANNELS_LAST else task, "numpy").outputs

    def traffic(self, task: str) -> int:
        """The bytes that a call must read and write at least."""
        index_bytes = {VALUES: 0, WINDOW: np.min_scalar_type(self.kernel**2 - 1).itemsize}
        outputs = int(np.prod(self.output_shape)) * (4 + index_bytes.get(task, 8))
        return int(np.prod(self.shape)) * 4 + outputs


class Contender(NamedTuple):
    """A call without arguments, warm, and what it left when it was warmed.

    Attributes
    ----------
    call : callable
        What is timed.
    outputs : tuple of ndarray
        Maxima and indices, as NCHW, or the gradient: what `Problem.expected` is about.
    buffers : object
        Arrays of which `call` knows nothing but the address, so that they are kept.
    """

    call: Callable[..., object]
    outputs: tuple[np.ndarray, ...] = ()
    buffers: object = None


def fastpool_numba(problem: Problem, task: str, threads: int) -> Contender:
    """fastpool with the Numba backend, which is what the others are compared with."""
    _load("numba").set_num_threads(threads)
    return _fastpool(problem, task, "numba")


def fastpool_numpy(problem: Problem, task: str, threads: int) -> Contender:
    """fastpool with the NumPy backend, on one thread."""
    return _fastpool(problem, task, "numpy")


def _fastpool(problem: Problem, task: str, backend: BackendName) -> Contender:
    nhwc = task == CHANNELS_LAST
    call: Callable[..., Any] = partial(
        fastpool.maxpool2d,
        problem.x_channels_last if nhwc else problem.x,
        *problem.arguments,
        return_indices=task != VALUES,
        index_format="window" if task == WINDOW else "flat",
        layout="NHWC" if nhwc else "NCHW",
        backend=backend,
    )
    try:
        out = call()
    except fastpool.BackendUnavailable as error:
        raise NotImplementedError(str(error)) from error
    if task == BACKWARD:
        call = partial(
            fastpool.maxpool2d_backward,
            problem.grad_output,
            out.indices,
            problem.shape,
            *problem.arguments,
            backend=backend,
        )
        out = call()
    outputs = out if isinstance(out, tuple) else (out,)
    if nhwc:
        outputs = tuple(np.moveaxis(each, -1, 1) for each in outputs)
    return Contender(partial(call, out=out), outputs)


def copy(problem: Problem, task: str, threads: int) -> Contender:
    """The limit: a copy that reads and writes, in all, as many bytes as `task` must."""
    # Threads that call np.copyto reached 41 GB/s on 1 MB where this did 159, and 56 against 60
    # on 64 MB: the time goes into waking them.
    numba = _load("numba")
    numba.set_num_threads(threads)
    source = np.ones(problem.traffic(task) // 8, np.float32)
    target = np.zeros_like(source)
    call = partial(_parallel_copy(numba), target, source)
    call()
    return Contender(call)


@lru_cache(maxsize=1)
def _parallel_copy(numba: Any) -> Any:
    def assign(target: np.ndarray, source: np.ndarray) -> None:
        target[:] = source

    return numba.njit(parallel=True)(assign)


def torch(problem: Problem, task: str, threads: int) -> Contender:
    """PyTorch, below its autograd, which has no preallocated outputs."""
    torch, pair = _load("torch"), [[argument] * 2 for argument in problem.arguments]
    if task == WINDOW:
        raise NotImplementedError("torch: no window indices")
    torch.set_num_threads(threads)
    x = torch.from_numpy(problem.x)
    if task == VALUES:
        # Without an `out`, but the whole call as users make it, for comparing overheads.
        call: Callable[..., Any] = partial(torch.max_pool2d, x, *problem.arguments)
        return Contender(call, (call().numpy(),))
    if task == CHANNELS_LAST:
        x = x.to(memory_format=torch.channels_last)
    call = partial(torch.ops.aten.max_pool2d_with_indices.out, x, *pair)
    # These are channels-last where x is.
    output, indices = torch.ops.aten.max_pool2d_with_indices(x, *pair)
    if task == BACKWARD:
        arguments = (torch.from_numpy(problem.grad_output), x, *pair, False, indices)
        gradient = torch.ops.aten.max_pool2d_with_indices_backward(*arguments)
        backward = torch.ops.aten.max_pool2d_with_indices_backward.grad_input
        return Contender(partial(backward, *arguments, grad_input=gradient), (gradient.numpy(),))
    return Contender(partial(call, out=output, indices=indices), (output.numpy(), indices.numpy()))


def onnx_runtime(problem: Problem, task: str, threads: int) -> Contender:
    """ONNX Runtime on a model of one node."""
    helper, runtime = _load("onnx.helper"), _load("onnxruntime")
    if task not in (VALUES, FLAT):
        raise NotImplementedError("ONNX Runtime: values, or flat indices of NCHW data")
    arrays = {"output": np.empty(problem.output_shape, np.float32)}
    if task == FLAT:
        arrays["indices"] = np.empty(problem.output_shape, np.int64)
    kernel, stride, padding, dilation = problem.arguments
    node = helper.make_node(
        "MaxPool",
        ["x"],
        list(arrays),
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        pads=[padding] * 4,
        dilations=[dilation] * 2,
    )
    x, *outputs = (
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in {"x": problem.x, **arrays}.items()
    )
    graph = helper.make_graph([node], "pooling", [x], outputs)
    # Old enough for every runtime of the last years.
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 12)])
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    binding = session.io_binding()
    for name, array, bind in (
        ("x", problem.x, binding.bind_input),
        *((*item, binding.bind_output) for item in arrays.items()),
    ):
        bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    call = partial(session.run_with_iobinding, binding)
    call()
    # Its indices count the cells of the whole tensor.
    plane = problem.shape[2] * problem.shape[3]
    results = [a % plane if name == "indices" else a for name, a in arrays.items()]
    return Contender(call, tuple(results), (problem.x, arrays))


def openvino(problem: Problem, task: str, threads: int) -> Contender:
    """OpenVINO on a model of one node."""
    openvino, operators = _load("openvino"), _load("openvino.opset8")
    if task != VALUES:
        raise NotImplementedError("OpenVINO: values alone")
    kernel, stride, padding, dilation = ([argument] * 2 for argument in problem.arguments)
    x = operators.parameter(problem.shape, np.float32)
    node = operators.max_pool(x, stride, dilation, padding, padding, kernel)
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    model = openvino.Model([node.output(0)], [x])
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    output = np.empty(problem.output_shape, np.float32)
    request.set_input_tensor(openvino.Tensor(problem.x, shared_memory=True))
    request.set_output_tensor(openvino.Tensor(output, shared_memory=True))
    request.infer()
    return Contender(request.infer, (output,), problem.x)


def jax(problem: Problem, task: str, threads: int) -> Contender:
    """JAX, compiled, on the CPU.

    Its thread pool is made once in a process, as large as the environment variable ``NPROC``
    says, an undocumented one, or else the CPUs that the process may use: so the first call
    decides, and ``taskset`` is the safe way.
    """
    if task not in (VALUES, BACKWARD):
        raise NotImplementedError("JAX: no indices")
    if task == BACKWARD and problem.dilation > 1:
        raise NotImplementedError("JAX: no gradient with dilation")
    jax = _load("jax")
    before = os.environ.get("NPROC")
    os.environ["NPROC"] = str(threads)
    try:
        device = jax.devices("cpu")[0]
    finally:
        del os.environ["NPROC"]
        if before is not None:
            os.environ["NPROC"] = before
    kernel, stride, padding, dilation = problem.arguments

    def pool(x: Any) -> Any:
        return jax.lax.reduce_window(
            x,
            -np.inf,
            jax.lax.max,
            (1, 1, kernel, kernel),
            (1, 1, stride, stride),
            ((0, 0), (0, 0), (padding, padding), (padding, padding)),
            window_dilation=(1, 1, dilation, dilation),
        )

    def gradient(x: Any, grad_output: Any) -> Any:
        return jax.vjp(pool, x)[1](grad_output)[0]

    data = (problem.x, problem.grad_output) if task == BACKWARD else (problem.x,)
    inputs = [jax.device_put(array, device) for array in data]
    function = jax.jit(gradient if task == BACKWARD else pool)

    def call() -> Any:
        return function(*inputs).block_until_ready()

    return Contender(call, (np.asarray(call()),))


def scikit_image(problem: Problem, task: str, threads: int) -> Contender:
    """scikit-image, whose blocks are windows that tile the input."""
    measure = _load("skimage.measure")
    kernel, stride, padding, dilation = problem.arguments
    tiled = all(size % kernel == 0 for size in problem.shape[2:])
    if task != VALUES or kernel != stride or padding or dilation > 1 or not tiled:
        raise NotImplementedError("scikit-image: values of windows that tile the input alone")
    call = partial(measure.block_reduce, problem.x, (1, 1, kernel, kernel), np.max)
    return Contender(call, (call(),))


def scipy(problem: Problem, task: str, threads: int) -> Contender:
    """SciPy, whose filter has an output for each cell: of stride 1, and some are cut off."""
    ndimage = _load("scipy.ndimage")
    kernel, stride, padding, dilation = problem.arguments
    if task != VALUES or stride > 1 or dilation > 1 or padding > (kernel - 1) // 2:
        raise NotImplementedError("SciPy: values of windows of stride 1, around a cell, alone")
    filtered = np.empty_like(problem.x)
    call = partial(
        ndimage.maximum_filter,
        problem.x,
        (1, 1, kernel, kernel),
        output=filtered,
        mode="constant",
        cval=-np.inf,
    )
    call()
    first = kernel // 2 - padding
    height, width = problem.output_shape[2:]
    return Contender(call, (filtered[..., first : first + height, first : first + width],))


# The peers and their modules, the first of which knows the version.
PEERS = {
    "torch": ("torch",),
    "ONNX Runtime": ("onnxruntime", "onnx"),
    "OpenVINO": ("openvino",),
    "JAX": ("jax",),
    "scikit-image": ("skimage",),
    "SciPy": ("scipy",),
}
FASTPOOL, NUMPY, COPY = "fastpool", "NumPy backend", "copy"
CONTENDERS: dict[str, Callable[[Problem, str, int], Contender]] = {
    FASTPOOL: fastpool_numba,
    NUMPY: fastpool_numpy,
    COPY: copy,
    "torch": torch,
    "ONNX Runtime": onnx_runtime,
    "OpenVINO": openvino,
    "JAX": jax,
    "scikit-image": scikit_image,
    "SciPy": scipy,
}


def peer_version(name: str) -> str:
    """The version of a peer; NotImplementedError says why it cannot be used here."""
    modules = [_load(module) for module in PEERS[name]]
    return str(modules[0].__version__).partition("-")[0]


def _load(module: str) -> Any:
    """The module of a peer; an installation that is broken counts as none."""
    try:
        return import_module(module)
    except (ImportError, OSError) as error:
        raise NotImplementedError(str(error)) from error
