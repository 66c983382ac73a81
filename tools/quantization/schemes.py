"""What each scheme (tools.quantization.scheme_names) does with each operator of a model."""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError
from tools.graph.data_sized import data_sized
from tools.graph.flatbuffer import shape_of, tensor_name
from tools.graph.topology import WEIGHTED, Topology
from tools.quantization import patterns, recipes
from tools.quantization.dynamic_cost import DYNAMIC_KERNELS, costly_heads, dynamic_wins
from tools.quantization.float_operators import float_operators
from tools.quantization.float_streams import float_streams
from tools.quantization.output_heads import output_heads
from tools.quantization.scheme_names import BLOCK_SIZES, FEW_BITS, STATIC
from tools.quantization.settings import QuantizationSettings
from tools.quantization.small_weights import smallest_weights

_Form = Callable[..., dict]
_INT8 = functools.partial(recipes.static, 8, 8)
_INT4 = functools.partial(recipes.static, 8, 4)
_INT16 = functools.partial(recipes.static, 16, 8)
_DYNAMIC, _DYNAMIC_INT4, _DYNAMIC_INT2 = (
    functools.partial(recipes.dynamic, bits) for bits in (8, 4, 2)
)
_WEIGHTS_INT8, _WEIGHTS_INT4 = (functools.partial(recipes.weight_only, bits) for bits in (8, 4))
_FLOAT = recipes.unquantized
# How each scheme writes an operator: the first of these that the operator has, else float.
_FORMS: dict[str, tuple[_Form, ...]] = {
    "int8": (_INT8,),
    "int4": (_INT4, _INT8),
    "int16x8": (_INT16,),
    "dynamic": (_DYNAMIC, _WEIGHTS_INT8),
    "dynamic_int4": (_DYNAMIC_INT4, _WEIGHTS_INT8),
    "int2": (_DYNAMIC_INT2, _WEIGHTS_INT8),
    **{
        f"blockwise_int4_{size}": (
            functools.partial(recipes.dynamic, 4, block=size),
            _WEIGHTS_INT8,
        )
        for size in BLOCK_SIZES
    },
    "weight_only_int8": (_WEIGHTS_INT8,),
    "weight_only_int4": (_WEIGHTS_INT4, _WEIGHTS_INT8),
    "float16": (recipes.float16,),
    "float": (_FLOAT,),
}
_BEYOND_FLOAT16 = "float16 cannot hold its weights"
_NO_FORM = "the library has no such form of it"
_ALGORITHMS = {
    "gptq": "GPTQ",
    "hadamard": "DECOMPOSED_HADAMARD_ROTATION",
    "mse": "MSE",
    "octav": "OCTAV",
}


# Operators that read weights or a table, and at which input.
_STORED = {**dict.fromkeys(WEIGHTED, 1), "EMBEDDING_LOOKUP": 1}
# Of the weights' length, by which rounding to float16 may move them.
_MOST_ERROR = 0.01


def _loses_float16(graph: Topology, operator: schema.OperatorT) -> bool:
    """Says whether an operator's weights are beyond what float16 holds."""
    values = graph.model.tensor_data(graph.tensor(operator.inputs[1]))
    if values is None or values.dtype != np.float32:
        return False
    with np.errstate(over="ignore"):
        stored = values.astype(np.float16).astype(np.float32)
    if not np.isfinite(stored).all():
        return True
    moved = np.linalg.norm(values.astype(np.float64) - stored)
    return bool(moved > _MOST_ERROR * np.linalg.norm(values.astype(np.float64)))


@dataclasses.dataclass(frozen=True)
class Plan:
    """A recipe, and what it leaves in float.

    Attributes:
      recipe: in litert-quantizer's JSON form.
      kept_float: name of an operator's output to the reason why it is computed in float.
      matched: how many operators each of the settings' layers names, in their order.
      float_outputs: whether the model's outputs are to stay float.
      small_weights: how many operators have float16 weights because they are few.
      few_bits: by an operator's place in the main subgraph, the scheme that gives its weights
        fewer than eight bits; layers that say so themselves are left out.
    """

    recipe: list[dict]
    kept_float: dict[str, str]
    matched: tuple[int, ...] = ()
    float_outputs: bool = True
    small_weights: int = 0
    few_bits: dict[int, str] = dataclasses.field(default_factory=dict)


