"""Folds what follows a convolution into its weights, in an exported graph.

Runtimes fold BatchNorm in float32, and lose more by it than the whole network does otherwise; Keras's BatchNorm,
exported as a subtraction, a product and a sum, they do not fold at all, nor TensorFlow's padding. Here it is done in
float64, once, before a runtime sees the graph (Jacob et al. 2018, sec. 3.2, arXiv:1712.05877, has the algebra).
"""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

Constants = Mapping[str, NDArray[np.generic]]

_AFFINE = ("Sub", "Add", "Mul", "Div")


def fold_convolutions(model: onnx.ModelProto) -> None:
    """Fold, in place, each convolution's constant affine successors and its zero padding into the convolution.

    Only what computes the same function goes: constants that are one number a channel, and values that nothing else
    reads and that are no output of the graph.

    Args:
        model: Its constants are initializers, as ONNX Runtime leaves them after its basic optimisations.
    """
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(output.name for output in graph.output)
    makers = {name: node for node in graph.node for name in node.output}
    gone: list[onnx.NodeProto] = []
    for conv in [node for node in graph.node if node.op_type == "Conv" and node.input[1] in constants]:
        before = makers.get(conv.input[0])
        if before is not None and readers[before.output[0]] == 1 and _take_padding(conv, before, constants):
            gone.append(before)
        after = list(_affine_successors(conv, graph, readers, constants))
        if after:
            _fold(graph, conv, after, constants)
            gone += after
    for node in gone:
        graph.node.remove(node)


def _affine_successors(
    conv: onnx.NodeProto, graph: onnx.GraphProto, readers: Mapping[str, int], constants: Constants
) -> Iterator[onnx.NodeProto]:
    """The nodes after a convolution that scale and shift its channels, in order."""
    weights = constants[conv.input[1]]  # (C, I / groups, kh, kw)
    value = conv.output[0]
    while readers[value] == 1:
        node = next((node for node in graph.node if value in node.input), None)
        if node is None or not _is_affine(node, value, weights, constants):
            return
        yield node
        value = node.output[0]


def _is_affine(node: onnx.NodeProto, value: str, weights: NDArray[np.generic], constants: Constants) -> bool:
    if node.op_type == "BatchNormalization":
        training = any(a.name == "training_mode" and a.i for a in node.attribute)
        return node.input[0] == value and not training and all(name in constants for name in node.input[1:])
    if node.op_type not in _AFFINE or len(node.input) != 2:
        return False
    left, right = node.input
    constant = right if left == value else left
    ordered = node.op_type in ("Sub", "Div")  # a constant minus or over the value is not of this form
    return constant in constants and not (ordered and constant == left) and _a_channel(constants[constant], weights)


def _a_channel(constant: NDArray[np.generic], weights: NDArray[np.generic]) -> bool:
    """Whether a constant has one number a channel of the maps that weights make, or one for all."""
    channels, rank = weights.shape[0], weights.ndim  # the maps' rank as well: (N, C, h, w)
    if constant.size == 1:
        return constant.ndim <= rank
    return rank - 1 <= constant.ndim <= rank and constant.size == channels == constant.shape[1 - rank]


def _fold(graph: onnx.GraphProto, conv: onnx.NodeProto, after: list[onnx.NodeProto], constants: Constants) -> None:
    """Give the convolution the weights, the bias and the output of it and its successors together."""
    weights = constants[conv.input[1]].astype(np.float64)  # (C, I / groups, kh, kw)
    scale, shift = np.ones(len(weights)), np.zeros(len(weights))
    if len(conv.input) > 2:
        shift = constants[conv.input[2]].astype(np.float64)
    for node in after:
        by, plus = _scale_and_shift(node, constants)
        scale, shift = scale * by, shift * by + plus
    scaled = weights * scale.reshape(-1, *[1] * (weights.ndim - 1))
    del conv.input[1:]
    for part, values in (("weights", scaled), ("bias", shift)):
        name = f"{conv.output[0]}/folded_{part}"
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
        conv.input.append(name)
    conv.output[0] = after[-1].output[0]


def _scale_and_shift(node: onnx.NodeProto, constants: Constants) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a node multiplies each channel by, and then adds to it."""
    if node.op_type == "BatchNormalization":
        gamma, beta, mean, variance = (constants[name].astype(np.float64) for name in node.input[1:])
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        by = gamma / np.sqrt(variance + epsilon)
        return by, beta - mean * by
    (constant,) = (constants[name].astype(np.float64).reshape(-1) for name in node.input if name in constants)
    one, zero = np.ones_like(constant), np.zeros_like(constant)
    return {"Sub": (one, -constant), "Add": (one, constant), "Mul": (constant, zero), "Div": (1 / constant, zero)}[
        node.op_type
    ]


def _take_padding(conv: onnx.NodeProto, pad: onnx.NodeProto, constants: Constants) -> bool:
    """Let a convolution do the zero padding before it; whether it could."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in conv.attribute}
    zeros = len(pad.input) < 3 or not pad.input[2] or not np.any(constants.get(pad.input[2], np.ones(1)))
    constant = {a.name: a.s for a in pad.attribute}.get("mode", b"constant") == b"constant"
    if pad.op_type != "Pad" or len(pad.input) > 3 or not (zeros and constant) or pad.input[1] not in constants:
        return False
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        return False
    begins, ends = constants[pad.input[1]].astype(np.int64).reshape(2, -1)  # each one number an axis
    if begins[:2].any() or ends[:2].any() or min(begins.min(), ends.min()) < 0:
        return False
    own = attributes.get("pads", [0] * 2 * (len(begins) - 2))
    pads = [int(side) + int(has) for side, has in zip([*begins[2:], *ends[2:]], own, strict=True)]
    kept = [a for a in conv.attribute if a.name != "pads"]
    del conv.attribute[:]
    conv.attribute.extend([*kept, onnx.helper.make_attribute("pads", pads)])
    conv.input[0] = pad.input[0]
    return True
