import ast
from pathlib import Path

import numpy as np
import pytest

from tests.random_models import random_image, tiny_model
from tests.refused import refused
from tools.errors import InputError
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization import passes
from tools.quantization.passes import CalibrationData, Pass, Preparation, run_passes
from tools.quantization.patterns import EarlierScopes
from tools.quantization.pipeline import finish, prepare, quantize
from tools.quantization.settings import PASSES, QuantizationSettings

_LISTS = (
    passes.WITHOUT_DATA,
    passes.WITH_RANGES,
    passes.FOR_THE_RECIPE,
    passes.BY_THE_RECIPE,
    passes.ON_THE_ARTIFACT,
)
# What the plan of a recipe asks for itself.
_CHOICES_OF_THE_PLAN = {"float_operators", "float_streams", "output_heads"}


@pytest.fixture(scope="module")
def master() -> bytes:
    return make_float_master(tiny_model())[0]


@pytest.fixture(scope="module")
def data(master) -> CalibrationData:
    model = parse_model(master)
    (entry,) = model.schema.signatureDefs[0].inputs
    name = entry.name.decode() if isinstance(entry.name, bytes) else entry.name
    shape = tuple(int(size) for size in Topology(model).tensor(entry.tensorIndex).shape)
    return CalibrationData([{name: random_image(shape, seed)} for seed in range(20)])


def _work(master: bytes, **choices) -> Preparation:
    model = parse_model(master)
    settings = QuantizationSettings("int8", passes=choices)
    return Preparation(model, settings, EarlierScopes(Topology(model)))


def test_each_pass_that_settings_turn_off_is_listed_once():
    names = [step.name for steps in _LISTS for step in steps]
    assert len(names) == len(set(names))
    assert set(PASSES) - set(names) == _CHOICES_OF_THE_PLAN


def test_reports_name_what_ran_in_the_order_of_the_lists(master, data):
    order = [step.name for steps in _LISTS for step in steps]
    result = quantize(master, QuantizationSettings("int8"), data.samples)
    told = [entry["name"] for entry in result.passes]
    assert told == [name for name in order if name in told]
    assert {"relu_fusion", "range_estimation", "layer_correction", "compaction"} <= set(told)
    assert all({"name", "changed", "detail", "gain"} == set(entry) for entry in result.passes)


def test_what_is_turned_off_does_not_apply_or_has_nothing_to_report_is_not_told(master):
    ran = []

    def step(name: str, tells: bool = True, applies: bool = True) -> Pass:
        def run(work):
            ran.append(name)
            return {"changed": 0, "detail": "", "name": name} if tells else None

        return Pass(name, run, lambda _: applies)

    steps = (
        step("relu_fusion"),
        step("bias_range"),
        step("quiet", tells=False),
        step("unfit", applies=False),
        step("own"),
    )
    entries = run_passes(steps, _work(master, relu_fusion={"enabled": False}))
    assert ran == ["bias_range", "quiet", "own"]
    assert [entry["name"] for entry in entries] == ["bias_range", "own"]
    assert all(entry["gain"] is None for entry in entries)


@pytest.mark.parametrize("scheme", ["int8", "float16"])
def test_both_halves_give_what_quantize_gives(master, data, scheme):
    settings = QuantizationSettings(scheme)
    prepared = prepare(master, settings, data)
    before = prepared.content()
    one, other = finish(prepared), finish(prepared)
    # The second half leaves the first one's result as it is.
    assert prepared.content() == before == model_bytes(prepared.model)
    whole = quantize(master, settings, data.samples)
    for result in (one, other):
        assert result.model == whole.model
        assert (result.recipe, result.passes) == (whole.recipe, whole.passes)
        assert result.float_tensors == whole.float_tensors
    assert prepared.passes == whole.passes[: len(prepared.passes)]


def test_the_first_half_is_done_where_the_library_would_refuse(master, data):
    """It ends before the library is asked."""
    entry = {
        "algorithm_key": "min_max_uniform_quantize",
        "op_config": {
            "activation_tensor_config": {"dtype": "INT", "num_bits": 8, "symmetric": False},
            "compute_precision": "INTEGER",
            "explicit_dequantize": False,
            "weight_tensor_config": {"dtype": "INT", "num_bits": 8, "symmetric": True},
        },
        "operation": "*",
        "regex": ".*",
    }
    prepared = prepare(master, QuantizationSettings("recipe", recipe=(entry,)), data)
    for bounds in prepared.ranges.values():
        bounds["min"] = bounds["max"] = np.array("no number")
    with pytest.raises((InputError, TypeError)):
        finish(prepared)


def test_a_scheme_that_needs_data_says_so(master):
    with refused("scheme.needs_data", "^net: int8 "):
        prepare(master, QuantizationSettings("int8"), None, "net")


def test_modules_of_the_package_import_each_other_in_one_direction():
    folder = Path(passes.__file__).parent
    imports = {}
    for path in folder.glob("*.py"):
        found = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                named = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                found |= {name.rpartition("tools.quantization.")[2] for name in named}
        imports[path.stem] = found
    left = {name: found & set(imports) for name, found in imports.items()}
    while ends := {name for name, found in left.items() if not found}:
        left = {name: found - ends for name, found in left.items() if name not in ends}
    assert not left, f"import each other: {sorted(left)}"