def operation_name(graph: Topology, operator: schema.OperatorT) -> str:
    """Names an operator as recipes do; those that recipes do not know fall under "*"."""
    from litert_quantizer import qtyping

    name = graph.name(operator)
    if name == "TRANSPOSE_CONV":
        return "CONV_2D_TRANSPOSE"
    return name if name in qtyping.TFLOperationName.__members__ else "*"


@functools.cache
def _library_takes(operation: str, entry: str) -> bool:
    from litert_quantizer import algorithm_manager, qtyping

    parsed = json.loads(entry)
    try:
        algorithm_manager.check_op_quantization_config(
            parsed["algorithm_key"],
            qtyping.TFLOperationName(operation),
            qtyping.OpQuantizationConfig.from_dict(parsed["op_config"]),
        )
    except ValueError:
        return False
    return True


def library_has(operation: str, entry: dict) -> bool:
    """Says whether the library writes a kind of operator so."""
    anywhere = entry | {"operation": "", "regex": ""}
    return operation != "*" and _library_takes(operation, json.dumps(anywhere, sort_keys=True))


def _computes_float(entry: dict) -> bool:
    return entry["op_config"].get("compute_precision", "FLOAT") == "FLOAT"


def _unfit(graph: Topology, operator: schema.OperatorT, form: _Form) -> str | None:
    """Says why an operator cannot be written so; None when it can."""
    if form is _FLOAT:
        return None
    entry, name = form(regex=""), graph.name(operator)
    if form is recipes.float16 and name in _STORED and _loses_float16(graph, operator):
        return _BEYOND_FLOAT16
    if not library_has(operation_name(graph, operator), entry):
        return _NO_FORM
    if name not in WEIGHTED:
        return None
    if not graph.is_constant(operator.inputs[1]):
        return "its weights are computed"
    if not _computes_float(entry) and not recipes.is_static(entry) and name not in DYNAMIC_KERNELS:
        return "the delegate has no dynamic kernel for it"
    source = operator.inputs[2 if name == "TRANSPOSE_CONV" else 0]
    if not _computes_float(entry) and not recipes.is_static(entry) and graph.is_constant(source):
        return "its input is a constant"
    weights = entry["op_config"]["weight_tensor_config"]
    # The runtime takes such a file, and computes other numbers.
    if weights["num_bits"] == 2 and name != "FULLY_CONNECTED":
        return "the runtime has no 2-bit kernel for it"
    block = int(weights["granularity"].partition("BLOCKWISE_")[2] or 1)
    inputs = shape_of(graph.tensor(operator.inputs[1]))[-1]
    return f"its {inputs} inputs are no multiple of {block}" if inputs % block else None


def _told(graph: Topology, operator: schema.OperatorT) -> str:
    name = patterns.scope(graph, operator).removesuffix(";")
    # A converter that fuses operators joins their names.
    return f"{graph.name(operator)} {name[:80]}{'...' * (len(name) > 80)}"


def _arithmetic(form: _Form) -> str:
    """Says how an operator is written that computes in float."""
    if form is _FLOAT:
        return "float"
    weights = form(regex="")["op_config"]["weight_tensor_config"]
    return f"{weights['dtype'].lower()}{weights['num_bits']} weights, float arithmetic"


