"""Second moments of what goes into FULLY_CONNECTED operators, for the library's GPTQ.

GPTQ (Frantar et al. 2022, "GPTQ: Accurate Post-Training Quantization for Generative
Pre-trained Transformers", eq. 2-3) rounds a layer's weights one column after another and
spreads each rounding error over the columns that are left, by the inverse of the Hessian
of the layer's squared output error,

    H = 2/n sum_i x_i x_i^T,

over the n rows x_i that calibration puts in. The library finds H in its own calibrator,
which runs every tensor through Python; here the delegate computes the rows.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tools.graph.flatbuffer import TfliteModel, tensor_name
from tools.graph.runtime import signature_inputs
from tools.graph.topology import Topology
from tools.quantization.calibration import run_samples

GPTQ = "GPTQ"


def add_hessians(
    model: TfliteModel,
    samples: Sequence[Mapping[str, np.ndarray]],
    ranges: dict[str, dict],
    progress: Callable[[int], None] | None = None,
) -> dict:
    """Runs the model over a dataset and adds to the ranges what GPTQ needs.

    Args:
      model: the prepared float master.
      samples: the dataset; each maps signature input names to float32 arrays.
      ranges: in the library's form. Each entry of an activation that a FULLY_CONNECTED
        operator reads gains "hessian", float32 [inputs, inputs], and "num_samples".
      progress: called with the number of samples done.

    Returns:
      The report's entry: {"name", "changed", "detail"}.

    Raises:
      InputError: when the runtime cannot run the model.
    """
    graph = Topology(model)
    read = {
        int(operator.inputs[0]): int(graph.tensor(operator.inputs[1]).shape[-1])
        for operator in graph.subgraph.operators
        if graph.name(operator) == "FULLY_CONNECTED" and graph.is_constant(operator.inputs[1])
    }
    given = {index: name for name, index in signature_inputs(model).items()}
    moments = {index: np.zeros((size, size)) for index, size in read.items()}
    counts = dict.fromkeys(read, 0)

    def visit(number: int, index: int, values: np.ndarray) -> None:
        rows = values.reshape(-1, read[index]).astype(np.float64)
        moments[index] += rows.T @ rows
        counts[index] += len(rows)

    computed = sorted(index for index in read if index not in given)

    def shown(number: int, index: int, values: np.ndarray) -> None:
        visit(number, index, values)
        if progress and index == computed[-1]:
            progress(number + 1)

    for index in sorted(set(read) & set(given)):
        for number, sample in enumerate(samples):
            visit(number, index, sample[given[index]])
    if computed:
        run_samples(model, computed, samples, shown)
    for index, moment in moments.items():
        entry = ranges.setdefault(tensor_name(graph.tensor(index)), {})
        entry["hessian"] = (2 / counts[index] * moment).astype(np.float32)
        entry["num_samples"] = counts[index]
    return {
        "changed": len(read),
        "detail": f"{len(read)} Hessians from {len(samples)} samples, for GPTQ",
        "name": "hessians",
    }
