"""Runs a model over a representative dataset and keeps what its activations did.

The model runs as it does in use, with the runtime's delegate: those values are the truth
that ranges and corrections are made for. (Kernels without the delegate differ in the last
bits.) An instrumented copy of the model reduces its own activations, so that all that
Python reads for a sample is a row of numbers. The samples are shared out among forked
processes of one thread each, which load their own samples; what comes out does not depend
on how many there are.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

import numpy as np

from tools.errors import InputError
from tools.graph.data_sized import data_sized
from tools.graph.flatbuffer import TfliteModel, tensor_name
from tools.graph.runtime import FreshInterpreter, read_tensor, signature_inputs
from tools.graph.topology import Topology
from tools.quantization.activation_statistics import ActivationStatistics, Rows
from tools.quantization.instrumentation import Layout, instrumented, plan_layout, with_outputs
from tools.quantization.masks import find_masks
from tools.quantization.range_estimators import HALF_BINS, Histogram
from tools.quantization.sample_processes import over_samples

_T = TypeVar("_T")


def run_samples(
    model: TfliteModel,
    tensors: Sequence[int],
    samples: Sequence[Mapping[str, np.ndarray]],
    visit: Callable[[int, int, np.ndarray], None],
) -> None:
    """Runs a model over samples and shows chosen tensors, whole.

    Args:
      model: float or quantized.
      tensors: indices of tensors that operators compute.
      samples: for each, signature input name to array.
      visit: called with (sample number, tensor index, values). The values are only
        valid during the call.

    Raises:
      InputError: when the runtime cannot run the model.
    """
    runner = _Runner(with_outputs(model, tensors), model)
    for number, sample in enumerate(samples):
        for index, values in zip(tensors, runner(sample), strict=True):
            visit(number, index, values)


def computed_tensors(model: TfliteModel) -> list[int]:
    """Lists the float tensors that hold activations: inputs, and what operators write.

    What has a size that depends on values is none: it is computed in float.
    """
    graph = Topology(model)
    indices = sorted((graph.inputs | set(graph.producer)) - data_sized(graph))
    return [index for index in indices if graph.tensor(index).type == 0]


def evenly_spread(samples: Sequence[_T], most: int) -> list[_T]:
    """Chooses samples that lie evenly over all of them, the first and the last among them.

    Args:
      samples: in their order; one at least.
      most: how many are chosen at most.
    """
    count = min(len(samples), most)
    places = np.unique(np.linspace(0, len(samples) - 1, count).astype(int))
    return [samples[int(place)] for place in places]


class _Runner:
    """A copy of a model with other outputs, open for running."""

    def __init__(self, content: bytes, model: TfliteModel):
        """Opens it.

        Args:
          content: the copy, which has the model's inputs in the model's order.
          model: the model, whose signature names the inputs.
        """
        self._where = model.where
        self._interpreter = FreshInterpreter(content, model.where)
        opened = self._interpreter.current
        order = [int(index) for index in model.schema.subgraphs[0].inputs]
        places = [details["index"] for details in opened.get_input_details()]
        self._inputs = {
            name: places[order.index(index)] for name, index in signature_inputs(model).items()
        }
        self._outputs = [details["index"] for details in opened.get_output_details()]

    def run(self, sample: Mapping[str, np.ndarray]) -> None:
        """Runs one sample, as the first that a model with a state sees.

        What a sample leaves behind would depend on which process had which before.

        Raises:
          InputError: when the sample does not fit, or the runtime fails.
        """
        try:
            interpreter = self._interpreter.begin()
            for name, index in self._inputs.items():
                interpreter.set_tensor(index, sample[name])
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                "model.runtime", f"{self._where}: a sample cannot be run: {reason}"
            ) from None

    def output(self, place: int) -> np.ndarray:
        """Shows an output where it lies: nothing may hold on to it when the next sample runs."""
        return self._interpreter.current.tensor(self._outputs[place])()

    def __call__(self, sample: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Runs one sample and copies the outputs; raises as `run`."""
        self.run(sample)
        return [read_tensor(self._interpreter.current, index) for index in self._outputs]


# With activations and weights up to here, no product and no sum of a layer is larger than
# float32 holds. Beyond, a sample is looked at tensor by tensor.
_SURELY_FINITE = 1e15


def _has_large_weights(model: TfliteModel, masks: Collection[int]) -> bool:
    for index, tensor in enumerate(model.schema.subgraphs[0].tensors):
        if index in masks:
            continue
        values = model.tensor_data(tensor) if tensor.type == 0 else None
        if values is None or not values.size:
            continue
        if max(float(values.max()), -float(values.min())) > _SURELY_FINITE:
            return True
    return False


