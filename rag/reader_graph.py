"""The trained reader as an ONNX graph with 8-bit products: what :class:`rag.reader.Reader` runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from rag.reader import FEATURES, Given, options

Weights = dict[str, npt.NDArray[np.float32]]
Range = tuple[float, float]  # the least and the greatest value that a product was given

_LOW = -1e4
_END = 2**62
_SEVEN = 63  # the greatest weight of 7 bits
_EXACT = ("input", "pool", "answers", "span")  # layers too small, or too sensitive, for 8 bits


def save_graph(
    weights: Weights, config: dict[str, Any], path: Path, sample: Iterable[Given] | None = None
) -> None:
    """Write the graph of a trained reader, its matrix products in 8 bits and its operations joined where the runtime can.

    The weights of a product are rounded to 7 bits for each output: with 8, products saturate on processors without VNNI. What
    they are multiplied with is rounded to 8 bits over the range that the sample shows, so that a window's reading does not
    depend on those beside it. Source: Jacob et al., Quantization and Training of Neural Networks, CVPR 2018.

    Args:
        weights: of :class:`rag.reader_net.Net`, by name.
        config: its ``blocks`` and ``heads``.
        path: file to write.
        sample: what the graph is given for some questions (:func:`rag.reader.given`); None leaves all in float32.
    """
    exact = _Graph(weights, config)
    model = exact.model()
    if sample is not None:
        model = _Graph(weights, config, _ranges(model, exact.products, sample)).model()
    joined = options()
    joined.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    joined.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(model.SerializeToString(), joined, ["CPUExecutionProvider"])


def _ranges(model: onnx.ModelProto, names: Sequence[str], sample: Iterable[Given]) -> list[Range]:
    """What the tensors named hold at least and at most, over the sample."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in dict.fromkeys(names))
    session = onnxruntime.InferenceSession(shown.SerializeToString(), options(), ["CPUExecutionProvider"])
    found = [[(float(x.min()), float(x.max())) for x in session.run(names, given)] for given in sample]
    return [
        (min(low), max(high)) for low, high in (zip(*seen, strict=True) for seen in zip(*found, strict=True))
    ]