def _choose(graph: Topology, operator: schema.OperatorT, scheme: str) -> tuple[_Form, str | None]:
    """Chooses an operator's form.

    Args:
      graph: of the model.
      operator: of it.
      scheme: one of LAYER_SCHEMES.

    Returns:
      (the form, why it is not the scheme's first; None when it is).
    """
    missing, forms, name = None, _FORMS[scheme], graph.name(operator)
    if name == "EMBEDDING_LOOKUP" and scheme in STATIC:
        # Rows of int8 that are picked become float in the kernel itself.
        forms = (_DYNAMIC,)
    if name == "BATCH_MATMUL" and scheme in STATIC and any(map(graph.is_constant, operator.inputs)):
        # In int8, its kernel has one scale for all matrices of the constant.
        return _WEIGHTS_INT8, "its int8 kernel has no scale for each channel"
    if name == "STABLEHLO_COMPOSITE":
        # The library gives it integers, and leaves the operators that it runs in float.
        return _FLOAT, "the subgraph that it runs computes in float"
    # Forms differ in weights: one does for an operator without.
    for form in (*(forms if name in _STORED else forms[-1:]), _FLOAT):
        reason = _unfit(graph, operator, form)
        if reason is None:
            return form, missing
        missing = missing or reason
    raise AssertionError("every operator can be left in float")


def _matching(
    graph: Topology, pattern: str, before: patterns.EarlierScopes | None
) -> list[schema.OperatorT]:
    found = patterns.matching(graph, pattern, before)
    if not found:
        names = [patterns.scope(graph, operator) for operator in graph.subgraph.operators]
        raise patterns.no_match(f"{graph.model.where}: layers", pattern, names)
    return found


def check_layers(
    graph: Topology, settings: QuantizationSettings, before: patterns.EarlierScopes | None
) -> None:
    """Refuses a layer's pattern that matches no operator.

    Args:
      graph: of the float master.
      settings: whose layers are meant.
      before: as of `plan`.

    Raises:
      InputError: one line that names the pattern, and what comes near.
    """
    for pattern, _ in settings.layers:
        _matching(graph, pattern, before)


