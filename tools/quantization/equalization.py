"""Pass: scales channels so that one step size serves them all.

A tensor has one int8 step for all its channels. Where channels differ 20 to 50 times in
magnitude, the small ones keep two or three bits. For f positively homogeneous
(f(s x) = s f(x) for s > 0: identity, RELU, PRELU, pooling, padding with zeros),

    W2 f(W1 x + b1)  =  (W2 S) f(S^-1 W1 x + S^-1 b1)

with S a positive diagonal matrix (Nagel et al. 2019, "Data-Free Quantization Through
Weight Equalization and Bias Correction", eq. 5-7). There, each pair of layers is scaled
for itself; a residual stream ties all its readers and writers together, so here every
tensor of a stream shares one S.

With r_c the largest mean magnitude that the calibration saw in channel c on any tensor
of the stream, S_c = (r_c / max r)^p, p = 1/2: activations become more alike without
making the rows of W2, which share a step across input channels, as unlike. S_c is
rounded to a power of two, so that every product is exact and the float outputs stay
the same to the bit (but for the order of sums, which does not change either).

A stream that computes in float (tools.quantization.float_streams) has no step inside: only
what convolutions hand to it and take from it has one. Its branches are loud in other
channels than the sum is, so there no channel of a branch becomes louder than the branch's
loudest was.

RELU6 is homogeneous only where it does not clip: a channel whose largest value in
calibration is m stays below the clip when it is scaled up to 6 / m times. Such channels
are scaled up too, to 3/4 of the clip at most. The float outputs are then the same to the
bit on the calibration samples and on all that reach no more than 4/3 as far. What
reaches further is clipped early; on MediaPipe's models the float outputs of images that
calibration never saw keep a cosine of 0.998 and more. With fewer than 32 samples, which
say little about how far a channel reaches, such channels are left.
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.extension import GraphExtension
from tools.graph.flatbuffer import TfliteModel, shape_of, tensor_name
from tools.graph.pruning import prune
from tools.graph.topology import PER_CHANNEL, Topology, channel_count
from tools.quantization.activation_statistics import TensorStatistics
from tools.quantization.float_streams import float_streams
from tools.quantization.tied_channels import TiedChannels

_HOMOGENEOUS = frozenset(
    {
        schema.ActivationFunctionType.NONE,
        schema.ActivationFunctionType.RELU,
        schema.ActivationFunctionType.RELU6,
    }
)
_POWER = 0.5
# Up to here channels under a RELU6 may grow; the rest of the 6 is for other images.
_BELOW_THE_CLIP = 4.5
_LEAST_SAMPLES = 32
# Beyond 2^-6 a channel is as good as dead, and its scale would only blow up noise.
_LEAST_EXPONENT = -6


class _Streams:
    """Channels that must share a scale.

    Attributes:
      tied: the channels of all computed tensors.
      fixed: tensors that are not scaled.
      clipped: tensors that a RELU6 writes.
      stepless: tensors between operators that compute in float.
    """

    def __init__(self, tied: TiedChannels):
        self.tied = tied
        self.fixed: set[int] = set()
        self.clipped: set[int] = set()
        self.stepless: set[int] = set()


def _fused(operator: schema.OperatorT) -> int:
    options = operator.builtinOptions
    return getattr(options, "fusedActivationFunction", schema.ActivationFunctionType.NONE)


def _weights_are_its_own(
    graph: Topology, operator: schema.OperatorT, holders: Counter[int]
) -> bool:
    """Says whether weights can be scaled for this operator alone.

    Weights that others read stay one constant, for the file's size. A bias is small:
    one that is shared, as zeros are by whole networks, is no hindrance.
    """
    if not all(graph.is_constant(index) for index in operator.inputs[1:] if index != -1):
        return False
    weights = int(operator.inputs[1])
    return len(graph.consumers[weights]) == 1 and holders[graph.tensor(weights).buffer] == 1


def _streams(graph: Topology) -> _Streams:
    """Ties together channels that must share a scale; fixes those that must not have one."""
    computed = graph.inputs | set(graph.producer)
    tied = TiedChannels({i: channel_count(graph.tensor(i)) for i in sorted(computed)})
    streams = _Streams(tied)
    holders = Counter(tensor.buffer for tensor in graph.subgraph.tensors)
    streams.fixed |= (graph.inputs | graph.outputs) & computed
    for operator in graph.subgraph.operators:
        name = graph.name(operator)
        sources = [int(i) for i in operator.inputs if int(i) in computed]
        results = [int(i) for i in operator.outputs]
        homogeneous = _fused(operator) in _HOMOGENEOUS
        if name == "RELU6" or _fused(operator) == schema.ActivationFunctionType.RELU6:
            streams.clipped.update(results)
        if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            free = len(sources) == 1 and _weights_are_its_own(graph, operator, holders)
            if name == "DEPTHWISE_CONV_2D":
                free &= operator.builtinOptions.depthMultiplier == 1
            elif free:
                # A grouped convolution's weights see only their group's channels.
                weights = shape_of(graph.tensor(operator.inputs[1]))
                free &= weights[-1:] == (tied.sizes[sources[0]],)
            # Weights may be computed too.
            streams.fixed.update([] if free else sources)
            if not free or not homogeneous:
                streams.fixed.add(results[0])
        elif (name in PER_CHANNEL or name == "RELU6") and len(sources) == 1 and homogeneous:
            tied.tie(sources[0], results[0])
        elif (
            name == "ADD"
            and homogeneous
            and len(sources) == 2
            and len({shape_of(graph.tensor(i)) for i in sources}) == 1
        ):
            for source in sources:
                tied.tie(source, results[0])
        elif name == "PAD" and len(sources) == 1 and graph.is_constant(operator.inputs[1]):
            padding = graph.model.constant(graph.tensor(operator.inputs[1]))
            tied.tie(sources[0], results[0], int(padding[-1][0]))
        else:
            streams.fixed.update(sources + results)
    in_float = {id(operator) for operator in float_streams(graph)}
    for index, writer in graph.producer.items():
        readers = [id(reader) for reader, _ in graph.consumers.get(index, [])]
        if in_float.issuperset([id(writer), *readers]):
            streams.stepless.add(index)
    return streams


def _scale_weights(
    graph: Topology,
    extension: GraphExtension,
    operator: schema.OperatorT,
    into: np.ndarray,
    out: np.ndarray,
) -> None:
    """Multiplies weights by the input channels' scales and divides by the outputs'.

    A bias that others read is left to them; the operator gets one of its own.
    """
    weights = graph.tensor(operator.inputs[1])
    values = graph.model.tensor_data(weights)
    if graph.name(operator) == "DEPTHWISE_CONV_2D":
        scaled = values * (into / out)
    else:
        scaled = values * into / out.reshape(-1, 1, 1, 1)
    weights.buffer = graph.model.add_constant(scaled.astype(np.float32))
    if len(operator.inputs) > 2 and operator.inputs[2] != -1:
        bias = int(operator.inputs[2])
        scaled = (graph.model.tensor_data(graph.tensor(bias)) / out).astype(np.float32)
        if len(graph.consumers[bias]) == 1:
            graph.tensor(bias).buffer = graph.model.add_constant(scaled)
        elif (out != 1).any():
            suffix = f"_equalized_{int(operator.outputs[0])}"
            own = extension.copied(bias, suffix, scaled)
            operator.inputs = [*operator.inputs[:2], own, *operator.inputs[3:]]


def _scales(streams: _Streams, statistics: Mapping[int, TensorStatistics]) -> dict[int, np.ndarray]:
    """Chooses what each channel is divided by, a power of two: float64 [channels] by tensor."""
    tied = streams.tied
    roots = {index: tied.roots(index) for index in tied.sizes}
    fixed, floating = np.zeros(tied.count, bool), np.zeros(tied.count, bool)
    magnitude = np.zeros(tied.count)
    for index in streams.fixed:
        fixed[roots[index]] = True
    for index in streams.stepless:
        floating[roots[index]] = True
    heard = {i: statistics[i].channel_magnitude for i in set(roots) & set(statistics)}
    for index in heard.keys() - streams.stepless:
        np.maximum.at(magnitude, roots[index], heard[index])

    least = np.full(tied.count, float(_LEAST_EXPONENT))
    for index in streams.clipped & set(statistics):
        highest = np.maximum(statistics[index].channel_highest, np.finfo(np.float32).tiny)
        np.maximum.at(least, roots[index], np.ceil(np.log2(highest / _BELOW_THE_CLIP)))
    for index in heard.keys() - streams.stepless:
        loud = np.flatnonzero(floating[roots[index]] & (heard[index] > 0))
        bound = np.ceil(np.log2(heard[index][loud] / heard[index].max(initial=0)))
        np.maximum.at(least, roots[index][loud], bound)
    least = np.minimum(least, 0)

    exponents = np.zeros(tied.count)
    for own in (roots[index] for index in roots.keys() - streams.stepless):
        # The loudest channel of any tensor of the stream sets its step.
        loudest = magnitude[own].max(initial=0)
        own = own[~fixed[own] & (magnitude[own] > 0)]
        wanted = np.round(_POWER * np.log2(magnitude[own] / loudest))
        # A stream's tensors agree on the strongest scaling that any of them wants.
        exponents[own] = np.maximum(least[own], np.minimum(exponents[own], wanted))
    return {index: np.exp2(exponents[own]) for index, own in roots.items()}


def equalize(
    model: TfliteModel,
    statistics: Mapping[int, TensorStatistics],
    scales: dict[str, np.ndarray] | None = None,
    through_relu6: bool = True,
) -> dict:
    """Scales the channels of every stream that allows it.

    Args:
      model: a float master; changed in place. Its float outputs stay the same, on the
        samples of the statistics at least.
      statistics: by tensor index, of this model; those of the changed model are others.
      scales: filled with what each channel of each tensor is divided by, float64
        [channels] by tensor name.
      through_relu6: whether channels under a RELU6 are scaled. Without, the float outputs
        stay the same on all inputs.

    Returns:
      The report's entry: {"name", "changed", "detail"}.
    """
    graph = Topology(model)
    streams = _streams(graph)
    for index in streams.clipped:
        seen = statistics[index].highest.size if index in statistics else 0
        if not through_relu6 or seen < _LEAST_SAMPLES:
            streams.fixed.add(index)
    scale = _scales(streams, statistics)
    extension = GraphExtension(model, graph.subgraph)
    changed = 0
    for operator in graph.subgraph.operators:
        if graph.name(operator) not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            continue
        if int(operator.inputs[0]) not in scale:
            continue
        into, out = scale[int(operator.inputs[0])], scale[int(operator.outputs[0])]
        if (into != 1).any() or (out != 1).any():
            _scale_weights(graph, extension, operator, into, out)
            changed += 1
    if scales is not None:
        scales |= {tensor_name(graph.tensor(index)): values for index, values in scale.items()}
    prune(model)
    scaled = sum(int((values != 1).sum()) for values in scale.values())
    return {
        "changed": changed,
        "detail": f"{scaled} channels scaled by powers of two, in {changed} operators",
        "name": "equalization",
    }