class _Graph:
    """Builds the graph; each method adds nodes and returns the name of what they give."""

    def __init__(
        self, weights: Weights, config: dict[str, Any], ranges: Sequence[Range] | None = None
    ) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.products: list[str] = []  # what is multiplied in 8 bits, in order
        self.ranges = ranges
        self.w = weights
        self.blocks, self.heads = int(config["blocks"]), int(config["heads"])
        self.latent, self.width = weights["latent"].shape
        for name, value in weights.items():
            if value.ndim == 2 and name.endswith((".weight", "static")):
                self._factor(name, value)
            elif name != "segment":
                self.constant(value, name)

    def _factor(self, name: str, value: npt.NDArray[np.float32]) -> None:
        """What is multiplied with, (inputs, outputs); in 8 bits with a scale for each output."""
        if self.ranges is None or name.startswith((*_EXACT, "static")):
            self.constant(value.T, name)
            return
        scale = np.abs(value).max(axis=1) / np.float32(_SEVEN)
        scale = np.maximum(scale, np.float32(1e-12))
        self.constant(np.rint(value / scale[:, None]).astype(np.int8).T, name)
        self.constant(scale, f"{name}.scale")

    def constant(self, value: npt.ArrayLike, name: str = "") -> str:
        name = name or f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def numbers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def add(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        out = out or f"node{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, list(inputs), [out], f"{kind}{len(self.nodes)}", **attributes)
        )
        return out

    def cut(self, x: str, begin: str, end: str, axis: int) -> str:
        return self.add("Slice", x, begin, end, self.numbers(axis))

    def linear(self, x: str, name: str) -> str:
        weight, bias = f"{name}.weight", f"{name}.bias"
        if name in _EXACT:
            return self.add("Add", self.add("MatMul", x, weight), bias)
        self.products.append(x)
        if self.ranges is None:
            return self.add("Add", self.add("MatMul", x, weight), bias)
        low, high = self.ranges[len(self.products) - 1]
        low, high = min(low, 0.0), max(high, 0.0)
        step = max(high - low, 1e-6) / 255
        scale, zero = self.constant(np.float32(step)), self.constant(np.uint8(round(-low / step)))
        rounded = self.add("QuantizeLinear", x, scale, zero)
        return self.add(
            "MatMulIntegerToFloat",
            *(rounded, weight, scale, f"{weight}.scale", zero, "", bias),
            domain="com.microsoft",
        )

    def norm(self, x: str, name: str) -> str:
        return self.add("LayerNormalization", x, f"{name}.weight", f"{name}.bias", axis=-1, epsilon=1e-5)

    def model(self) -> onnx.ModelProto:
        self.zero, self.end = self.numbers(0), self.numbers(_END)
        self.many = self.add("Slice", self.add("Shape", "ids"), self.zero, self.numbers(1))
        self.hub = self.add("Add", self.add("Shape", "asked"), self.numbers(self.latent))
        mask = self.add("Unsqueeze", "mask", self.numbers(-1))
        h = self._for_each(self.add("Unsqueeze", "latent", self.zero), self.latent, self.width)
        q, w = self._inputs()
        bias = self._bias()
        first = self.numbers(self.latent)
        for b in range(self.blocks):
            x = self.add("Concat", h, self._convolve(q, b), self._convolve(w, b, mask), axis=1)
            x = self._feed(self._attend(x, bias, b), b)
            h = self.cut(x, self.zero, first, 1)
            q, w = self.cut(x, first, self.hub, 1), self.cut(x, self.hub, self.end, 1)
        self._outputs(self.norm(h, "last"), self.norm(q, "last"), self.norm(w, "last"), mask)
        return self._model()

    def _for_each(self, x: str, *shape: int) -> str:
        """Repeat what is given once for every window."""
        return self.add("Expand", x, self.add("Concat", self.many, self.numbers(*shape), axis=0))

    def _inputs(self) -> tuple[str, str]:
        found = []
        for segment, (ids, side) in enumerate((("asked", "q"), ("ids", "w"))):
            meaning = self.add("MatMul", f"static_{side}", "static")
            parts = self.add("Concat", self.add("Gather", "character", ids), meaning, axis=-1)
            if side == "q":
                shape = self.add("Concat", self.many, self.add("Shape", parts), axis=0)
                parts = self.add("Expand", parts, shape)
            x = self.linear(self.add("Concat", parts, f"match_{side}", axis=-1), "input")
            found.append(self.norm(self.add("Add", x, self.constant(self.w["segment"][segment])), "first"))
        return found[0], found[1]

    def _bias(self) -> str:
        """What hides padding from attention: (many, 1, 1, length)."""
        shown = self.add(
            "Expand",
            self.constant(np.ones((1, 1), np.float32)),
            self.add("Concat", self.many, self.hub, axis=0),
        )
        shown = self.add("Concat", shown, "mask", axis=1)
        hidden = self.add("Sub", shown, self.constant(np.float32(1)))
        return self.add(
            "Unsqueeze", self.add("Mul", hidden, self.constant(np.float32(-_LOW))), self.numbers(1, 2)
        )

    def _convolve(self, x: str, block: int, mask: str = "") -> str:
        name = f"blocks.{block}.convolve"
        y = self.norm(x, f"{name}.norm")
        if mask:
            y = self.add("Mul", y, mask)
        size = self.w[f"{name}.depth.weight"].shape[-1]
        y = self.add(
            "Conv",
            self.add("Transpose", y, perm=[0, 2, 1]),
            f"{name}.depth.weight",
            f"{name}.depth.bias",
            group=self.width,
            kernel_shape=[size],
            pads=[size // 2, size // 2],
        )
        y = self.add("Transpose", self.add("Relu", y), perm=[0, 2, 1])
        return self.add("Add", x, self.linear(y, f"{name}.point"))

    def _attend(self, x: str, bias: str, block: int) -> str:
        name, size = f"blocks.{block}.attend", self.width // self.heads
        y = self.linear(self.norm(x, f"{name}.norm"), f"{name}.qkv")
        q, k, v = (
            self._heads(
                self.cut(y, self.numbers(i * self.width), self.numbers((i + 1) * self.width), 2), perm
            )
            for i, perm in enumerate(([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
        )
        q = self.add("Mul", q, self.constant(np.float32(size**-0.5)))
        central = self.add("Add", self.add("MatMul", self.cut(q, self.zero, self.hub, 2), k), bias)
        central = self.add("MatMul", self.add("Softmax", central, axis=-1), v)
        outer = self.add("MatMul", self.cut(q, self.hub, self.end, 2), self.cut(k, self.zero, self.hub, 3))
        outer = self.add("MatMul", self.add("Softmax", outer, axis=-1), self.cut(v, self.zero, self.hub, 2))
        mixed = self.add("Transpose", self.add("Concat", central, outer, axis=2), perm=[0, 2, 1, 3])
        mixed = self.add("Reshape", mixed, self.numbers(0, 0, self.width))
        return self.add("Add", x, self.linear(mixed, f"{name}.out"))

    def _heads(self, x: str, perm: list[int]) -> str:
        size = self.width // self.heads
        return self.add("Transpose", self.add("Reshape", x, self.numbers(0, 0, self.heads, size)), perm=perm)

    def _feed(self, x: str, block: int) -> str:
        name = f"blocks.{block}.feed"
        y = self.add("Relu", self.linear(self.norm(x, f"{name}.norm"), f"{name}.up"))
        return self.add("Add", x, self.linear(y, f"{name}.down"))

    def _outputs(self, h: str, q: str, w: str, mask: str) -> None:
        shown, low = self.add("Cast", mask, to=TensorProto.BOOL), self.constant(np.float32(_LOW))
        spans = self.add("Where", shown, self.linear(w, "span"), low, out="spans")
        likely = self.add("Transpose", self.add("Softmax", spans, axis=1), perm=[0, 2, 1])
        one = self.numbers(1)
        pooled = [
            self.add("ReduceMean", q, one, keepdims=0),
            self.add("ReduceMax", self.add("Where", shown, w, low), one, keepdims=0),
            self.add("ReduceMax", q, one, keepdims=0),
            self.add("Reshape", self.cut(h, self.zero, one, 1), self.numbers(0, self.width)),
            self.add("Reshape", self.add("MatMul", likely, w), self.numbers(0, 2 * self.width)),
        ]
        hidden = self.add("Relu", self.linear(self.add("Concat", *pooled, axis=-1), "pool"))
        self.add("Squeeze", self.linear(hidden, "answers"), one, out="answers")

    def _model(self) -> onnx.ModelProto:
        dimension, real, whole = self.w["static"].shape[1], TensorProto.FLOAT, TensorProto.INT32
        told: list[tuple[str, int, list[Any]]] = [
            ("asked", whole, ["n"]),
            ("ids", whole, ["many", "length"]),
            ("mask", real, ["many", "length"]),
            ("static_q", real, ["n", dimension]),
            ("static_w", real, ["many", "length", dimension]),
            ("match_q", real, ["many", "n", FEATURES + 1]),
            ("match_w", real, ["many", "length", FEATURES + 1]),
        ]
        inputs = [helper.make_tensor_value_info(*t) for t in told]
        outputs = [
            helper.make_tensor_value_info("answers", real, ["many"]),
            helper.make_tensor_value_info("spans", real, ["many", "length", 2]),
        ]
        graph = helper.make_graph(self.nodes, "reader", inputs, outputs, self.constants)
        known = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=known, ir_version=9)
        onnx.checker.check_model(model)
        return model
