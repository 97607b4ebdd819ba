"""Pooling by other libraries and by fastpool, as calls that are ready to be timed.

Every function of `CONTENDERS` takes a `Problem`, a task and a number of threads. It imports its
library when it is called, so that none of them has to be installed. It raises NotImplementedError
with the reason if the library is missing or cannot do the task.

Outputs are preallocated and the number of threads is set wherever a library lets one:

============  ====================================  ===========================================
peer          outputs                               threads
============  ====================================  ===========================================
torch         ``out=``; new ones where it has none  ``set_num_threads``
ONNX Runtime  bound                                 ``intra_op_num_threads``
OpenVINO      bound                                 ``INFERENCE_NUM_THREADS``
JAX           new                                   by the first call in a process: see `jax`
scikit-image  fresh                                 one, whatever is asked for
local mean    fresh                                 one, whatever is asked for
SciPy         ``output=``                           one, whatever is asked for
OpenCV        ``dst=``, and NumPy's copy of it      ``setNumThreads``; NumPy's one
Pillow        new                                   one, whatever is asked for
slices        ``out=``                              one, whatever is asked for
reshape       ``out=``                              one, whatever is asked for
============  ====================================  ===========================================

torch is in `torch_peer`, those from scikit-image on in `image_peers`. Slices and reshape are
NumPy's, and the local mean is scikit-image's too.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import lru_cache, partial
from importlib import metadata
from typing import Any

import numpy as np

from .image_peers import local_mean, opencv, pillow, reshape, scikit_image, scipy, slices
from .problems import (
    ADAPTIVE_AVERAGE,
    ADAPTIVE_MAXIMUM,
    AVERAGE,
    BACKWARD,
    CLOSE,
    DIRECT_TAPS,
    FLAT,
    MAXIMUM,
    NORM,
    NORM_TYPE,
    VALUES,
    Contender,
    Problem,
    by_fastpool,
    load,
)
from .torch_peer import torch

# ONNX's operators: their names, attributes, and the first set of operators that computes what
# fastpool does. From 19 on averages are sums in fastpool's order.
NODES: dict[str, tuple[str, dict[str, int], int]] = {
    MAXIMUM: ("MaxPool", {}, 12),
    ADAPTIVE_MAXIMUM: ("MaxPool", {}, 12),
    AVERAGE: ("AveragePool", {"count_include_pad": 1}, 19),
    ADAPTIVE_AVERAGE: ("AveragePool", {}, 19),
    NORM: ("LpPool", {"p": NORM_TYPE}, 18),
}
# The versions of the format that have these sets.
FORMATS = {12: 8, 18: 8, 19: 9}


def fastpool_numba(problem: Problem, task: str, threads: int) -> Contender:
    """fastpool with the Numba backend, which is what the others are compared with."""
    load("numba").set_num_threads(threads)
    return by_fastpool(problem, task, "numba")


def fastpool_numpy(problem: Problem, task: str, threads: int) -> Contender:
    """fastpool with the NumPy backend, on one thread."""
    return by_fastpool(problem, task, "numpy")


def copy(problem: Problem, task: str, threads: int) -> Contender:
    """The limit: a copy that reads and writes as many bytes in all as `task` must."""
    return copied(problem.traffic(task), threads)


def copied(traffic: int, threads: int) -> Contender:
    """A copy that reads and writes so many bytes in all."""
    # Numba's threads copied 1 MB with 159 GB/s and 64 MB with 60, Python's threads that call
    # np.copyto with 41 and 56, since it takes time to wake them.
    numba = load("numba")
    numba.set_num_threads(threads)
    source = np.ones(traffic // 8, np.float32)
    target = np.zeros_like(source)
    call = partial(_parallel_copy(numba), target, source)
    call()
    return Contender(call)


@lru_cache(maxsize=1)
def _parallel_copy(numba: Any) -> Any:
    def assign(target: np.ndarray, source: np.ndarray) -> None:
        target[:] = source

    return numba.njit(parallel=True)(assign)


def onnx_runtime(problem: Problem, task: str, threads: int) -> Contender:
    """ONNX Runtime on a model of one node."""
    helper, runtime = load("onnx.helper"), load("onnxruntime")
    uneven = problem.windows and not problem.tiled
    if problem.member not in NODES or uneven or (problem.member != MAXIMUM and not problem.floats):
        raise NotImplementedError(f"ONNX Runtime: no {problem}")
    if task not in (VALUES, FLAT) or (task == FLAT and not problem.picks):
        raise NotImplementedError("ONNX Runtime: values, or flat indices of NCHW data")
    operator, attributes, opset = NODES[problem.member]
    kernel, stride, padding, dilation = problem.arguments
    windows = {
        "kernel_shape": [kernel] * problem.axes,
        "strides": [stride] * problem.axes,
        "pads": [padding] * 2 * problem.axes,
        "dilations": [dilation] * problem.axes,
    }
    if problem.member == ADAPTIVE_AVERAGE and problem.windows == 1:
        operator, windows = "GlobalAveragePool", {}
    arrays = {"output": np.empty(problem.output_shape, problem.dtype)}
    if task == FLAT:
        arrays["indices"] = np.empty(problem.output_shape, np.int64)
    node = helper.make_node(operator, ["x"], list(arrays), **windows, **attributes)
    x, *outputs = (
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in {"x": problem.x, **arrays}.items()
    )
    graph = helper.make_graph([node], "pooling", [x], outputs)
    # These versions are old enough for every runtime of the last years.
    model = helper.make_model(
        graph, ir_version=FORMATS[opset], opset_imports=[helper.make_opsetid("", opset)]
    )
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
    plane = math.prod(problem.shape[2:])
    results = [a % plane if name == "indices" else a for name, a in arrays.items()]
    # Global averages and powers are added in an order of their own, and so are large windows.
    exact = problem.picks or (problem.member == AVERAGE and kernel**problem.axes <= DIRECT_TAPS)
    return Contender(call, tuple(results), (problem.x, arrays), 0 if exact else CLOSE)


def openvino(problem: Problem, task: str, threads: int) -> Contender:
    """OpenVINO on a model of one node."""
    openvino, operators = load("openvino"), load("openvino.opset8")
    if task != VALUES or problem.function != "maxpool2d":
        raise NotImplementedError("OpenVINO: values of maxpool2d alone")
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
    if task not in (VALUES, BACKWARD) or problem.function != "maxpool2d":
        raise NotImplementedError("JAX: maxpool2d without indices alone")
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
            np.array(problem.outside, problem.dtype),
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
    "Pillow": ("PIL",),
    "tinybrain": ("tinybrain",),
}
FASTPOOL, NUMPY, COPY, SLICES = "fastpool", "NumPy backend", "copy", "slices"
LOCAL_MEAN, RESHAPE = "local mean", "reshape"
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
    LOCAL_MEAN: local_mean,
    "Pillow": pillow,
    RESHAPE: reshape,
}


def peer_version(name: str) -> str:
    """The version of a library; NotImplementedError says why it cannot be used here."""
    modules = [load(module) for module in PEERS[name]]
    try:
        version = metadata.version(name)  # tinybrain 1.7 says of itself that it is 1.4
    except metadata.PackageNotFoundError:  # a package of another name
        version = str(modules[0].__version__)
    return version.partition("-")[0]