class _Forms:
    """The form of every operator of a model, and why some compute in float."""

    def __init__(self, graph: Topology, scheme: str):
        self.graph = graph
        self.of: dict[int, _Form] = {}
        self.reasons: dict[int, str] = {}
        first_unfit, fits = None, False
        for operator in graph.subgraph.operators:
            form, missing = _choose(graph, operator, scheme)
            if graph.name(operator) in WEIGHTED:
                # Those are kept, and said; other weights of a scheme do not depend on values.
                fits |= missing in (None, _BEYOND_FLOAT16)
                if missing and (first_unfit is None or first_unfit[1] == _NO_FORM):
                    first_unfit = operator, missing
            if scheme == "dynamic" and form is _DYNAMIC and not dynamic_wins(graph, operator):
                form, missing = _WEIGHTS_INT8, "dynamic int8 is not estimated to win"
            reason = None
            if graph.name(operator) in WEIGHTED:
                kept = "float" if form is _FLOAT else "weights only"
                reason = f"{kept}: {missing}" if missing else _arithmetic(form)
            self.give(operator, form, reason)
        if first_unfit and not fits:
            operator, missing = first_unfit
            raise InputError(
                "scheme.fits_none",
                f"{graph.model.where}: {scheme} fits no operator of this model; "
                f"{_told(graph, operator)}: {missing}",
            )

    def give(self, operator: schema.OperatorT, form: _Form, reason: str | None) -> None:
        self.of[id(operator)] = form
        self.reasons.pop(id(operator), None)
        if reason is not None and _computes_float(form(regex="")):
            self.reasons[id(operator)] = reason

    def keep(self, operators: Sequence[schema.OperatorT], what: str) -> None:
        """Keeps operators from int8; their weights are int8 all the same."""
        for operator in operators:
            if self.graph.name(operator) in WEIGHTED:
                reason = f"{what}: {_arithmetic(_WEIGHTS_INT8)}"
                self.give(operator, _WEIGHTS_INT8, reason)
            elif self.graph.name(operator) not in _STORED:
                self.give(operator, _FLOAT, what)

    def spare_small(self, percent: float) -> int:
        """Gives the smallest weights float16, where no integer kernel reads them.

        Args:
          percent: as of `smallest_weights`.

        Returns:
          How many operators have them.
        """
        graph = self.graph
        rounded = []
        for operator in graph.subgraph.operators:
            entry = self.of[id(operator)](regex="")
            weights = entry["op_config"].get("weight_tensor_config", {})
            if weights.get("dtype") == "INT" and not recipes.is_static(entry):
                rounded.append(operator)
        chosen = [
            operator
            for operator in smallest_weights(graph, rounded, percent)
            if _unfit(graph, operator, recipes.float16) is None
        ]
        for operator in chosen:
            what = self.reasons.get(id(operator), "").partition(":")[0] or "its weights are few"
            self.give(operator, recipes.float16, f"{what}: {_arithmetic(recipes.float16)}")
        return len(chosen)

    def of_few_bits(self, scheme: str) -> dict[int, str]:
        """Lists the operators that have a scheme's own form, where that is of few bits."""
        if scheme not in FEW_BITS:
            return {}
        own = _FORMS[scheme][0]
        return {
            place: scheme
            for place, operator in enumerate(self.graph.subgraph.operators)
            if self.graph.name(operator) in WEIGHTED and self.of[id(operator)] is own
        }

    def hasten(self, heads: Sequence[schema.OperatorT], scheme: str) -> None:
        """Gives int8 arithmetic to the output heads that cost too much in float.

        What comes in is quantized again, and comes out in float: that loses less than an
        output of int8, and is as fast. Where it is not, the head is int8 as any operator.
        """
        for operator, wins in costly_heads(self.graph, heads):
            form = _DYNAMIC if wins else _choose(self.graph, operator, scheme)[0]
            if _unfit(self.graph, operator, form) is None:
                self.give(operator, form, None)

    def give_layer(self, pattern: str, scheme: str, before: patterns.EarlierScopes | None) -> int:
        """Gives what a pattern matches a scheme; returns how many operators that are."""
        graph, where = self.graph, f"{self.graph.model.where}: layers"
        found = _matching(graph, pattern, before)
        chosen = [(operator, *_choose(graph, operator, scheme)) for operator in found]
        if all(missing for _, _, missing in chosen):
            first, _, missing = chosen[0]
            raise InputError(
                "scheme.fits_none",
                f"{where}: {scheme} fits none of the {len(found)} operators that {pattern} "
                f"matches; {_told(graph, first)}: {missing}",
            )
        for operator, form, _ in chosen:
            self.give(operator, form, f"layers give it {scheme}: {_arithmetic(form)}")
        return len(found)

    def recipe(self, base: _Form) -> list[dict]:
        """Writes the base for all operators, and each other one by its exact name."""
        result = [base(regex=".*")]
        for operator in self.graph.subgraph.operators:
            operation = operation_name(self.graph, operator)
            usual = base if library_has(operation, base(regex="")) else _FLOAT
            form = self.of[id(operator)]
            if form is not usual:
                result.append(
                    form(regex=recipes.exactly(self.graph, operator), operation=operation)
                )
        return result


def _ends(settings: QuantizationSettings) -> list[dict]:
    """Writes the types of the model's inputs and outputs."""
    forms: dict[str, Callable[..., dict]] = {
        "float32": recipes.unquantized,
        "int8": _INT8,
        "uint8": recipes.unsigned_end,
    }
    return [
        forms[kind](regex=".*", operation=end)
        for end, kind in (("INPUT", settings.input_type), ("OUTPUT", settings.output_type))
        if kind != "float32" or settings.scheme in STATIC
    ]


