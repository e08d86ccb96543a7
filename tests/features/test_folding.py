"""What is folded into a convolution computes the same, and what cannot be folded stays."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from engine_world import RULES, recipe
from feature_world import small
from onnx import TensorProto, helper, numpy_helper

from tlsearch.features.exporting import export_prefix
from tlsearch.features.folding import fold_convolutions
from tlsearch.model import Prefix
from tlsearch.workbench.parts import Parts

CHANNELS = 4
Node = tuple[str, Sequence[str], str]  # operation, inputs, output


def graph(nodes: Sequence[Node], constants: dict[str, np.ndarray], outputs: Sequence[str]) -> onnx.ModelProto:
    """A graph from `x`, float32 `(2, 3, 9, 9)`, with a convolution's `weights` among its constants."""
    rng = np.random.default_rng(0)
    constants = {"weights": rng.normal(size=(CHANNELS, 3, 3, 3)), **constants}
    made = [helper.make_node(kind, list(inputs), [output]) for kind, inputs, output in nodes]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, (2, 3, 9, 9))
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list("nchw")) for name in outputs]
    tensors = [
        numpy_helper.from_array(array if array.dtype == np.int64 else array.astype(np.float32), name)
        for name, array in constants.items()
    ]
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(helper.make_graph(made, "g", [value], told, tensors), opset_imports=opset, ir_version=10)


def run(model: onnx.ModelProto) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).normal(size=(2, 3, 9, 9)).astype(np.float32)
    return [np.asarray(value) for value in session.run(None, {"x": x})]


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def folded(nodes: Sequence[Node], constants: dict[str, np.ndarray], outputs: Sequence[str] = ("y",)) -> Counter[str]:
    """Fold a graph, hold its answers against what they were, and tell what operations are left."""
    model = graph(nodes, constants, outputs)
    before = run(model)
    fold_convolutions(model)
    onnx.checker.check_model(model)
    for ours, theirs in zip(run(model), before, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    return kinds(model)


def channel(*values: float) -> np.ndarray:
    return np.array(values or (1.5, -2.0, 0.5, 3.0)).reshape(1, CHANNELS, 1, 1)


CONV: Node = ("Conv", ("x", "weights"), "c")
STATISTICS = {
    "gamma": np.array([1.0, 2.0, 0.5, -1.0]),
    "beta": np.array([0.1, 0.2, 0.3, 0.4]),
    "mean": np.array([0.5, -0.5, 1.0, 0.0]),
    "variance": np.array([0.3, 2.0, 1.0, 0.01]),
}
PADS = {"pads": np.array([0, 0, 0, 0, 0, 0, 1, 1], dtype=np.int64)}


def test_batchnorm_goes_into_the_convolution() -> None:
    norm: Node = ("BatchNormalization", ("c", *STATISTICS), "y")
    assert folded([CONV, norm], STATISTICS) == {"Conv": 1}


def test_a_chain_of_products_and_sums_goes_with_the_convolutions_own_bias() -> None:
    constants = {"bias": np.arange(4.0), "mean": channel(), "scale": channel(), "two": np.array(2.0), "by": channel()}
    chain: list[Node] = [
        ("Conv", ("x", "weights", "bias"), "c"),
        ("Sub", ("c", "mean"), "a"),
        ("Mul", ("scale", "a"), "b"),
        ("Div", ("b", "by"), "d"),
        ("Add", ("two", "d"), "y"),
    ]
    assert folded(chain, constants) == {"Conv": 1}


def test_zero_padding_goes_into_the_convolution() -> None:
    nodes: list[Node] = [("Pad", ("x", "pads"), "p"), ("Conv", ("p", "weights"), "y")]
    assert folded(nodes, PADS) == {"Conv": 1}


@pytest.mark.parametrize(
    ("nodes", "constants", "left"),
    [
        ([CONV, ("Sub", ("m", "c"), "y")], {"m": channel()}, "Sub"),
        ([CONV, ("Div", ("m", "c"), "y")], {"m": channel()}, "Div"),
        ([CONV, ("Add", ("c", "m"), "y")], {"m": np.ones((1, 1, 1, 7))}, "Add"),
        ([CONV, ("Add", ("c", "m"), "y")], {"m": np.ones((1, 1, 1, 1, 1))}, "Add"),
        ([CONV, ("Mul", ("c", "c"), "y")], {}, "Mul"),
        ([("Pad", ("x", "pads", "one"), "p"), ("Conv", ("p", "weights"), "y")], {**PADS, "one": np.array(1.0)}, "Pad"),
        (
            [("Pad", ("x", "pads"), "p"), ("Conv", ("p", "weights"), "y")],
            {"pads": np.array([0, 0, -1, 0, 0, 0, 1, 1], dtype=np.int64)},
            "Pad",
        ),
    ],
    ids=[
        "constant minus value",
        "constant over value",
        "a column each",
        "another rank",
        "its own square",
        "padded by one",
        "cropped",
    ],
)
def test_what_is_no_factor_or_summand_a_channel_stays(
    nodes: list[Node], constants: dict[str, np.ndarray], left: str
) -> None:
    assert folded(nodes, constants) == {"Conv": 1, left: 1}


@pytest.mark.parametrize(
    ("more", "outputs"),
    [([("Relu", ("c",), "z")], ("y", "z")), ([], ("y", "c"))],
    ids=["another reader", "an output of the graph"],
)
def test_a_value_that_is_needed_elsewhere_stays_what_it_was(more: list[Node], outputs: Sequence[str]) -> None:
    left = folded([CONV, ("Mul", ("c", "m"), "y"), *more], {"m": channel()}, outputs)
    assert left["Mul"] == 1


def test_two_convolutions_may_share_their_weights() -> None:
    nodes: list[Node] = [
        CONV,
        ("Mul", ("c", "m"), "a"),
        ("Conv", ("x", "weights"), "d"),
        ("Add", ("d", "m"), "b"),
        ("Add", ("a", "b"), "y"),
    ]
    assert folded(nodes, {"m": channel()}) == {"Conv": 2, "Add": 1}


def exported(prefix: Prefix) -> onnx.ModelProto:
    return onnx.load_from_string(export_prefix(prefix, np.zeros((1, 32, 32, 3), np.uint8)))


def test_of_an_exported_network_convolutions_are_left_and_no_batchnorm() -> None:
    left = kinds(exported(Prefix(RULES, small().backbone, (2,), pooled=True)))
    assert (left["Conv"], left["BatchNormalization"]) == (4, 0)


@pytest.mark.full
def test_keras_batchnorm_and_padding_are_folded_too(mobilenets: Parts) -> None:
    backbone = mobilenets.loaded(recipe(backbone="mobilenet_v2_keras")).backbone
    left = kinds(exported(Prefix(RULES, backbone, (), pooled=True)))
    assert (left["Conv"], left["Pad"]) == (52, 0)
    assert left["Sub"] <= 1, "the last map's channels come last, as Keras has them"
