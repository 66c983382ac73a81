"""The passes that a model goes through, in the order in which they run.

A pass changes the model in place and says what it did. `WITHOUT_DATA`, `WITH_RANGES` and
`FOR_THE_RECIPE` prepare the float graph; `ON_THE_ARTIFACT` goes over what the library wrote.
What a pass does stands in its own module; here it stands when it runs.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import TfliteModel, copied_model
from tools.graph.min_runtime import restate_min_runtime
from tools.graph.model_metadata import restate_statistics
from tools.graph.topology import Topology
from tools.quantization import recipes
from tools.quantization.activation_statistics import ActivationStatistics
from tools.quantization.addends import clip_addends
from tools.quantization.bias_range import make_room_for_biases
from tools.quantization.block_scales import mend_block_scales
from tools.quantization.calibration import gather_histograms, gather_statistics, scaled_statistics
from tools.quantization.choice import Division, choose, divisions, is_open, least_gain
from tools.quantization.compaction import compact
from tools.quantization.constant_products import use_fully_connected
from tools.quantization.convolution_products import use_convolutions
from tools.quantization.dead_channels import remove_dead_channels
from tools.quantization.equalization import equalize
from tools.quantization.float16_constants import store_constants_float16
from tools.quantization.float_islands import find_islands
from tools.quantization.hessians import GPTQ, add_hessians
from tools.quantization.layer_correction import correct_layers
from tools.quantization.masks import clamp_paddings, find_masks
from tools.quantization.narrow_convolutions import widen_narrow_convolutions
from tools.quantization.patterns import EarlierScopes
from tools.quantization.pointwise import use_matrix_products
from tools.quantization.ranges import find_ranges
from tools.quantization.recipe_application import written
from tools.quantization.relu_fusion import fuse_relus
from tools.quantization.run_time_shapes import state_shapes
from tools.quantization.schemes import Plan, plan
from tools.quantization.settings import PASSES, QuantizationSettings
from tools.quantization.shared_constants import separate_constants
from tools.quantization.sparse_weights import store_weights_sparse
from tools.quantization.tables import store_tables
from tools.quantization.weight_bits import find_wider_weights
from tools.quantization.weight_correction import correct_weights


@dataclasses.dataclass(frozen=True)
class CalibrationData:
    """A representative dataset, and how it is run.

    Attributes:
      samples: each maps signature input names to float32 arrays of the input's shape.
      progress: called with (what is done, how much of it, how much in all).
      gather: stands in for `gather_statistics`, to remember what it found.
    """

    samples: Sequence[Mapping[str, np.ndarray]]
    progress: Callable[[str, int, int], None] | None = None
    gather: Callable[..., ActivationStatistics] = gather_statistics

    def told(self, what: str) -> Callable[[int], None] | None:
        """Makes what is called with the number of samples done; None where nobody listens."""
        progress = self.progress
        if progress is None:
            return None
        return lambda done: progress(what, done, len(self.samples))


@dataclasses.dataclass
class Preparation:
    """A float graph on its way to a recipe.

    Attributes:
      model: changed by each pass.
      settings: how it will be quantized.
      before: which operators of the master its own stand for.
      data: None for a scheme that needs none.
      statistics: of the model's activations, once it was calibrated.
      ranges: of the activations, once they are estimated.
      plan: the recipe, once it is made.
      masks: operators that compute in float for the sake of masks.
      islands: operators that do because int8 costs most there.
      candidate: makes an artifact from a copy, by settings and samples of its own; see
        tools.quantization.pipeline.
    """

    model: TfliteModel
    settings: QuantizationSettings
    before: EarlierScopes
    data: CalibrationData | None = None
    statistics: ActivationStatistics | None = None
    ranges: dict[str, dict] | None = None
    plan: Plan | None = None
    masks: tuple[schema.OperatorT, ...] = ()
    islands: tuple[schema.OperatorT, ...] = ()
    candidate: Callable[[QuantizationSettings, Division], bytes] | None = None


@dataclasses.dataclass
class Finishing:
    """An artifact on its way to its file.

    Attributes:
      model: changed by each pass.
      settings: how it was quantized.
      original: the prepared float graph that it was made from.
      recipe: what was applied.
      data: as of `Preparation`.
      written: bytes of the file as the library wrote it.
      islands: operators of `original`, as of `Preparation`.
      content: the file, once it is whole.
    """

    model: TfliteModel
    settings: QuantizationSettings
    original: TfliteModel
    recipe: list[dict]
    data: CalibrationData | None
    written: int
    islands: tuple[schema.OperatorT, ...] = ()
    content: bytes = b""


_T = TypeVar("_T")
_Work = TypeVar("_Work", Preparation, Finishing)


@dataclasses.dataclass(frozen=True)
class Pass(Generic[_Work]):
    """One step.

    Attributes:
      name: in reports, and in settings where it can be turned off.
      run: changes what it is given. Returns the report's entry {"name", "changed", "detail"}
        and perhaps "gain"; None where there is nothing to report.
      applies: whether the model and its settings call for it.
    """

    name: str
    run: Callable[[_Work], dict | None]
    applies: Callable[[_Work], bool] = lambda _: True


def run_passes(passes: Sequence[Pass[_Work]], work: _Work) -> list[dict]:
    """Runs passes one after the other.

    Args:
      passes: those of which the settings turn some off.
      work: what they change.

    Returns:
      The report's entries {"name", "changed", "detail", "gain"} of those that ran and have
      something to report.

    Raises:
      InputError: as each pass does.
    """
    entries = []
    for step in passes:
        if step.name in PASSES and not work.settings.enabled(step.name):
            continue
        entry = step.run(work) if step.applies(work) else None
        if entry is not None:
            entries.append({"gain": None} | entry)
    return entries


def _there(value: _T | None) -> _T:
    """Gives what an earlier step left.

    Raises:
      ValueError: when it is not there: the lists below have the steps in the wrong order.
    """
    if value is None:
        raise ValueError("a pass runs before the step that makes what it needs")
    return value


def _if_changed(entry: dict) -> dict | None:
    return entry if entry["changed"] else None


def _quantizes_activations(work: Preparation | Finishing) -> bool:
    return work.settings.quantizes_activations


def _runs_on_gpu(work: Finishing) -> bool:
    return "gpu" in work.settings.runs_on


def _choose(work: Preparation) -> dict:
    settings, candidate = work.settings, _there(work.candidate)
    statistics = _there(work.statistics)
    way, entry = choose(
        work.model,
        divisions(_there(work.data).samples, statistics),
        lambda way, part: candidate(way.named_in(settings), part),
        equalize(copied_model(work.model), statistics)["changed"] > 0,
        least_gain(settings),
    )
    work.settings = way.named_in(settings)
    return entry


def _equalize(work: Preparation) -> dict:
    scales: dict[str, np.ndarray] = {}
    through_relu6 = work.settings.choices("equalization")["through_relu6"]
    data, statistics = _there(work.data), _there(work.statistics)
    entry = equalize(work.model, statistics, scales, through_relu6)
    work.statistics = scaled_statistics(
        work.model, data.samples, statistics, scales, data.told("calibrating again")
    )
    return entry


def _find_ranges(work: Preparation) -> dict:
    data = _there(work.data)
    told = data.told("counting values")
    work.ranges, entry = find_ranges(
        Topology(work.model),
        _there(work.statistics),
        work.settings.ranges,
        lambda reach: gather_histograms(work.model, data.samples, reach, told),
    )
    return entry


def _keep_masks(work: Preparation) -> dict | None:
    graph = Topology(work.model)
    lowest = {index: float(entry.lowest.min()) for index, entry in _there(work.statistics).items()}
    masks = find_masks(graph, lowest)
    work.masks = masks.operators
    clamped = clamp_paddings(graph, masks, _there(work.ranges))
    if not (clamped or work.masks):
        return None
    told = [
        f"{len(work.masks)} operators of masks compute in float" if work.masks else "",
        f"{clamped} paddings of pools have the lowest value of what they pad" if clamped else "",
    ]
    return {
        "changed": clamped + len(work.masks),
        "detail": "; ".join(filter(None, told)),
        "name": "masks",
    }


def _separate_constants(work: Preparation) -> dict | None:
    return _if_changed(separate_constants(work.model))


def _place_islands(work: Preparation) -> dict | None:
    planned = _there(work.plan)
    artifact, _ = written(work.model, planned.recipe, work.ranges, planned.float_outputs)
    islands, entry = find_islands(work.model, artifact, _there(work.data).samples)
    if islands:
        graph = Topology(work.model)
        work.islands = tuple(islands)
        work.plan = plan(graph, work.settings, work.before, work.masks, work.islands)
    return entry


def _widen_weights(work: Preparation) -> dict | None:
    choices = work.settings.choices("weight_bits")
    percent = choices["int2_percent" if work.settings.scheme == "int2" else "percent"]
    wider, entry = find_wider_weights(
        work.model,
        _there(work.plan).few_bits,
        _there(work.data).samples,
        choices["least_sqnr_db"],
        percent,
        work.settings.corrects_weights or work.settings.enabled("layer_correction"),
    )
    if wider:
        graph = Topology(work.model)
        work.plan = plan(graph, work.settings, work.before, work.masks, wider=wider)
    return entry


def _add_hessians(work: Preparation) -> dict:
    data = _there(work.data)
    told = data.told("gathering Hessians")
    return add_hessians(work.model, data.samples, _there(work.ranges), told)


def _tell_of_layers(work: Preparation) -> dict:
    """Makes the entry of the operators that have a scheme of their own."""
    matched = _there(work.plan).matched
    told = [
        f"{scheme} for the {count} that {pattern} matches"
        for (pattern, scheme), count in zip(work.settings.layers, matched, strict=True)
    ]
    return {"changed": sum(matched), "detail": "; ".join(told), "name": "layers"}


def _tell_of_small_weights(work: Preparation) -> dict:
    count = _there(work.plan).small_weights
    return {
        "changed": count,
        "detail": f"{count} operators of few weights have them in float16",
        "name": "small_weights",
    }


def _correct_layers(work: Finishing) -> dict:
    choices, data = work.settings.choices("layer_correction"), _there(work.data)
    progress = data.progress
    work.model, entry = correct_layers(
        work.original,
        work.model,
        data.samples,
        choices["samples"],
        choices["fit_weights"],
        choices["heads"],
        (lambda *counts: progress("correcting layers", *counts)) if progress else None,
        work.islands,
    )
    return entry


def _correct_weights(work: Finishing) -> dict:
    data = _there(work.data)
    progress = data.progress
    work.model, entry = correct_weights(
        work.original,
        work.model,
        data.samples,
        work.settings.choices("weight_correction")["samples"],
        (lambda *counts: progress("correcting weights", *counts)) if progress else None,
    )
    return entry


def _restate_metadata(work: Finishing) -> dict | None:
    restated = [
        what
        for what, restate in (
            ("minima and maxima of inputs and outputs", restate_statistics),
            ("the runtime that it needs", restate_min_runtime),
        )
        if restate(work.model)
    ]
    if not restated:
        return None
    detail = f"says {' and '.join(restated)} anew"
    return {"changed": len(restated), "detail": detail, "name": "metadata"}


def _compact(work: Finishing) -> dict:
    work.content, entry = compact(work.model, work.written, work.original)
    return entry


# Before calibration.
WITHOUT_DATA: tuple[Pass[Preparation], ...] = (
    Pass("run_time_shapes", lambda work: state_shapes(work.model)),
    Pass("constant_products", lambda work: _if_changed(use_fully_connected(work.model))),
    Pass("dead_channels", lambda work: remove_dead_channels(work.model)),
    Pass("relu_fusion", lambda work: fuse_relus(work.model)),
    Pass("narrow_convolutions", lambda work: widen_narrow_convolutions(work.model)),
)
# After calibration, of schemes that need it.
WITH_RANGES: tuple[Pass[Preparation], ...] = (
    Pass(
        "choice",
        _choose,
        lambda work: (
            work.candidate is not None and is_open(work.settings, len(_there(work.data).samples))
        ),
    ),
    Pass("equalization", _equalize, _quantizes_activations),
    Pass("range_estimation", _find_ranges),
    Pass(
        "addends",
        lambda work: clip_addends(Topology(work.model), _there(work.ranges)),
        _quantizes_activations,
    ),
    Pass("bias_range", lambda work: make_room_for_biases(work.model, _there(work.ranges))),
    Pass("masks", _keep_masks, _quantizes_activations),
)
# Before the recipe is planned.
FOR_THE_RECIPE: tuple[Pass[Preparation], ...] = (
    Pass("pointwise", lambda work: use_matrix_products(work.model, work.settings, work.before)),
    Pass("shared_constants", _separate_constants),
)
# Once it is.
BY_THE_RECIPE: tuple[Pass[Preparation], ...] = (
    Pass(
        "float_islands",
        _place_islands,
        lambda work: (
            work.candidate is not None
            and work.settings.scheme == "int8"
            and len(work.model.schema.subgraphs) == 1
        ),
    ),
    Pass(
        "weight_bits",
        _widen_weights,
        lambda work: (
            work.candidate is not None
            and work.data is not None
            and bool(_there(work.plan).few_bits)
            and len(work.model.schema.subgraphs) == 1
        ),
    ),
    Pass(
        "hessians",
        _add_hessians,
        lambda work: any(entry["algorithm_key"] == GPTQ for entry in _there(work.plan).recipe),
    ),
    Pass("small_weights", _tell_of_small_weights, lambda work: _there(work.plan).small_weights > 0),
    Pass("layers", _tell_of_layers, lambda work: bool(work.settings.layers)),
)
ON_THE_ARTIFACT: tuple[Pass[Finishing], ...] = (
    Pass(
        "block_scales",
        lambda work: mend_block_scales(work.model),
        lambda work: any(recipes.is_blockwise(entry) for entry in work.recipe),
    ),
    Pass("layer_correction", _correct_layers, _quantizes_activations),
    Pass(
        "weight_correction",
        _correct_weights,
        lambda work: work.data is not None and work.settings.corrects_weights,
    ),
    Pass("tables", lambda work: _if_changed(store_tables(work.model, work.settings))),
    Pass("float16_constants", lambda work: store_constants_float16(work.model)),
    Pass(
        "convolution_products", lambda work: _if_changed(use_convolutions(work.model)), _runs_on_gpu
    ),
    # The GPU delegate leaves DENSIFY to the CPU, and what it computes from there on is wrong.
    Pass(
        "sparse_weights",
        lambda work: store_weights_sparse(work.model),
        lambda work: not _runs_on_gpu(work),
    ),
    Pass("metadata", _restate_metadata),
    Pass("compaction", _compact),
)
