"""Quantizes a float master in two halves.

`prepare` does all that changes the float graph and ends with a recipe and ranges; `finish`
applies them and makes the artifact's file. tools.quantization.passes has the passes of both.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError
from tools.graph.flatbuffer import (
    TfliteModel,
    copied_model,
    model_bytes,
    model_to_read,
    tensor_name,
)
from tools.graph.float_master import refuse_quantized
from tools.graph.soundness import refuse_unmeasurable
from tools.graph.topology import WEIGHTED, Topology
from tools.quantization import passes, recipes
from tools.quantization.activation_statistics import ActivationStatistics
from tools.quantization.calibration import gather_statistics
from tools.quantization.choice import Division
from tools.quantization.given_recipe import plan_given
from tools.quantization.inner_subgraphs import inner_entries
from tools.quantization.likeness import unlike_output
from tools.quantization.passes import CalibrationData, Finishing, Preparation, run_passes
from tools.quantization.patterns import EarlierScopes
from tools.quantization.recipe_application import written
from tools.quantization.schemes import Plan, check_layers, plan
from tools.quantization.settings import QuantizationSettings
from tools.quantization.speed_estimate import Speed, estimate_speed
from tools.quantization.trial import Trial, try_artifact

# Of an artifact, or of what it saves.
_MUCH = 0.05


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A float graph that is ready for the library.

    Attributes:
      model: the graph; its tensors have the artifact's names and scales.
      settings: as they were applied.
      data: the representative dataset; None where the scheme needs none.
      plan: the main subgraph's recipe, and what it leaves in float.
      recipe: of all subgraphs, in litert-quantizer's JSON form.
      ranges: of the activations, by name; None where the recipe takes none.
      passes: what ran so far, as of `QuantizationResult`.
      master: the float master.
      islands: operators that compute in float because int8 costs most there.
    """

    model: TfliteModel
    settings: QuantizationSettings
    data: CalibrationData | None
    plan: Plan
    recipe: list[dict]
    ranges: dict[str, dict] | None
    passes: list[dict]
    master: bytes
    islands: tuple[schema.OperatorT, ...] = ()

    def content(self) -> bytes:
        """Writes the graph as a whole .tflite file."""
        return model_bytes(self.model)


@dataclasses.dataclass(frozen=True)
class QuantizationResult:
    """A quantized model, and how it came to be.

    Attributes:
      model: a whole .tflite file.
      recipe: what was applied, in litert-quantizer's JSON form.
      passes: [{"name", "changed", "detail", "gain"}] in the order in which they ran.
        `gain` is null, or {"metric", "before", "after"}: what the pass won, measured.
      float_tensors: [{"name", "reason"}], activations that are computed in float.
      warnings: sentences about what a user may not expect.
      speed: what the runtime's delegate takes, and an estimate of the time; None where the float
        model cannot be run here.
    """

    model: bytes
    recipe: list[dict]
    passes: list[dict]
    float_tensors: list[dict]
    warnings: list[str]
    speed: Speed | None


def _float_tensors(
    model: TfliteModel, reasons: dict[str, str], settings: QuantizationSettings
) -> list[dict]:
    """Lists the activations that the artifact computes in float, each with its reason."""
    graph = Topology(model)
    result = []
    for operator in graph.subgraph.operators:
        kind = graph.name(operator)
        for index in operator.outputs:
            tensor = graph.tensor(index)
            if tensor.type != schema.TensorType.FLOAT32:
                continue
            if kind == "DEQUANTIZE" and int(index) not in graph.outputs:
                continue
            name = tensor_name(tensor)
            if int(index) in graph.outputs and kind == "DEQUANTIZE":
                reason = "output of the model, which stays float"
            elif settings.quantizes_activations:
                reason = reasons.get(name, f"{kind} is not quantized by this scheme")
            else:
                reason = reasons.get(name, f"{settings.scheme} keeps activations in float")
            result.append({"name": name, "reason": reason})
    return result


def _warnings(recipe: list[dict]) -> list[str]:
    """Says what is known beforehand of how a recipe's artifact runs."""
    if any(recipes.activation_bits(entry) == 16 for entry in recipe):
        return [
            "16-bit activations have no fast kernels outside of accelerators: on x86-64 such an "
            "operator takes about 30 times as long as in float"
        ]
    return []