def _first_infinite(
    model: TfliteModel, sample: Mapping[str, np.ndarray], masks: Collection[int]
) -> int | None:
    """Finds the first tensor, in the operators' order, that holds NaN or infinity."""
    graph = Topology(model)
    order = [int(index) for index in graph.subgraph.inputs]
    order += [int(index) for op in graph.subgraph.operators for index in op.outputs]
    order = [index for index in order if graph.tensor(index).type == 0 and index not in masks]
    # An input is no output of the runtime's, but can be looked at here.
    given = {index: sample[name] for name, index in signature_inputs(model).items()}
    computed = [index for index in order if index not in given]
    found = dict(zip(computed, _Runner(with_outputs(model, computed), model)(sample), strict=True))
    return next((i for i in order if not np.isfinite((given | found)[i]).all()), None)


class _RowWriter:
    """Runs samples and writes the rows of their statistics; one in each process."""

    def __init__(self, model: TfliteModel, content: bytes, layout: Layout, samples, rows: Rows):
        self._model, self._layout, self._samples, self._rows = model, layout, samples, rows
        self._run = _Runner(content, model)
        masks = find_masks(Topology(model))
        # A mask may be as low as there are numbers.
        self._masks = masks.tensors
        self._looked_at = np.ones(layout.width, bool)
        for places in layout.columns.values():
            for index in self._masks & set(places):
                self._looked_at[places[index]] = False
        self._doubtful = _has_large_weights(model, masks.constants)

    def __call__(self, number: int) -> None:
        sample = self._samples[number]
        row = np.concatenate(self._run(sample))
        inputs = all(
            np.isfinite(values).all() for values in sample.values() if values.dtype.kind == "f"
        )
        if len(row) != self._layout.width:
            raise InputError(
                "data.shape",
                f"{self._model.where}: an activation has another shape on calibration sample "
                f"{self._name(number)} than the model states; give samples of one size",
            )
        largest = np.abs(row[self._looked_at]).max(initial=0)
        # A NaN makes the comparison false.
        if self._doubtful or not inputs or not largest <= _SURELY_FINITE:
            self._refuse_infinite(number, sample)
        self._rows.write(number, row)

    def _name(self, number: int) -> str:
        names = getattr(self._samples, "names", None)
        return names[number] if names else f"number {number}"

    def _refuse_infinite(self, number: int, sample) -> None:
        # What is reduced may overflow where no tensor does.
        index = _first_infinite(self._model, sample, self._masks)
        if index is None:
            return
        tensor = self._model.schema.subgraphs[0].tensors[index]
        raise InputError(
            "data.value",
            f"{self._model.where}: tensor {tensor_name(tensor)} becomes NaN or infinite on "
            f"calibration sample {self._name(number)}; check the sample and the input's mean and "
            "std",
        )


def _gather_rows(
    model: TfliteModel,
    layout: Layout,
    samples: Sequence[Mapping[str, np.ndarray]],
    progress: Callable[[int], None] | None,
    processes: int | None,
) -> Rows:
    if not len(samples):
        raise InputError(
            "data.too_few", f"{model.where}: calibration needs at least one sample; give more data"
        )
    content = instrumented(model, layout)
    rows = Rows(layout.width, len(samples))
    over_samples(
        len(samples),
        lambda: _RowWriter(model, content, layout, samples, rows),
        progress,
        processes,
    )
    return rows


def gather_statistics(
    model: TfliteModel,
    samples: Sequence[Mapping[str, np.ndarray]],
    progress: Callable[[int], None] | None = None,
    tensors: Collection[int] | None = None,
    means: bool = False,
    processes: int | None = None,
) -> ActivationStatistics:
    """Runs a float model over a representative dataset and keeps what ranges need.

    Args:
      model: a float master.
      samples: the dataset; each maps signature input names to float32 arrays. Each process
        reads its own, so a lazy sequence is loaded in parallel.
      progress: called with the number of samples done.
      tensors: indices of the tensors wanted; all activations where it is None. Operators
        that none of them depends on are not run.
      means: whether channel means are wanted too, at about a fifth of the model's time.
      processes: how many, of one thread each; as many as there are cores where it is
        None. It does not change the result.

    Returns:
      Tensor index to statistics.

    Raises:
      InputError: when there are no samples, the runtime cannot run the model, or a
        tensor becomes NaN or infinite; the message names tensor and sample.
    """
    wanted = computed_tensors(model) if tensors is None else [int(index) for index in tensors]
    layout = plan_layout(model, wanted, wanted if means else ())
    rows = _gather_rows(model, layout, samples, progress, processes)
    return ActivationStatistics(layout, rows, wanted, wanted if means else ())


