import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings

from tests.extent import count
from tests.foreign.kinds import KINDS
from tests.model_files import REAL_MODELS, model_path
from tests.random_models import ModelBuilder, float_models, run_model, tiny_model
from tests.refused import refused
from tools.errors import InputError
from tools.graph.description import describe
from tools.graph.flatbuffer import model_bytes, parse_model, tensor_name, text
from tools.graph.float_master import (
    make_float_master,
    refuse_other_than_master,
    refuse_quantized,
)
from tools.graph.runtime import open_interpreter
from tools.graph.topology import Topology


@pytest.fixture(scope="module", params=REAL_MODELS)
def made(request) -> tuple[bytes, bytes, dict]:
    """A real model: (original, master, summary)."""
    original = model_path(request.param).read_bytes()
    return original, *make_float_master(original)


def test_master_of_a_master_is_the_same_bytes(made):
    _, master, _ = made
    again, summary = make_float_master(master)
    assert again == master
    del summary["associated_files"]
    assert not any(summary.values())
    refuse_other_than_master(master, "master")


def test_what_is_not_a_master_is_refused_as_one(made):
    original, _, summary = made
    with refused("model.not_master") as raised:
        refuse_other_than_master(original, "net.tflite")
    message = str(raised.value)
    assert message.startswith("net.tflite: no float master, making one would change it (")
    for name, value in summary.items():
        assert (name in message) == (bool(value) and name != "associated_files")


def test_same_outputs_to_the_bit(made):
    original, master, _ = made
    for seed in range(2):
        before, after = run_model(original, seed), run_model(master, seed)
        assert [np.ptp(values) > 0 or values.size == 1 for values in before] == [True] * len(before)
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(other, one)


def test_no_constant_is_expanded_at_run_time(made):
    _, master, _ = made
    model = parse_model(master)
    graph = Topology(model)
    for operator in graph.subgraph.operators:
        assert graph.name(operator) not in ("DEQUANTIZE", "DENSIFY")
    for index, tensor in enumerate(graph.subgraph.tensors):
        assert tensor.sparsity is None
        assert not (graph.is_constant(index) and tensor.type == schema.TensorType.FLOAT16)


def test_every_tensor_is_used_and_has_a_name_of_its_own(made):
    _, master, _ = made
    graph = Topology(parse_model(master))
    names = [tensor_name(tensor) for tensor in graph.subgraph.tensors]
    assert len(set(names)) == len(names)
    assert all(names)
    used = set(graph.producer) | set(graph.consumers) | graph.inputs | graph.outputs
    assert used == set(range(len(names)))


def test_one_signature_names_inputs_and_outputs(made):
    original, master, _ = made
    model = parse_model(master)
    (signature,) = model.schema.signatureDefs
    (subgraph,) = model.schema.subgraphs
    assert text(signature.signatureKey) == "serving_default"
    assert [e.tensorIndex for e in signature.inputs] == list(subgraph.inputs)
    assert [e.tensorIndex for e in signature.outputs] == list(subgraph.outputs)
    for entries in (signature.inputs, signature.outputs):
        names = [text(entry.name) for entry in entries]
        assert all(name.isidentifier() for name in names)
        assert len(set(names)) == len(names)
    # What was a tensor's name stays one.
    before = parse_model(original).schema.subgraphs[0]
    assert [tensor_name(subgraph.tensors[int(i)]) for i in subgraph.outputs] == [
        tensor_name(before.tensors[int(i)]) for i in before.outputs
    ]


def test_operator_codes_are_in_the_current_field(made):
    _, master, _ = made
    for code in parse_model(master).schema.operatorCodes:
        assert code.builtinCode == code.deprecatedBuiltinCode


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("face_detection_short_range", {"folded_dequantize": 74, "moved_operator_codes": 8}),
        ("face_detection_full_range_sparse", {"folded_dequantize": 182, "folded_densify": 46}),
        ("iris_landmark", {"folded_dequantize": 0, "removed_tensors": 0}),
        ("selfie_segmentation", {"associated_files": ["labels.txt"]}),
    ],
)
def test_summary_says_what_was_changed(name, expected):
    _, summary = make_float_master(model_path(name).read_bytes())
    assert expected.items() <= summary.items()
    assert summary["added_signature"]


