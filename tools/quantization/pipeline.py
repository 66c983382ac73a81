"""Quantizes a float master: prepares the graph, finds ranges, applies a recipe, compacts."""

import contextlib
import dataclasses
import io
import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError
from tools.graph.flatbuffer import TfliteModel, model_bytes, parse_model, tensor_name
from tools.graph.float_master import refuse_quantized
from tools.graph.min_runtime import restate_min_runtime
from tools.graph.model_metadata import restate_statistics
from tools.graph.soundness import refuse_unmeasurable
from tools.graph.topology import Topology
from tools.quantization import recipes
from tools.quantization.activation_statistics import ActivationStatistics
from tools.quantization.bias_range import make_room_for_biases
from tools.quantization.block_scales import mend_block_scales
from tools.quantization.calibration import gather_histograms, gather_statistics, scaled_statistics
from tools.quantization.compaction import compact
from tools.quantization.dead_channels import remove_dead_channels
from tools.quantization.equalization import equalize
from tools.quantization.float16_constants import store_constants_float16
from tools.quantization.given_recipe import plan_given
from tools.quantization.hessians import GPTQ, add_hessians
from tools.quantization.inner_subgraphs import inner_entries
from tools.quantization.layer_correction import correct_layers
from tools.quantization.narrow_convolutions import widen_narrow_convolutions
from tools.quantization.patterns import EarlierScopes
from tools.quantization.pointwise import use_matrix_products
from tools.quantization.ranges import find_ranges
from tools.quantization.relu_fusion import fuse_relus
from tools.quantization.schemes import Plan, check_layers, plan
from tools.quantization.settings import QuantizationSettings
from tools.quantization.shared_constants import separate_constants
from tools.quantization.sparse_weights import store_weights_sparse


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
    """

    model: bytes
    recipe: list[dict]
    passes: list[dict]
    float_tensors: list[dict]
    warnings: list[str]


@contextlib.contextmanager
def quiet_library():
    """Silences the library's log and bars, which tell of its own insides."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(previous)


def _apply(model: TfliteModel, recipe: list[dict], ranges: dict | None) -> bytes:
    """Runs litert-quantizer; what it raises becomes one line."""
    from litert_quantizer import quantizer

    with quiet_library():
        try:
            library = quantizer.Quantizer(model_bytes(model))
            library.load_quantization_recipe(recipes.joined(recipe))
            result = library.quantize(
                ranges, enable_progress_bar=False, enable_progress_report=False
            )
        except (ValueError, RuntimeError, KeyError, IndexError) as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(f"{model.where}: the recipe cannot be applied: {reason}") from error
    return bytes(result.quantized_model)


def _restore_outputs(artifact: TfliteModel, model: TfliteModel, stay_float: bool = True) -> None:
    """Makes each output that is to stay float, and what signatures call it, float again.

    Where an operator reads an output too, the library gives that operator's int8 tensor
    as the output, or leaves the signature at the int8 tensor.
    """
    graph = Topology(artifact)
    (before, *_), outputs = model.schema.subgraphs, []
    for index, original in zip(graph.subgraph.outputs, before.outputs, strict=True):
        wanted, producer = before.tensors[int(original)].type, graph.producer.get(int(index))
        other = stay_float and graph.tensor(index).type != wanted
        if other and producer and graph.name(producer) == "QUANTIZE":
            index = producer.inputs[0]
        outputs.append(int(index))
    graph.subgraph.outputs = outputs
    signatures = (m.schema.signatureDefs or [] for m in (artifact, model))
    for after, before in zip(*signatures, strict=True):
        old, new = (m.schema.subgraphs[before.subgraphIndex] for m in (model, artifact))
        for field in ("inputs", "outputs"):
            places = zip(getattr(old, field), getattr(new, field), strict=True)
            moved = {int(one): int(other) for one, other in places}
            entries = zip(getattr(after, field), getattr(before, field), strict=True)
            for entry, original in entries:
                entry.tensorIndex = moved.get(original.tensorIndex, entry.tensorIndex)


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


def _layers_entry(settings: QuantizationSettings, planned: Plan) -> dict:
    """Makes the report's entry of the operators that have a scheme of their own."""
    told = [
        f"{scheme} for the {count} that {pattern} matches"
        for (pattern, scheme), count in zip(settings.layers, planned.matched, strict=True)
    ]
    return {"changed": sum(planned.matched), "detail": "; ".join(told), "name": "layers"}


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
    model = parse_model(master, where)
    refuse_quantized(model)
    # Deprecated for `metadata`. The library numbers buffers anew, but not here.
    model.schema.metadataBuffer = None
    before = EarlierScopes(Topology(model))
    passes = (
        ("dead_channels", remove_dead_channels),
        ("relu_fusion", fuse_relus),
        ("narrow_convolutions", widen_narrow_convolutions),
    )
    entries = [run(model) for name, run in passes if settings.enabled(name)]
    # Before the long part, so that a pattern that matches nothing is refused at once.
    check_layers(Topology(model), settings, before)
    return model, before, entries