def _left_float(model: TfliteModel, master_bytes: int, size: int) -> list[str]:
    """Says which constants stay float32, where they are much of an artifact."""
    found: dict[int, tuple[int, str, str]] = {}
    for number in range(len(model.schema.subgraphs)):
        graph = Topology(model, number)
        for operator in graph.subgraph.operators:
            name = graph.name(operator)
            bias = (3 if name == "TRANSPOSE_CONV" else 2) if name in WEIGHTED else -1
            for place, index in enumerate(operator.inputs):
                if index == -1 or place == bias or not graph.is_constant(index):
                    continue
                tensor = graph.tensor(index)
                if tensor.type == schema.TensorType.FLOAT32:
                    count = len(model.schema.buffers[tensor.buffer].data)
                    # What only assigns a variable has no output.
                    ends = [tensor_name(graph.tensor(i)) for i in operator.outputs]
                    found[tensor.buffer] = count, name, next(iter(ends), "")
    total = sum(count for count, _, _ in found.values())
    warnings = []
    if total > _MUCH * size:
        count, name, output = max(found.values())
        warnings.append(
            f"{total:,} bytes of constants stay float32, {total / size:.0%} of the artifact; the "
            f"largest are {count:,} bytes that {name} of {output or 'no name'} reads"
        )
    if size > (1 - _MUCH) * master_bytes:
        warnings.append(f"the artifact is only {1 - size / master_bytes:.1%} smaller")
    return warnings


def _tried(prepared: Prepared, artifact: bytes) -> Trial:
    """Tries an artifact; raises as `try_artifact`."""
    samples = () if prepared.data is None else prepared.data.samples
    sample = samples[0] if len(samples) else None
    return try_artifact(prepared.master, artifact, prepared.settings, sample, prepared.model.where)


def _refuse_too_few_bits(prepared: Prepared, artifact: bytes) -> None:
    """Refuses an artifact in which few bits left too little.

    Raises:
      InputError: one line that says what is left, and how many bytes would do.
    """
    model, settings, data = prepared.model, prepared.settings, prepared.data
    entries = [entry for entry in prepared.passes if entry["name"] == "weight_bits"]
    if not entries or data is None or settings.output_type != "float32":
        return
    master = model_to_read(prepared.master, model.where)
    least = settings.choices("weight_bits")["least_cosine"]
    found = unlike_output(master, (prepared.master, artifact), data.samples, least)
    if found:
        share = "int2_percent" if settings.scheme == "int2" else "percent"
        raise InputError(
            "scheme.too_few_bits",
            f"{model.where}: {settings.scheme} leaves too little: {found}; "
            f"{entries[0]['detail']}; give the pass weight_bits a larger {share}, or take another "
            "scheme",
        )


def _speed(prepared: Prepared, artifact: TfliteModel, trial: Trial) -> Speed | None:
    if trial.delegations is None:
        return None
    of_master, of_artifact = trial.delegations
    master = model_to_read(prepared.master, prepared.model.where)
    return Speed(of_artifact, estimate_speed((master, of_master), (artifact, of_artifact)))


def graph_to_calibrate(
    master: bytes, settings: QuantizationSettings, where: str
) -> tuple[TfliteModel, EarlierScopes, list[dict]]:
    """Prepares a float master as far as that needs no data.

    Args:
      master: a whole .tflite file, from `make_float_master`.
      settings: how it will be quantized.
      where: how messages name the model.

    Returns:
      The graph whose activations calibration looks at; which operators of the master its
      own stand for; and what each pass reports.

    Raises:
      InputError: when the model is quantized already, or a pattern of `layers` matches
        nothing.
    """
    model = copied_model(model_to_read(master, where))
    refuse_quantized(model)
    # Deprecated for `metadata`. The library numbers buffers anew, but not here.
    model.schema.metadataBuffer = None
    work = Preparation(model, settings, EarlierScopes(Topology(model)))
    entries = run_passes(passes.WITHOUT_DATA, work)
    # Before the long part, so that a pattern that matches nothing is refused at once.
    check_layers(Topology(model), settings, work.before)
    return model, work.before, entries


def _planned(work: Preparation) -> tuple[Plan, list[dict]]:
    """Does what comes after calibration; returns the plan, and what each pass reports."""
    entries = run_passes(passes.WITH_RANGES, work) if work.settings.needs_calibration else []
    entries += run_passes(passes.FOR_THE_RECIPE, work)
    if work.settings.recipe is None:
        planned = plan(Topology(work.model), work.settings, work.before, work.masks)
    else:
        planned = plan_given(Topology(work.model), list(work.settings.recipe))
    work.plan = planned
    entries += run_passes(passes.BY_THE_RECIPE, work)
    return work.plan, entries


def _whole_recipe(model: TfliteModel, planned: Plan) -> list[dict]:
    """Joins the recipe of the main subgraph with those of the others."""
    inner = [e for e in inner_entries(model, planned.recipe) if e not in planned.recipe]
    return planned.recipe + inner