def _with_weight_algorithm(recipe: list[dict], graph: Topology, algorithm: str) -> list[dict]:
    """Has the library find weights' steps in another way, where it can."""
    from litert_quantizer.algorithm_manager import AlgorithmName

    key = AlgorithmName[_ALGORITHMS[algorithm]].value
    kinds = {
        operation_name(graph, operator)
        for operator in graph.subgraph.operators
        if graph.name(operator) in WEIGHTED
    }
    result, changed = [], 0
    for entry in recipe:
        result.append(entry)
        if entry["algorithm_key"] != "min_max_uniform_quantize":
            continue
        for kind in sorted(kinds if entry["operation"] == "*" else kinds & {entry["operation"]}):
            other = entry | {"algorithm_key": key, "operation": kind}
            if library_has(kind, other):
                result.append(other)
                changed += 1
    if not changed:
        raise InputError(
            "scheme.fits_none",
            f"{graph.model.where}: weight algorithm {algorithm} fits no operator of this model "
            "in this scheme",
        )
    return result


def _of_data_sizes(graph: Topology) -> list[schema.OperatorT]:
    """Finds the operators that read or write a tensor whose size depends on values."""
    sized = data_sized(graph)
    return [
        operator
        for operator in graph.subgraph.operators
        if sized & {int(index) for index in (*operator.inputs, *operator.outputs)}
    ]


def plan(
    graph: Topology,
    settings: QuantizationSettings,
    before: patterns.EarlierScopes | None = None,
    masks: Sequence[schema.OperatorT] = (),
    islands: Sequence[schema.OperatorT] = (),
    wider: Mapping[int, str] | None = None,
) -> Plan:
    """Makes the recipe of a scheme and layers for a model.

    Args:
      graph: of the prepared float master.
      settings: scheme, layers, and the types of inputs and outputs.
      before: the scopes from before the graph was prepared, in which layers are
        searched as well.
      masks: operators that compute in float for the sake of masks.
      islands: operators that do because int8 costs most there.
      wider: by an operator's place, the scheme that it gets because the whole model's has too
        few bits for it.

    Returns:
      The plan.

    Raises:
      InputError: when a layer's pattern matches no operator, or its scheme fits none of
        those that it matches.
    """
    scheme = "int8" if settings.scheme == "mixed" else settings.scheme
    forms = _Forms(graph, scheme)
    if scheme in ("int4", "int8"):
        if settings.enabled("float_streams"):
            forms.keep(float_streams(graph), "stream of a PRELU")
        if settings.enabled("output_heads"):
            heads = output_heads(graph)
            forms.keep(heads, "output head")
            forms.hasten(heads, scheme)
    if scheme in STATIC:
        if settings.enabled("float_operators"):
            # No kernel of int16 is fast on a host: who asks for it has an accelerator.
            kept = float_operators(graph, slow=scheme != "int16x8")
            forms.keep(kept, "its int8 kernel can fail, resolves too little or is slow")
        forms.keep(_of_data_sizes(graph), "its size depends on values, so that it has no range")
        forms.keep(masks, "mask")
        forms.keep(islands, "float island")
    for place, other in (wider or {}).items():
        operator = graph.subgraph.operators[place]
        form, _ = _choose(graph, operator, other)
        forms.give(operator, form, f"it needs more bits than {scheme}: {_arithmetic(form)}")
    small = settings.choices("small_weights")
    # Where activations are quantized, what is left in float is corrected (layer_correction).
    percent = small["heads_percent" if scheme in STATIC else "percent"]
    spared = forms.spare_small(percent) if small["enabled"] else 0
    few_bits = forms.of_few_bits(scheme)
    matched = tuple(
        forms.give_layer(pattern, wanted, before) for pattern, wanted in settings.layers
    )
    base, *others = forms.recipe(_FORMS[scheme][-1])
    # The library keeps entries of the same regex together, at the first one's place.
    recipe = [base, *_ends(settings), *others]
    if settings.weight_algorithm != "min_max":
        recipe = _with_weight_algorithm(recipe, graph, settings.weight_algorithm)
    return Plan(
        recipe=recipe,
        kept_float={
            tensor_name(graph.tensor(index)): forms.reasons[id(operator)]
            for operator in graph.subgraph.operators
            if id(operator) in forms.reasons
            for index in operator.outputs
        },
        matched=matched,
        small_weights=spared,
        few_bits=few_bits,
        float_outputs=settings.output_type == "float32",
    )
