"""Pass: takes out channels that no result depends on.

Training with weight decay drives whole channels to nothing: each weight that reads them
ends near 1e-35. A convolution's sum does not change when such a product is left out, and
a channel that no living weight reads can be left out where it is made, with its bias, its
depthwise kernel and its slope. What lives is the least set such that

    every channel of the model's outputs, and of operators not known here, lives;
    channel i lives if |W[o, i]| >= 2^-64 for a weight of a living output channel o

where operators that hand channels on (depthwise convolutions, pooling, ADD) tie theirs
together. It is liveness analysis as compilers do it (Aho et al., "Compilers", 9.2.5),
channel by channel; nothing is pruned that computes something, as magnitude pruning does.

A tensor of which less than a 64th is dead stays as it is: zero points, 8 bytes a channel,
are written once for all tensors of one length, and a length of its own costs more than a
few channels bring.

An output o changes by at most 2^-64 * sum |x_i| over the channels that go: far under half
a step of float32 for a sum of any size that a trained model computes.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import TfliteModel, model_bytes, shape_of
from tools.graph.pruning import prune
from tools.graph.topology import PER_CHANNEL, Topology, channel_count
from tools.quantization.tied_channels import TiedChannels

_NOTHING = 2.0**-64


class _Liveness:
    """Which channels of which tensors something depends on.

    Channels that operators tie together live or die together.
    """

    def __init__(self, graph: Topology, least_share: float):
        self.graph = graph
        self.least_share = least_share
        self.computed = graph.inputs | set(graph.producer)
        self.tied = TiedChannels({index: self.channels(index) for index in sorted(self.computed)})
        self.fixed: list[int] = []
        self.readers: list[tuple[np.ndarray, int, int]] = []
        for operator in graph.subgraph.operators:
            self._read(operator)
        signatures = graph.model.schema.signatureDefs or []
        entries = [e for s in signatures if s.subgraphIndex == 0 for e in s.inputs + s.outputs]
        self.fixed += [e.tensorIndex for e in entries if e.tensorIndex in self.computed]
        # A constant may be an output as well.
        self.fixed += sorted((graph.inputs | graph.outputs) & self.computed)
        self.alive = self._spread()

    def channels(self, index: int) -> int:
        return channel_count(self.graph.tensor(index))

    def _read(self, operator: schema.OperatorT) -> None:
        graph = self.graph
        name = graph.name(operator)
        sources = [int(i) for i in operator.inputs if int(i) in self.computed]
        results = [int(i) for i in operator.outputs]
        constants = [int(i) for i in operator.inputs if i != -1 and int(i) not in self.computed]
        # A constant with several readers cannot lose channels for one of them.
        own = all(len(graph.consumers[index]) == 1 for index in constants)
        if len(results) == 1 and own:
            if name in ("CONV_2D", "FULLY_CONNECTED") and len(sources) == 1:
                weights = _own_values(graph, operator, 1)
                ends = self.channels(results[0]), self.channels(sources[0])
                if weights is not None and (weights.shape[0], weights.shape[-1]) == ends:
                    magnitude = np.abs(weights).reshape(weights.shape[0], -1, weights.shape[-1])
                    self.readers.append((magnitude.max(axis=1), sources[0], results[0]))
                    return
            elif self._hands_on(name, operator, sources, results[0]):
                for source in sources:
                    self.tied.tie(source, results[0])
                return
        self.fixed += sources + results

    def _hands_on(
        self, name: str, operator: schema.OperatorT, sources: list[int], result: int
    ) -> bool:
        """Says whether channel i of the result comes from channel i of each source alone."""
        graph = self.graph
        alike = len({self.channels(index) for index in [*sources, result]}) == 1
        if not sources or not alike:
            return False
        if name == "DEPTHWISE_CONV_2D":
            return (
                len(sources) == 1
                and operator.builtinOptions.depthMultiplier == 1
                and _own_values(graph, operator, 1) is not None
            )
        if name in ("ADD", "MUL"):
            shapes = [shape_of(graph.tensor(index)) for index in operator.inputs]
            return all(shape and shape[-1] == self.channels(result) for shape in shapes)
        if len(sources) != 1:
            return False
        if name == "PAD":
            padding = _own_values(graph, operator, 1)
            return padding is not None and not padding[-1].any()
        if name == "MEAN":
            axes, rank = _own_values(graph, operator, 1), len(shape_of(graph.tensor(sources[0])))
            return axes is not None and bool((axes.reshape(-1) % rank != rank - 1).all())
        if name == "RESHAPE":
            return len(operator.inputs) == 1 or graph.is_constant(operator.inputs[1])
        return name in PER_CHANNEL

    def _spread(self) -> np.ndarray:
        """Finds the living roots, from the fixed ones to what they are made of."""
        roots = {index: self.tied.roots(index) for index in self.tied.sizes}
        alive = np.zeros(self.tied.count, bool)
        for index in self.fixed:
            alive[roots[index]] = True
        edges = [(m >= _NOTHING, roots[s], roots[r]) for m, s, r in self.readers]
        before = -1
        while before != (before := int(alive.sum())):
            # Writers stand before readers: backwards, one round does most of it.
            for weights, into, out in reversed(edges):
                alive[into[weights[alive[out]].any(axis=0)]] = True
        for own in roots.values():
            if (~alive[own]).sum() < self.least_share * own.size:
                alive[own] = True
            # A tensor without channels is no tensor.
            elif own.size and not alive[own].any():
                alive[own[0]] = True
        return alive

    def kept(self, index: int) -> np.ndarray:
        """bool [channels] of a computed tensor."""
        return self.alive[self.tied.roots(index)]


def _own_values(graph: Topology, operator: schema.OperatorT, position: int) -> np.ndarray | None:
    return graph.model.tensor_data(graph.tensor(operator.inputs[position]))


def _take(graph: Topology, index: int, kept: np.ndarray, axis: int) -> None:
    """Leaves a constant the kept channels of one axis; of size 1 it serves them all."""
    tensor = graph.tensor(index)
    values = graph.model.tensor_data(tensor)
    if values is None or values.shape[axis] != kept.size or kept.all():
        return
    values = np.compress(kept, values, axis=axis)
    tensor.buffer = graph.model.add_constant(values)
    tensor.shape = np.array(values.shape, np.int32)


def _cut(graph: Topology, operator: schema.OperatorT, live: _Liveness) -> None:
    """Takes dead channels out of an operator's constants."""
    name = graph.name(operator)
    inputs = [int(index) for index in operator.inputs]
    out = live.kept(int(operator.outputs[0]))
    if name in ("CONV_2D", "FULLY_CONNECTED"):
        _take(graph, inputs[1], live.kept(inputs[0]), -1)
        _take(graph, inputs[1], out, 0)
        if len(inputs) > 2 and inputs[2] != -1:
            _take(graph, inputs[2], out, -1)
    elif name == "RESHAPE":
        if operator.builtinOptions is not None and operator.builtinOptions.newShape is not None:
            shape = np.array(operator.builtinOptions.newShape, np.int32)
            shape[-1] = out.sum()
            operator.builtinOptions.newShape = shape
        if len(inputs) > 1:
            shape = graph.model.constant(graph.tensor(inputs[1])).copy()
            shape.reshape(-1)[-1] = out.sum()
            graph.tensor(inputs[1]).buffer = graph.model.add_constant(shape)
    elif name not in ("PAD", "MEAN", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
        for index in inputs:
            if index != -1 and index not in live.computed:
                _take(graph, index, out, -1)


def remove_dead_channels(model: TfliteModel, least_share: float = 1 / 64) -> dict:
    """Removes channels that no result depends on.

    Args:
      model: a float model; changed in place.
      least_share: of a tensor's channels, which have to be dead for any to go.

    Returns:
      The report's entry; its gain is in bytes of the float model.
    """
    graph = Topology(model)
    live = _Liveness(graph, least_share)
    dead = {index: int((~live.kept(index)).sum()) for index in live.tied.sizes}
    removed = sum(dead.values())
    gain = None
    if removed:
        before = len(model_bytes(model))
        for operator in graph.subgraph.operators:
            touched = [int(i) for i in [*operator.inputs, *operator.outputs] if int(i) in dead]
            if any(dead[index] for index in touched):
                _cut(graph, operator, live)
        for index in dead:
            if dead[index]:
                shape = np.array(shape_of(graph.tensor(index)), np.int32)
                shape[-1] -= dead[index]
                graph.tensor(index).shape = shape
                graph.tensor(index).shapeSignature = None
        prune(model)
        gain = {"metric": "float model, bytes", "before": before, "after": len(model_bytes(model))}
    tensors = sum(count > 0 for count in dead.values())
    return {
        "changed": removed,
        "detail": f"{removed} channels of {tensors} tensors removed, which no result depends on",
        "gain": gain,
        "name": "dead_channels",
    }
