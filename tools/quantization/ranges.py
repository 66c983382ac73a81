"""Turns calibration statistics into one range a tensor.

Each activation has an estimator (tools.quantization.range_estimators), or a range that the
settings give. Then ranges are widened where int8 kernels cannot take them.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping

import numpy as np

from tools.errors import InputError
from tools.graph.flatbuffer import shape_of, tensor_name
from tools.graph.topology import WEIGHTED, Topology
from tools.quantization.activation_statistics import TensorStatistics
from tools.quantization.range_estimators import (
    Histogram,
    entropy,
    extremes_mean,
    extremes_percentile,
    min_max,
    moving_average,
    mse,
    value_percentile,
)
from tools.quantization.settings import RangeSettings

_STEPS = 255
_WEIGHT_STEPS = 127
# XNNPACK's int8 kernels take at most 256 steps of the result for one step of what is
# summed up (qs8 requantization); its delegate crashes beyond. Half of it is kept clear.
_MOST_STEPS_A_SUM = 128


def widen_to_sums(graph: Topology, bounds: dict[int, list[float]]) -> None:
    """Widens ranges that are finer than their operator's inputs can resolve.

    An activation that was 0 on all samples has no width at all.

    Args:
      graph: the model.
      bounds: [low, high] by tensor index; changed in place, in the operators' order.
    """

    def step(index: int) -> float:
        if graph.is_constant(index):
            values = graph.model.constant(graph.tensor(index))
            low, high = float(values.min()), float(values.max())
        else:
            low, high = bounds.get(int(index), (0, 0))
        return (max(high, 0) - min(low, 0)) / _STEPS

    for operator in graph.subgraph.operators:
        name = graph.name(operator)
        result = int(operator.outputs[0]) if len(operator.outputs) else -1
        if result not in bounds:
            continue
        if name in WEIGHTED and graph.is_constant(operator.inputs[1]):
            weights = graph.model.constant(graph.tensor(operator.inputs[1]))
            source = operator.inputs[2 if name == "TRANSPOSE_CONV" else 0]
            summed = step(source) * float(np.abs(weights).max()) / _WEIGHT_STEPS
        elif name in ("ADD", "SUB"):
            summed = max(step(index) for index in operator.inputs)
        elif name == "MUL":
            summed = step(operator.inputs[0]) * step(operator.inputs[1])
        else:
            continue
        missing = summed / _MOST_STEPS_A_SUM - step(result)
        if missing > 0:
            bounds[result][1] = max(bounds[result][1], 0) + missing * _STEPS


# What needs every value, and not the samples' extremes alone.
_FROM_VALUES = {
    "entropy": lambda histogram, _: entropy(histogram),
    "mse": lambda histogram, _: mse(histogram),
    "value_percentile": lambda histogram, settings: value_percentile(
        histogram, settings.value_percentile
    ),
}
_FROM_EXTREMES = {
    "extremes_mean": lambda low, high, _: extremes_mean(low, high),
    "extremes_percentile": lambda low, high, settings: extremes_percentile(
        low, high, settings.percentile
    ),
    "min_max": lambda low, high, _: min_max(low, high),
    "moving_average": lambda low, high, settings: moving_average(low, high, settings.smoothing),
}


@dataclasses.dataclass(frozen=True)
class RangePlan:
    """How each tensor gets its range.

    Attributes:
      estimators: tensor index to one of RANGE_ESTIMATORS.
      given: tensor index to (low, high), for those whose range stands in the settings.
      magnitudes: tensor index to the reach of the histogram that its estimator needs; empty
        where extremes are enough.
    """

    estimators: dict[int, str]
    given: dict[int, tuple[float, float]]
    magnitudes: dict[int, float]


def plan_ranges(
    graph: Topology, statistics: Mapping[int, TensorStatistics], settings: RangeSettings
) -> RangePlan:
    """Decides how each tensor gets its range.

    The inputs' values are given and not estimated, none may be clipped: they get min_max,
    unless the settings name them.

    Args:
      graph: of the model that the statistics are of.
      statistics: by tensor index.
      settings: the estimator, and the tensors that have another or a range of their own.

    Returns:
      The plan.

    Raises:
      InputError: when a pattern of the settings is found in no tensor's name.
    """
    names = {index: tensor_name(graph.tensor(index)) for index in statistics}
    estimators = {
        index: "min_max" if index in graph.inputs else settings.usual for index in statistics
    }
    given: dict[int, tuple[float, float]] = {}
    for pattern, *choice in settings.tensors:
        matched = [index for index, name in names.items() if re.search(pattern, name)]
        if not matched:
            raise InputError(
                "settings.pattern",
                f"{graph.model.where}: the pattern {pattern} of a range is found in no "
                f"activation's name (such as {next(iter(names.values()))}); correct or remove it",
            )
        for index in matched:
            given.pop(index, None)
            if len(choice) == 1:
                estimators[index] = str(choice[0])
            else:
                given[index] = (float(choice[0]), float(choice[1]))
    magnitudes = {}
    for index, estimator in estimators.items():
        reach = max(-float(statistics[index].lowest.min()), float(statistics[index].highest.max()))
        if estimator in _FROM_VALUES and index not in given and reach > 0:
            magnitudes[index] = reach
    return RangePlan(estimators, given, magnitudes)


def estimate_ranges(
    graph: Topology,
    statistics: Mapping[int, TensorStatistics],
    settings: RangeSettings,
    histograms: Mapping[int, Histogram] | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """Estimates ranges.

    Args:
      graph: of the model that the statistics are of.
      statistics: by tensor index.
      settings: how.
      histograms: of the tensors for which `plan_ranges` has magnitudes.

    Returns:
      Tensor name to {"min", "max"}: float32 arrays of one element and the tensor's
      rank, the form in which litert-quantizer takes ranges.

    Raises:
      InputError: when a pattern of the settings is found in no tensor's name.
    """
    plan = plan_ranges(graph, statistics, settings)
    bounds: dict[int, list[float]] = {}
    for index, values in statistics.items():
        # A mask has no range.
        if not (np.isfinite(values.lowest).all() and np.isfinite(values.highest).all()):
            continue
        if index in plan.given:
            low, high = plan.given[index]
        elif index in plan.magnitudes:
            from_values = _FROM_VALUES[plan.estimators[index]]
            low, high = from_values((histograms or {})[index], settings)
            # Bins reach beyond the values in them.
            low = max(low, min(float(values.lowest.min()), 0.0))
            high = min(high, max(float(values.highest.max()), 0.0))
        else:
            # Without any magnitude all estimators agree.
            from_extremes = _FROM_EXTREMES.get(plan.estimators[index], _FROM_EXTREMES["min_max"])
            low, high = from_extremes(values.lowest, values.highest, settings)
        bounds[index] = [float(low), float(high)]
    widen_to_sums(graph, bounds)
    ranges = {}
    for index, (low, high) in bounds.items():
        shape = [1] * len(shape_of(graph.tensor(index)))
        ranges[tensor_name(graph.tensor(index))] = {
            "max": np.full(shape, high, np.float32),
            "min": np.full(shape, low, np.float32),
        }
    return ranges


def find_ranges(
    graph: Topology,
    statistics: Mapping[int, TensorStatistics],
    settings: RangeSettings,
    count: Callable[[Mapping[int, float]], dict[int, Histogram]],
) -> tuple[dict[str, dict[str, np.ndarray]], dict]:
    """Estimates ranges, counting values where an estimator needs them.

    Args:
      graph: of the model that the statistics are of.
      statistics: by tensor index.
      settings: how.
      count: makes histograms of the reaches that it is given, by tensor index.

    Returns:
      (what `estimate_ranges` returns, the report's entry {"name", "changed", "detail"}).

    Raises:
      InputError: when a pattern of the settings is found in no tensor's name.
    """
    plan = plan_ranges(graph, statistics, settings)
    histograms = count(plan.magnitudes) if plan.magnitudes else {}
    ranges = estimate_ranges(graph, statistics, settings, histograms)
    samples = max((entry.lowest.size for entry in statistics.values()), default=0)
    how = {
        "extremes_percentile": f"{settings.percentile:g}% of their extremes left outside",
        "moving_average": f"moving_average of their extremes, smoothing {settings.smoothing:g}",
        "value_percentile": f"{settings.value_percentile:g}% of their values left outside",
    }.get(settings.usual, settings.usual)
    own = f", {len(settings.tensors)} patterns with their own" if settings.tensors else ""
    return ranges, {
        "changed": len(ranges),
        "detail": f"{len(ranges)} ranges from {samples} samples, {how}{own}",
        "name": "range_estimation",
    }
