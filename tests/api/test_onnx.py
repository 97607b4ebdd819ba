"""ONNX's own tests of pooling nodes, each mapped onto a function by its attributes."""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastpool
from fastpool.cli.check import difference

onnx = pytest.importorskip("onnx")
to_array = pytest.importorskip("onnx.numpy_helper").to_array

# ONNX's kinds of nodes: fastpool's name for them, and how many cases ONNX 1.20 to 1.23 have.
NODES = {
    "AveragePool": ("avgpool", 20),
    "GlobalAveragePool": ("adaptive_avgpool", 2),
    "GlobalMaxPool": ("adaptive_maxpool", 2),
    "LpPool": ("lppool", 8),
    "MaxPool": ("maxpool", 19),
    "MaxUnpool": ("maxunpool", 2),
}
PICKED = ("GlobalMaxPool", "MaxPool", "MaxUnpool")  # outputs are cells of the input
CONVERTED = {"AveragePool": 7, "MaxPool": 9}  # models made of PyTorch's modules

# Where fastpool differs on purpose, and why.
DIFFERENT = {
    "test_maxunpool_export_with_output_shape": (
        "ONNX's indices count the cells of the default output, whatever shape is asked for; those "
        "of fastpool and PyTorch the cells of the output that is made"
    ),
}


class Case(NamedTuple):
    """A node, what goes in, and what shall come out."""

    name: str
    node: Any
    inputs: list
    outputs: list
    rtol: float = 1e-3
    atol: float = 1e-7


@cache
def node_cases(kind):
    """The cases of a kind of node. They are made when its module is imported, in up to 2 s."""
    suite = import_module("onnx.backend.test.case.node")
    import_module(f"{suite.__name__}.{kind.lower()}")
    found = []
    for case in suite._NodeTestCases:
        node, *others = case.model.graph.node
        if node.op_type == kind and not others:
            found.append(Case(case.name, node, *case.data_sets[0], case.rtol, case.atol))
    return found


@cache
def converted_cases(kind):
    """The models of one pooling node that the package holds as files."""
    data = Path(import_module("onnx.backend.test").__file__).parent / "data"
    found = []
    for path in sorted(data.glob("pytorch-*/*ool*/model.onnx")):
        nodes = {node.op_type: node for node in onnx.load(path).graph.node}
        if kind in nodes:
            files = [
                path.parent / "test_data_set_0" / f"{part}_0.pb" for part in ("input", "output")
            ]
            arrays = [to_array(onnx.TensorProto.FromString(file.read_bytes())) for file in files]
            if "Unsqueeze" in nodes:  # a line that is pooled as a plane
                axes = tuple(attributes(nodes["Unsqueeze"])["axes"])
                arrays = [np.expand_dims(array, axes) for array in arrays]
            found.append(Case(path.parent.name, nodes[kind], *([array] for array in arrays)))
    return found


def attributes(node):
    """The attributes of a node by name."""
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def padding(given, sizes):
    """The pairs of sides that the attributes `pads` and `auto_pad` come to."""
    auto, n = given.get("auto_pad", b"NOTSET"), len(sizes)
    if auto == b"NOTSET":
        pads = given.get("pads", [0] * 2 * n)
        return tuple(zip(pads[:n], pads[n:], strict=True))
    if auto != b"SAME_LOWER":
        return {b"SAME_UPPER": "same", b"VALID": "valid"}[auto]
    pairs = []
    for axis, size in enumerate(sizes):  # the odd cell of padding goes to the beginning
        kernel, stride, dilation = (
            given.get(name, [1] * n)[axis] for name in ("kernel_shape", "strides", "dilations")
        )
        windows = -(-size // stride)
        total = max((windows - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
        pairs.append((total - total // 2, total // 2))
    return tuple(pairs)


def pool(case, backend):
    """What fastpool makes of a case: the output and, if the node has two, ONNX's indices."""
    x, *others = case.inputs
    kind, given, sizes = case.node.op_type, attributes(case.node), x.shape[2:]
    function = getattr(fastpool, f"{NODES[kind][0]}{len(sizes)}d")
    if kind.startswith("Global"):
        return [function(x, 1, backend=backend)]
    ones = [1] * len(sizes)
    arguments = {
        "kernel_size": tuple(given["kernel_shape"]),
        "stride": tuple(given.get("strides", ones)),
        "padding": padding(given, sizes),
        "backend": backend,
    }
    if kind == "MaxUnpool":
        assert x.shape[:2] == (1, 1)  # so that an index of the whole tensor is one of the plane
        indices, *shape = others
        return [function(x, indices, output_size=tuple(shape[0]) if shape else None, **arguments)]
    arguments["dilation"] = tuple(given.get("dilations", ones))
    arguments["ceil_mode"] = bool(given.get("ceil_mode", 0))
    if kind == "AveragePool":
        arguments["count_include_pad"] = bool(given.get("count_include_pad", 0))
    if kind == "LpPool":
        arguments["norm_type"] = given.get("p", 2)
    if len(case.node.output) == 1:
        return [function(x, **arguments)]
    output, indices = function(x, return_indices=True, **arguments)
    return [output, tensor_indices(indices, x.shape, "CF"[given.get("storage_order", 0)])]


def tensor_indices(indices, shape, order):
    """Indices of the cells of each plane, made those of the whole tensor in rows or columns."""
    cells = np.ravel_multi_index(np.unravel_index(indices, shape[2:]), shape[2:], order=order)
    planes = np.arange(np.prod(shape[:2])).reshape(*shape[:2], *[1] * len(shape[2:]))
    return cells + planes * np.prod(shape[2:])


def wrong(case, backend):
    """How fastpool differs from what a case expects; empty if it does not."""
    results = pool(case, backend)
    for result, expected in zip(results, case.outputs, strict=True):
        text = difference(result, expected)
        # Of sums, the suite's own tolerance: it defines no order, and writes some in four digits.
        close = case.node.op_type not in PICKED and (
            (result.dtype, result.shape) == (expected.dtype, expected.shape)
            and np.allclose(result, expected, case.rtol, case.atol)
        )
        if text and not close:
            return text
    return ""


@pytest.mark.parametrize("kind", NODES)
def test_nodes(backend, kind):
    cases = node_cases(kind)
    assert len(cases) >= NODES[kind][1]
    texts = {case.name: wrong(case, backend) for case in cases}
    assert {name for name, text in texts.items() if text} == DIFFERENT.keys() & texts, texts


@pytest.mark.parametrize("kind", CONVERTED)
def test_converted_models(backend, kind):
    cases = converted_cases(kind)
    assert len(cases) >= CONVERTED[kind]
    texts = {case.name: wrong(case, backend) for case in cases}
    assert not any(texts.values()), texts
