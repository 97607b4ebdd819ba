"""Max pooling by other libraries and by fastpool, as calls that are ready to be timed.

Every function of `CONTENDERS` takes a `Problem`, a task and a number of threads. It imports its
library when it is called, so that none of them has to be installed. It raises NotImplementedError
with the reason if the library is missing or cannot do the task.

Outputs are preallocated and the number of threads is set wherever a library lets one:

============  ====================================  ===========================================
peer          outputs                               threads
============  ====================================  ===========================================
torch         ``out=``; new ones of values alone    ``set_num_threads``
ONNX Runtime  bound                                 ``intra_op_num_threads``
OpenVINO      bound                                 ``INFERENCE_NUM_THREADS``
JAX           new                                   by the first call in a process: see `jax`
scikit-image  fresh                                 one, whatever is asked for
SciPy         ``output=``                           one, whatever is asked for
OpenCV        ``dst=``, and NumPy's copy of it      ``setNumThreads``; NumPy's one
slices        ``out=``                              one, whatever is asked for
============  ====================================  ===========================================

The last four are in `image_peers`; slices are NumPy's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np

from .image_peers import opencv, scikit_image, scipy, slices
from .problems import (
    BACKWARD,
    CHANNELS_LAST,
    FLAT,
    VALUES,
    WINDOW,
    Contender,
    Problem,
    by_fastpool,
    load,
)


def fastpool_numba(problem: Problem, task: str, threads: int) -> Contender:
    """fastpool with the Numba backend, which is what the others are compared with."""
    load("numba").set_num_threads(threads)
    return by_fastpool(problem, task, "numba")


def fastpool_numpy(problem: Problem, task: str, threads: int) -> Contender:
    """fastpool with the NumPy backend, on one thread."""
    return by_fastpool(problem, task, "numpy")


def copy(problem: Problem, task: str, threads: int) -> Contender:
    """The limit: a copy that reads and writes as many bytes in all as `task` must."""
    # Numba's threads copied 1 MB with 159 GB/s and 64 MB with 60, Python's threads that call
    # np.copyto with 41 and 56, since it takes time to wake them.
    numba = load("numba")
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
    """PyTorch's operators, called without autograd, which cannot have preallocated outputs."""
    torch, pair = load("torch"), [[argument] * 2 for argument in problem.arguments]
    if task == WINDOW:
        raise NotImplementedError("torch: no window indices")
    if task in (CHANNELS_LAST, BACKWARD) and not problem.floats:
        raise NotImplementedError("torch: integers as NCHW, and without a gradient")
    torch.set_num_threads(threads)
    x = torch.from_numpy(problem.x)
    if task == VALUES:
        # This has no `out`. It is the call that users make.
        call: Callable[..., Any] = partial(torch.max_pool2d, x, *problem.arguments)
        return Contender(call, (call().numpy(),))
    if task == CHANNELS_LAST:
        x = x.to(memory_format=torch.channels_last)
    call = partial(torch.ops.aten.max_pool2d_with_indices.out, x, *pair)
    # The outputs are channels-last if x is.
    output, indices = torch.ops.aten.max_pool2d_with_indices(x, *pair)
    if task == BACKWARD:
        arguments = (torch.from_numpy(problem.grad_output), x, *pair, False, indices)
        gradient = torch.ops.aten.max_pool2d_with_indices_backward(*arguments)
        backward = torch.ops.aten.max_pool2d_with_indices_backward.grad_input
        return Contender(partial(backward, *arguments, grad_input=gradient), (gradient.numpy(),))
    return Contender(partial(call, out=output, indices=indices), (output.numpy(), indices.numpy()))


def onnx_runtime(problem: Problem, task: str, threads: int) -> Contender:
    """ONNX Runtime on a model of one node."""
    helper, runtime = load("onnx.helper"), load("onnxruntime")
    if task not in (VALUES, FLAT):
        raise NotImplementedError("ONNX Runtime: values, or flat indices of NCHW data")
    arrays = {"output": np.empty(problem.output_shape, problem.dtype)}
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
    # These versions are old enough for every runtime of the last years.
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
    openvino, operators = load("openvino"), load("openvino.opset8")
    if task != VALUES:
        raise NotImplementedError("OpenVINO: values alone")
    kernel, stride, padding, dilation = ([argument] * 2 for argument in problem.arguments)
    x = operators.parameter(problem.shape, np.dtype(problem.dtype))
    node = operators.max_pool(x, stride, dilation, padding, padding, kernel)
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    model = openvino.Model([node.output(0)], [x])
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    output = np.empty(problem.output_shape, problem.dtype)
    request.set_input_tensor(openvino.Tensor(problem.x, shared_memory=True))
    request.set_output_tensor(openvino.Tensor(output, shared_memory=True))
    request.infer()
    return Contender(request.infer, (output,), problem.x)


def jax(problem: Problem, task: str, threads: int) -> Contender:
    """JAX, compiled, on the CPU.

    JAX starts its threads once in a process, at the first call: as many as the undocumented
    environment variable ``NPROC`` says, or else one for each CPU that the process may use. Later
    calls cannot change that; ``taskset`` is the safe way to limit them.
    """
    if task not in (VALUES, BACKWARD):
        raise NotImplementedError("JAX: no indices")
    if task == BACKWARD and (problem.dilation > 1 or not problem.floats):
        raise NotImplementedError("JAX: no gradient with dilation or of integers")
    jax = load("jax")
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
            np.array(problem.least, problem.dtype),
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


# The other libraries and the modules that they need; the first of these has the version.
PEERS = {
    "torch": ("torch",),
    "ONNX Runtime": ("onnxruntime", "onnx"),
    "OpenVINO": ("openvino",),
    "JAX": ("jax",),
    "scikit-image": ("skimage",),
    "SciPy": ("scipy",),
    "OpenCV": ("cv2",),
}
FASTPOOL, NUMPY, COPY, SLICES = "fastpool", "NumPy backend", "copy", "slices"
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
    "OpenCV": opencv,
    SLICES: slices,
}


def peer_version(name: str) -> str:
    """The version of a library; NotImplementedError says why it cannot be used here."""
    modules = [load(module) for module in PEERS[name]]
    return str(modules[0].__version__).partition("-")[0]