def quantize(
    master: bytes,
    settings: QuantizationSettings,
    calibration: Sequence[Mapping[str, np.ndarray]] | None,
    progress: Callable[[str, int, int], None] | None = None,
    where: str = "model",
    gather: Callable[..., ActivationStatistics] = gather_statistics,
    prepared: Callable[[bytes], None] | None = None,
) -> QuantizationResult:
    """Quantizes a float master.

    Args:
      master: a whole .tflite file, from `make_float_master`.
      settings: how.
      calibration: representative dataset; each sample maps signature input names to
        float32 arrays of the input's shape. Needed where activations are
        quantized by ranges, inputs or outputs are integers, or weights by GPTQ.
      progress: called with (what is done, samples done, samples in all).
      where: how messages name the model.
      gather: stands in for `gather_statistics`, to remember what it found.
      prepared: called with the float graph as it was prepared, whose tensors have the
        artifact's names and scales.

    Returns:
      The result; the same arguments give the same bytes.

    Raises:
      InputError: when the model is quantized already or cannot be run, when a scheme
        that needs calibration data has none, when activations become NaN or infinite,
        or when the result would be larger than the master.
    """
    scheme = settings.scheme
    passes = []

    def report(entry: dict) -> None:
        passes.append({"gain": None} | entry)

    model, before, entries = graph_to_calibrate(master, settings, where)
    for entry in entries:
        report(entry)
    ranges = None
    if settings.needs_calibration:
        refuse_unmeasurable(model)
        if calibration is None:
            raise InputError(
                f"{where}: {scheme} needs a representative dataset; give --calibration_data"
            )

        def told(what: str) -> Callable[[int], None] | None:
            return (lambda done: progress(what, done, len(calibration))) if progress else None

        statistics = gather(model, calibration, told("calibrating"))
        if settings.quantizes_activations and settings.enabled("equalization"):
            scales: dict[str, np.ndarray] = {}
            through_relu6 = settings.choices("equalization")["through_relu6"]
            report(equalize(model, statistics, scales, through_relu6))
            statistics = scaled_statistics(
                model, calibration, statistics, scales, told("calibrating again")
            )
        ranges, entry = find_ranges(
            Topology(model),
            statistics,
            settings.ranges,
            lambda reach: gather_histograms(model, calibration, reach, told("counting values")),
        )
        report(entry)
        if settings.enabled("bias_range"):
            report(make_room_for_biases(model, ranges))
    if settings.enabled("pointwise"):
        report(use_matrix_products(model, settings, before))
    separated = separate_constants(model)
    if separated["changed"]:
        report(separated)
    if settings.recipe is None:
        planned = plan(Topology(model), settings, before)
    else:
        planned = plan_given(Topology(model), list(settings.recipe))
    if any(entry["algorithm_key"] == GPTQ for entry in planned.recipe):
        report(add_hessians(model, calibration, ranges, told("gathering Hessians")))
    if settings.layers:
        report(_layers_entry(settings, planned))
    inner = inner_entries(model, planned.recipe)
    recipe = planned.recipe + [entry for entry in inner if entry not in planned.recipe]
    if prepared:
        prepared(model_bytes(model))
    quantized = _apply(model, recipe, ranges)
    artifact = parse_model(quantized, where)
    _restore_outputs(artifact, model, planned.float_outputs)
    if any(recipes.is_blockwise(entry) for entry in planned.recipe):
        report(mend_block_scales(artifact))
    correction = settings.choices("layer_correction")
    if settings.quantizes_activations and correction["enabled"]:
        artifact, entry = correct_layers(
            model,
            artifact,
            calibration,
            correction["samples"],
            correction["fit_weights"],
            (lambda *counts: progress("correcting layers", *counts)) if progress else None,
        )
        report(entry)
    if settings.enabled("float16_constants"):
        report(store_constants_float16(artifact))
    if settings.enabled("sparse_weights"):
        report(store_weights_sparse(artifact))
    restated = [
        what
        for what, restate in (
            ("minima and maxima of inputs and outputs", restate_statistics),
            ("the runtime that it needs", restate_min_runtime),
        )
        if restate(artifact)
    ]
    if restated:
        detail = f"says {' and '.join(restated)} anew"
        report({"changed": len(restated), "detail": detail, "name": "metadata"})
    report(compact(artifact, len(quantized), model))
    content = model_bytes(artifact)
    if len(content) >= len(master):
        raise InputError(
            f"{where}: {scheme} makes it larger ({len(master)} to {len(content)} bytes); "
            "it has too few weights that this scheme quantizes"
        )
    return QuantizationResult(
        model=content,
        recipe=recipe,
        passes=passes,
        float_tensors=_float_tensors(artifact, planned.kept_float, settings),
        warnings=_warnings(planned.recipe),
    )