def _candidate(
    model: TfliteModel, before: EarlierScopes, settings: QuantizationSettings, division: Division
) -> bytes:
    """Makes an artifact to be compared with others, without the passes that correct it.

    Args:
      model: the graph that was calibrated; it is not changed.
      before: which operators of the master its own stand for.
      settings: how to quantize.
      division: of the calibration data.

    Returns:
      A whole .tflite file.
    """
    copy = copied_model(model)
    # Other steps of weights take long to find, and decide nothing here.
    settings = dataclasses.replace(settings, weight_algorithm="min_max")
    work = Preparation(
        copy,
        settings,
        before.of_copy(model, copy),
        CalibrationData(division.learning),
        division.statistics,
    )
    planned, _ = _planned(work)
    artifact, _ = written(copy, _whole_recipe(copy, planned), work.ranges, planned.float_outputs)
    return model_bytes(artifact)


def prepare(
    master: bytes,
    settings: QuantizationSettings,
    data: CalibrationData | None = None,
    where: str = "model",
) -> Prepared:
    """Does the first half: prepares the graph, finds ranges, and plans the recipe.

    Args:
      master: a whole .tflite file, from `make_float_master`.
      settings: how.
      data: representative dataset. Needed where activations are quantized by ranges, inputs
        or outputs are integers, or weights by GPTQ; others correct rounded weights by it.
      where: how messages name the model.

    Returns:
      What `finish` takes; the same arguments give the same.

    Raises:
      InputError: when the model is quantized already or cannot be run, when a scheme
        that needs calibration data has none, or when activations become NaN or infinite.
    """
    model, before, entries = graph_to_calibrate(master, settings, where)
    work = Preparation(model, settings, before, data, candidate=partial(_candidate, model, before))
    if settings.needs_calibration:
        refuse_unmeasurable(model)
        if data is None:
            raise InputError(
                "scheme.needs_data",
                f"{where}: {settings.scheme} needs a representative dataset; give "
                "--calibration_data",
            )
        work.statistics = data.gather(model, data.samples, data.told("calibrating"))
    planned, told = _planned(work)
    return Prepared(
        model=model,
        settings=work.settings,
        data=data,
        plan=planned,
        recipe=_whole_recipe(model, planned),
        ranges=work.ranges,
        passes=entries + told,
        master=master,
        islands=work.islands,
    )


def finish(prepared: Prepared) -> QuantizationResult:
    """Does the second half: applies the recipe, corrects what came out, makes it small.

    Args:
      prepared: from `prepare`; it is not changed.

    Returns:
      The result; the same argument gives the same bytes.

    Raises:
      InputError: when the library refuses the recipe, the result would be larger than the
        master, or nobody could run it.
    """
    model, settings, planned = prepared.model, prepared.settings, prepared.plan
    artifact, size = written(model, prepared.recipe, prepared.ranges, planned.float_outputs)
    corrects = prepared.data is not None and settings.corrects_weights
    if settings.quantizes_activations or corrects:
        # Passes run parts of it in this process, which kernels can end.
        _tried(prepared, model_bytes(artifact))
    work = Finishing(
        artifact, settings, model, planned.recipe, prepared.data, size, prepared.islands
    )
    entries = run_passes(passes.ON_THE_ARTIFACT, work)
    if len(work.content) >= len(prepared.master):
        raise InputError(
            "scheme.larger",
            f"{model.where}: {settings.scheme} makes it larger ({len(prepared.master)} to "
            f"{len(work.content)} bytes); it has too few weights that this scheme quantizes",
        )
    trial = _tried(prepared, work.content)
    _refuse_too_few_bits(prepared, work.content)
    warnings = _warnings(planned.recipe) + trial.warnings
    warnings += _left_float(work.model, len(prepared.master), len(work.content))
    speed = _speed(prepared, work.model, trial)
    warnings += speed.warnings if speed else []
    return QuantizationResult(
        model=work.content,
        recipe=prepared.recipe,
        passes=prepared.passes + entries,
        float_tensors=_float_tensors(work.model, planned.kept_float, settings),
        warnings=warnings,
        speed=speed,
    )


def quantize(
    master: bytes,
    settings: QuantizationSettings,
    calibration: Sequence[Mapping[str, np.ndarray]] | None,
    progress: Callable[[str, int, int], None] | None = None,
    where: str = "model",
    gather: Callable[..., ActivationStatistics] = gather_statistics,
) -> QuantizationResult:
    """Does both halves.

    Args:
      master: as of `prepare`.
      settings: how.
      calibration: samples of the representative dataset, as of `CalibrationData`; None where
        there is none.
      progress: as of `CalibrationData`.
      where: how messages name the model.
      gather: as of `CalibrationData`.

    Returns:
      The result; the same arguments give the same bytes.

    Raises:
      InputError: as `prepare` and `finish`.
    """
    data = None if calibration is None else CalibrationData(calibration, progress, gather)
    return finish(prepare(master, settings, data, where))