def test_signature_runs():
    master, _ = make_float_master(model_path("face_detection_short_range").read_bytes())
    runner = open_interpreter(master, "face").get_signature_runner("serving_default")
    outputs = runner(input=np.zeros((1, 128, 128, 3), np.float32))
    assert outputs["regressors"].shape == (1, 896, 16)
    assert outputs["classificators"].shape == (1, 896, 1)


@settings(max_examples=count(15, 50), deadline=None, derandomize=True)
@given(float_models())
def test_random_model_has_the_same_outputs(content):
    master, _ = make_float_master(content)
    assert make_float_master(master)[0] == master
    for one, other in zip(run_model(content), run_model(master), strict=True):
        np.testing.assert_array_equal(one, other)


def _half(values: np.ndarray) -> bytes:
    """A model whose weights are float16 behind DEQUANTIZE."""
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, 3))
    stored = graph.constant(values.astype(np.float16))
    weights = graph.operator("DEQUANTIZE", [stored], values.shape)
    bias = graph.constant(np.zeros(values.shape[0], np.float32))
    return graph.finish(graph.conv(image, weights, bias))


def test_every_float16_value_becomes_itself():
    """Subnormal ones too."""
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    values = values[np.isfinite(values)]
    count = values.size // 3
    weights = values[: 3 * count].reshape(count, 1, 1, 3)
    model = parse_model(make_float_master(_half(weights))[0])
    (operator,) = model.schema.subgraphs[0].operators
    constant = model.tensor_data(model.schema.subgraphs[0].tensors[operator.inputs[1]])
    assert constant.dtype == np.float32
    np.testing.assert_array_equal(constant, weights.astype(np.float32))
    assert np.count_nonzero(constant) == np.count_nonzero(weights)


def test_quantized_model_is_refused():
    model = parse_model(tiny_model())
    tensor = model.schema.subgraphs[0].tensors[1]
    tensor.type = schema.TensorType.INT8
    refuse_quantized(model)
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = np.float32([0.1])
    tensor.quantization.zeroPoint = np.int64([0])
    with refused("model.quantized") as raised:
        make_float_master(model_bytes(model), "net.tflite")
    assert str(raised.value) == (
        "net.tflite: already quantized (tensor weights_0 is int8); give the float model that it "
        "was made from"
    )
    tensor.name = ""
    with refused("model.quantized", r"\(tensor 1 is int8\)"):
        make_float_master(model_bytes(model))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_weights_that_are_no_numbers_are_refused(bad, dtype):
    weights = np.ones((2, 1, 1, 3))
    weights[1, 0, 0, 2] = bad
    if dtype == np.float16:
        content = _half(weights)
    else:
        graph = ModelBuilder()
        image = graph.input((1, 4, 4, 3))
        bias = graph.constant(np.zeros(2, np.float32))
        kernel = graph.constant(weights.astype(np.float32))
        content = graph.finish(graph.conv(image, kernel, bias))
    with refused("model.value", r"^net: tensor \w+ "):
        make_float_master(content, "net")


def _named(*names: str) -> bytes:
    """A model with an output for each name."""
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, 3), "serving/image:0")
    outputs = [graph.operator("RELU", [image], (1, 4, 4, 3)) for _ in names]
    for index, name in zip(outputs, names, strict=True):
        graph.subgraph.tensors[index].name = name
    return graph.finish(*outputs)


@pytest.mark.parametrize(
    ("tensors", "expected"),
    [
        (["scores", "boxes"], ["scores", "boxes"]),
        (["call:0", "call:1", "call:2"], ["call", "call_1", "call_2"]),
        (["a/b;c/d", "a b"], ["a_b_c_d", "a_b"]),
        (["", "///"], ["tensor_1", "tensor"]),
        (["a", "a_2", "a:0"], ["a", "a_2", "a_1"]),
        (["a:0", "a_1", "a:1", "a:2"], ["a", "a_1", "a_2", "a_3"]),
    ],
)
def test_signature_names(tensors, expected):
    master, _ = make_float_master(_named(*tensors))
    described = describe(master)
    assert [entry["name"] for entry in described["outputs"]] == expected
    assert [entry["name"] for entry in described["inputs"]] == ["serving_image"]
    assert len(run_model(master)) == len(tensors)


def test_tensors_without_or_with_the_same_name_are_named():
    content = _named("same", "same", "", "same_2", "tensor_3")
    master, summary = make_float_master(content)
    subgraph = parse_model(master).schema.subgraphs[0]
    names = [tensor_name(subgraph.tensors[int(index)]) for index in subgraph.outputs]
    assert len(set(names)) == 5
    assert "" not in names
    assert names[0] == "same"
    assert summary["renamed_tensors"] >= 2
    assert make_float_master(master)[0] == master


