"""Finds the output of an artifact of few bits that is no longer like its float model's.

Weights of four or two bits can leave nothing of a model, and the file is as sound as any. So the
finished artifact and the float model run on samples of the calibration data.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import TfliteModel, tensor_name, text
from tools.graph.topology import Topology
from tools.quantization.calibration import evenly_spread
from tools.quantization.choice import outputs_of

_JUDGES = 8


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    if one.shape != other.shape:
        # Its size depends on values.
        return 0.0
    sizes = np.linalg.norm(one), np.linalg.norm(other)
    if not all(sizes):
        # An output of zeros is like one of zeros alone.
        return float(not any(sizes))
    return float(one.reshape(-1) @ other.reshape(-1) / sizes[0] / sizes[1])


def _output_names(model: TfliteModel) -> list[str]:
    """Names the float outputs as the signature does, in the subgraph's order."""
    graph = Topology(model)
    named = {
        int(end.tensorIndex): text(end.name)
        for signature in model.schema.signatureDefs or []
        if not signature.subgraphIndex
        for end in signature.outputs
    }
    return [
        named.get(int(index), tensor_name(graph.tensor(index)))
        for index in graph.subgraph.outputs
        if graph.tensor(index).type == schema.TensorType.FLOAT32
    ]


def unlike_output(
    model: TfliteModel,
    contents: tuple[bytes, bytes],
    samples: Sequence[Mapping[str, np.ndarray]],
    least_cosine: float,
) -> str:
    """Compares an artifact with its float model on calibration samples.

    Args:
      model: the float master.
      contents: its file, and the artifact's, both of which have run before.
      samples: the representative dataset; each maps signature input names to arrays.
      least_cosine: that the mean cosine similarity of each output is to be.

    Returns:
      A clause about the output that is farthest from the float model's, where that is too far;
      else "".
    """
    judges = evenly_spread(samples, _JUDGES)
    pairs = zip(*(outputs_of(model, content, judges) for content in contents), strict=True)
    cosines = np.mean([[_cosine(*pair) for pair in zip(*both, strict=True)] for both in pairs], 0)
    if not cosines.size or cosines.min() >= least_cosine:
        return ""
    name = _output_names(model)[int(cosines.argmin())]
    return (
        f"output {name} has a mean cosine similarity of {cosines.min():.3f} on {len(judges)} "
        f"calibration samples, below {least_cosine:g}"
    )
