"""Statistics of a float model's activations over a representative dataset.

One pass over the samples keeps, for every tensor that an operator computes, the
extremes of each sample and the mean of each channel's largest magnitude: memory grows
by 8 bytes a tensor and sample, whatever the tensors' sizes.
"""

import contextlib
import dataclasses
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tools.errors import InputError
from tools.graph.flatbuffer import TfliteModel, model_bytes, shape_of, tensor_name
from tools.graph.topology import Topology


@dataclasses.dataclass
class TensorStatistics:
    """What one tensor did over the samples.

    Attributes:
      lowest: float32 [samples], the smallest value in each sample.
      highest: float32 [samples], the largest.
      channel_magnitude: float64 [channels], the mean over samples of the largest
        magnitude in each channel (the last dimension).
    """

    lowest: np.ndarray
    highest: np.ndarray
    channel_magnitude: np.ndarray


@contextlib.contextmanager
def _quiet_runtime():
    """Keeps the runtime's own words from the terminal.

    It writes that it made a delegate straight to file descriptor 2, past Python. What
    goes wrong comes as an exception all the same.
    """
    sys.stderr.flush()
    with warnings.catch_warnings(), open(os.devnull, "wb") as nowhere:
        warnings.simplefilter("ignore")
        saved = os.dup(2)
        try:
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def open_interpreter(content: bytes, where: str, keep_tensors: bool = False, threads: int = 1):
    """Opens a model for running.

    Args:
      content: a whole .tflite file.
      where: how messages name it.
      keep_tensors: keep every tensor's values for reading. No delegate runs then: what
        lies between a delegate's operators is never written.
      threads: of the interpreter.

    Returns:
      An ai_edge_litert Interpreter with tensors allocated.

    Raises:
      InputError: when the runtime cannot run the model.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = (
        OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if keep_tensors else OpResolverType.AUTO
    )
    try:
        with _quiet_runtime():
            interpreter = Interpreter(
                model_content=content,
                num_threads=threads,
                experimental_op_resolver_type=resolver,
                experimental_preserve_all_tensors=keep_tensors,
            )
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise InputError(f"{where}: the runtime cannot run this model: {reason}") from None
    return interpreter


def signature_inputs(model: TfliteModel) -> dict[str, int]:
    """Maps the signature's input names to tensor indices."""
    (signature, *_) = model.schema.signatureDefs
    return {
        entry.name.decode() if isinstance(entry.name, bytes) else entry.name: entry.tensorIndex
        for entry in signature.inputs
    }


def run_samples(
    model: TfliteModel,
    tensors: Sequence[int],
    samples: Sequence[Mapping[str, np.ndarray]],
    visit: Callable[[int, int, np.ndarray], None],
) -> None:
    """Runs a float model over samples and shows chosen tensors.

    Args:
      model: a float master.
      tensors: indices of tensors that operators compute.
      samples: for each, signature input name to array.
      visit: called with (sample number, tensor index, values). The values are only
        valid during the call.

    Raises:
      InputError: when the runtime cannot run the model.
    """
    interpreter = open_interpreter(model_bytes(model), model.where, keep_tensors=True)
    inputs = signature_inputs(model)
    for number, sample in enumerate(samples):
        for name, index in inputs.items():
            interpreter.set_tensor(index, sample[name])
        interpreter.invoke()
        for index in tensors:
            visit(number, index, interpreter.get_tensor(index))


def computed_tensors(model: TfliteModel) -> list[int]:
    """Lists the float tensors that hold activations: inputs, and what operators write."""
    graph = Topology(model)
    indices = sorted(graph.inputs | set(graph.producer))
    return [index for index in indices if graph.tensor(index).type == 0]


def gather_statistics(
    model: TfliteModel,
    samples: Sequence[Mapping[str, np.ndarray]],
    progress: Callable[[int], None] | None = None,
) -> dict[int, TensorStatistics]:
    """Runs a float model over a representative dataset and keeps what ranges need.

    Args:
      model: a float master.
      samples: the dataset; each maps signature input names to float32 arrays.
      progress: called with the number of samples done.

    Returns:
      Tensor index to statistics.

    Raises:
      InputError: when there are no samples, the runtime cannot run the model, or a
        tensor becomes NaN or infinite; the message names tensor and sample.
    """
    if not len(samples):
        raise InputError(f"{model.where}: calibration needs at least one sample; give more data")
    graph = Topology(model)
    tensors = computed_tensors(model)
    count = len(samples)
    result = {}
    for index in tensors:
        shape = shape_of(graph.tensor(index))
        result[index] = TensorStatistics(
            lowest=np.empty(count, np.float32),
            highest=np.empty(count, np.float32),
            channel_magnitude=np.zeros(shape[-1] if shape else 1),
        )

    def visit(number: int, index: int, values: np.ndarray) -> None:
        statistics = result[index]
        channels = values.reshape(-1, statistics.channel_magnitude.size)
        low, high = channels.min(axis=0), channels.max(axis=0)
        statistics.lowest[number] = low.min()
        statistics.highest[number] = high.max()
        if not (np.isfinite(statistics.lowest[number]) and np.isfinite(statistics.highest[number])):
            names = getattr(samples, "names", None)
            sample = names[number] if names else f"number {number}"
            raise InputError(
                f"{model.where}: tensor {tensor_name(graph.tensor(index))} becomes NaN or "
                f"infinite on calibration sample {sample}; check the sample and the input's "
                "mean and std"
            )
        statistics.channel_magnitude += np.maximum(-low, high) / count
        if progress and index == tensors[-1]:
            progress(number + 1)

    run_samples(model, tensors, samples, visit)
    return result


def input_specifications(content: bytes, where: str) -> list[tuple[str, tuple[int, ...], np.dtype]]:
    """Lists a model's inputs.

    Args:
      content: a whole .tflite file with a signature.
      where: how messages name it.

    Returns:
      (signature input name, shape with the batch, dtype) for each.

    Raises:
      InputError: when the runtime cannot run the model.
    """
    runner = open_interpreter(content, where).get_signature_runner()
    return [
        (name, tuple(int(size) for size in details["shape"]), np.dtype(details["dtype"]))
        for name, details in runner.get_input_details().items()
    ]