def test_signature_that_is_there_is_kept():
    model = parse_model(make_float_master(tiny_model())[0])
    (signature,) = model.schema.signatureDefs
    signature.signatureKey = "detect"
    signature.outputs[0].name = "faces"
    master, summary = make_float_master(model_bytes(model))
    assert not summary["added_signature"]
    (signature,) = parse_model(master).schema.signatureDefs
    assert text(signature.signatureKey) == "detect"
    assert describe(master)["outputs"][0]["name"] == "faces"


def test_custom_operator_is_left_as_it_is():
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, 3))
    weights = graph.constant(np.float16([1, 2, 3]))
    expanded = graph.operator("DEQUANTIZE", [weights], (3,))
    result = graph.operator("MyTransform", [image, expanded], (1, 4, 4, 3), custom=True)
    graph.subgraph.operators[-1].customOptions = np.frombuffer(b"options", np.uint8)
    master, summary = make_float_master(graph.finish(result))
    assert describe(master)["ops"] == {"MyTransform": 1}
    assert summary["folded_dequantize"] == 1
    model = parse_model(master)
    (operator,) = model.schema.subgraphs[0].operators
    assert bytes(operator.customOptions) == b"options"
    with refused("model.runtime", "unresolved custom op: MyTransform"):
        run_model(master)


def _of_a_custom_operator(name: str) -> bytes:
    graph = ModelBuilder()
    source = graph.input((1, 4))
    return graph.finish(graph.operator(name, [source], (1, 4), custom=name != "RELU"))


def test_bytes_behind_a_file_whose_operators_may_read_them_are_refused():
    content = _of_a_custom_operator("Mine")
    make_float_master(content)
    with refused("model.unsupported", r"^net: \d+ bytes stand behind .* operator Mine may look"):
        make_float_master(content + bytes(200), "net")
    # Nothing of the format leads to them.
    make_float_master(_of_a_custom_operator("RELU") + bytes(200))
    with pytest.raises(
        InputError, match=r"^net: it is compiled for an accelerator \(DISPATCH_OP\)"
    ):
        make_float_master(_of_a_custom_operator("DISPATCH_OP"), "net")


@pytest.mark.parametrize("how", ["cast", "dequantize_float16", "dequantize_int8", "quantize"])
def test_constants_in_another_form_are_expanded(how):
    content = KINDS[f"weights_behind_{how}"]()
    master, summary = make_float_master(content)
    assert summary["folded_cast" if how == "cast" else "folded_dequantize"] == 1
    for expected, found in zip(run_model(content), run_model(master), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_four_bit_constants_are_expanded():
    content = KINDS["weights_behind_dequantize_int4"]()
    model = parse_model(make_float_master(content)[0])
    constants = (model.tensor_data(tensor) for tensor in model.schema.subgraphs[0].tensors)
    levels = [np.unique(values) for values in constants if values is not None and values.ndim == 2]
    assert any(10 < values.size <= 15 for values in levels)


def test_an_infinite_mask_is_no_damage():
    make_float_master(KINDS["mask_add_-inf"]())


def test_signature_of_another_subgraph_alone():
    model = parse_model(make_float_master(tiny_model())[0])
    other = parse_model(make_float_master(tiny_model())[0])
    first = len(model.schema.buffers) - 1
    for tensor in other.schema.subgraphs[0].tensors:
        tensor.buffer = tensor.buffer and tensor.buffer + first
    model.schema.buffers += other.schema.buffers[1:]
    model.schema.subgraphs += other.schema.subgraphs
    model.schema.signatureDefs[0].subgraphIndex = 1
    master = parse_model(make_float_master(model_bytes(model))[0])
    named = {text(one.signatureKey): one.subgraphIndex for one in master.schema.signatureDefs}
    assert named == {"serving_default": 1, "serving_default_0": 0}


def test_a_signature_without_a_name_gets_one():
    model = parse_model(make_float_master(tiny_model())[0])
    (signature,) = model.schema.signatureDefs
    signature.signatureKey = ""
    master, _ = make_float_master(model_bytes(model))
    (named,) = parse_model(master).schema.signatureDefs
    assert text(named.signatureKey) == "serving_default"
    assert "serving_default" in open_interpreter(master, "model").get_signature_list()