def no_statistics(model: TfliteModel) -> ActivationStatistics:
    """Gives what `gather_statistics` would of no samples, for a part of a dataset that is empty."""
    wanted = computed_tensors(model)
    layout = plan_layout(model, wanted, ())
    return ActivationStatistics(layout, Rows(layout.width), wanted)


def scaled_statistics(
    model: TfliteModel,
    samples: Sequence[Mapping[str, np.ndarray]],
    before: ActivationStatistics,
    scales: Mapping[str, np.ndarray],
    progress: Callable[[int], None] | None = None,
) -> ActivationStatistics:
    """Gives the statistics of a model whose channels were scaled, most often without a run.

    Where the scales are powers of two, and the scaled model computes the same but for
    them, its statistics follow from the original's to the bit
    (`ActivationStatistics.rescaled`). Two samples are run to see that it does. Where it
    does not, all are.

    Args:
      model: the scaled model.
      samples: the dataset that `before` is of.
      before: statistics of the original.
      scales: tensor name to what each of its channels was divided by, float [channels].
      progress: called with the number of samples done, where all are run.

    Returns:
      Tensor index of the scaled model to statistics, of the tensors of `before`.

    Raises:
      InputError: as `gather_statistics`.
    """
    derived = before.rescaled(model, scales)
    if not scales:
        return derived
    numbers = sorted({0, len(samples) - 1})
    shown = [samples[number] for number in numbers]
    found = gather_statistics(model, shown, tensors=list(derived), processes=1)
    for index, statistics in found.items():
        for place, number in enumerate(numbers):
            if (
                statistics.lowest[place] != derived[index].lowest[number]
                or statistics.highest[place] != derived[index].highest[number]
            ):
                return gather_statistics(model, samples, progress, list(derived))
    return derived


# Values that are binned together: as many as stay in a core's own cache.
_CHUNK = 32768


class _ValueCounter:
    """Runs samples and counts the values of chosen tensors into histograms."""

    def __init__(self, model: TfliteModel, magnitudes: Mapping[int, float], samples):
        self._samples, self._magnitudes = samples, magnitudes
        given = {index: name for name, index in signature_inputs(model).items()}
        self._given = {index: given[index] for index in magnitudes if index in given}
        self._computed = [index for index in magnitudes if index not in given]
        self._run = _Runner(with_outputs(model, self._computed), model) if self._computed else None
        self.counts = {index: np.zeros(2 * HALF_BINS, np.int64) for index in magnitudes}
        self.zeros = dict.fromkeys(magnitudes, 0)

    def __call__(self, number: int) -> None:
        sample = self._samples[number]
        for index, name in self._given.items():
            self._count(index, sample[name])
        if self._run:
            self._run.run(sample)
            for place, index in enumerate(self._computed):
                self._count(index, self._run.output(place))

    def _count(self, index: int, values: np.ndarray) -> None:
        values = values.reshape(-1)
        self.zeros[index] += int(np.count_nonzero(values == 0))
        factor = np.float32(HALF_BINS / self._magnitudes[index])
        for start in range(0, values.size, _CHUNK):
            bins = values[start : start + _CHUNK] * factor
            np.floor(bins, out=bins)
            np.clip(bins, -HALF_BINS, HALF_BINS - 1, out=bins)
            bins += HALF_BINS
            self.counts[index] += np.bincount(bins.astype(np.intp), minlength=2 * HALF_BINS)


def gather_histograms(
    model: TfliteModel,
    samples: Sequence[Mapping[str, np.ndarray]],
    magnitudes: Mapping[int, float],
    progress: Callable[[int], None] | None = None,
    processes: int | None = None,
) -> dict[int, Histogram]:
    """Counts the values of activations over a representative dataset.

    Every value of every sample is read and counted in Python, which takes several times as
    long as the model itself: only for estimators that need it, and only for the tensors
    that they are asked for. Counts are whole numbers, so that they merge exactly.

    Args:
      model: a float master.
      samples: the dataset; each maps signature input names to float32 arrays.
      magnitudes: tensor index to the largest magnitude that the tensor's histogram reaches,
        more than 0. What is larger counts in the outermost bins.
      progress: called with the number of samples done.
      processes: as of `gather_statistics`.

    Returns:
      Tensor index to histogram.

    Raises:
      InputError: when the runtime cannot run the model.
    """
    counted = over_samples(
        len(samples),
        lambda: _ValueCounter(model, magnitudes, samples),
        progress,
        processes,
        lambda counter: (counter.counts, counter.zeros),
    )
    return {
        index: Histogram(
            magnitude,
            np.sum([counts[index] for counts, _ in counted], axis=0),
            sum(zeros[index] for _, zeros in counted),
        )
        for index, magnitude in magnitudes.items()
    }
