import numpy as np
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.extent import count
from tests.random_models import ModelBuilder, float_models, run_model, tiny_model
from tools.graph.flatbuffer import model_bytes, parse_model, tensor_name, text
from tools.graph.float_master import make_float_master
from tools.graph.pruning import prune


def names(model) -> list[str]:
    return [tensor_name(tensor) for tensor in model.schema.subgraphs[0].tensors]


def add_tensor(model, position: int, name: str, values: np.ndarray | None = None) -> None:
    """Puts a tensor that nothing uses among the others, and moves all indices behind it."""
    tensor = schema.TensorT()
    tensor.name, tensor.shape = name, np.array([2], np.int32)
    tensor.buffer = 0 if values is None else model.add_constant(values)
    (subgraph,) = model.schema.subgraphs
    subgraph.tensors.insert(position, tensor)

    def moved(indices) -> list[int]:
        return [int(i) + (int(i) >= position) for i in indices]

    subgraph.inputs, subgraph.outputs = moved(subgraph.inputs), moved(subgraph.outputs)
    for operator in subgraph.operators:
        operator.inputs, operator.outputs = moved(operator.inputs), moved(operator.outputs)
    for signature in model.schema.signatureDefs or []:
        for entry in signature.inputs + signature.outputs:
            entry.tensorIndex += entry.tensorIndex >= position


def test_nothing_is_removed_from_a_model_that_uses_all():
    model = parse_model(tiny_model())
    before = model_bytes(model)
    assert prune(model) == 0
    assert model_bytes(model) == before


def test_what_nothing_uses_is_removed():
    model = parse_model(make_float_master(tiny_model())[0])
    before, kept = model_bytes(model), names(model)
    add_tensor(model, 3, "spare", np.ones(2, np.float32))
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.TANH
    model.schema.operatorCodes.insert(0, code)
    for operator in model.schema.subgraphs[0].operators:
        operator.opcodeIndex += 1
    model.add_constant(np.ones(99, np.float32))
    assert prune(model) == 1
    assert names(model) == kept
    assert model_bytes(model) == before


@settings(max_examples=count(15, 50), deadline=None, derandomize=True)
@given(float_models(), strategies.lists(strategies.floats(0, 1), max_size=4))
def test_outputs_are_the_same(content, positions):
    model = parse_model(content)
    count = len(model.schema.subgraphs[0].tensors)
    for number, where in enumerate(positions):
        values = np.ones(2, np.float32) if number % 2 else None
        add_tensor(model, int(where * count), f"spare_{number}", values)
    # The builder makes weights that a step then does not use.
    assert prune(model) >= len(positions)
    assert not [name for name in names(model) if name.startswith("spare")]
    pruned = model_bytes(model)
    assert prune(model) == 0
    for one, other in zip(run_model(content), run_model(pruned), strict=True):
        np.testing.assert_array_equal(one, other)


def test_operators_that_no_output_depends_on_are_removed():
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, 3))
    used = graph.operator("RELU", [image], (1, 4, 4, 3))
    spare = graph.operator("RELU6", [used], (1, 4, 4, 3))
    weights = graph.constant(np.ones((2, 1, 1, 3), np.float32))
    graph.conv(spare, weights, graph.constant(np.ones(2, np.float32)))
    content = graph.finish(used)
    model = parse_model(content)
    assert prune(model) == 4
    assert [model.operator_name(op) for op in model.schema.subgraphs[0].operators] == ["RELU"]
    assert len(model.schema.operatorCodes) == 1
    np.testing.assert_array_equal(run_model(model_bytes(model))[0], run_model(content)[0])


def test_operators_that_may_do_more_than_compute_stay():
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, 3))
    graph.operator("MyLogger", [image], (1,), custom=True)
    model = parse_model(graph.finish(graph.operator("RELU", [image], (1, 4, 4, 3))))
    assert prune(model) == 0
    names = [model.operator_name(op) for op in model.schema.subgraphs[0].operators]
    assert names == ["MyLogger", "RELU"]


def test_result_that_only_a_signature_names_stays():
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, 3))
    result = graph.operator("RELU6", [image], (1, 4, 4, 3))
    model = parse_model(make_float_master(graph.finish(result, image))[0])
    model.schema.subgraphs[0].outputs = [image]
    assert prune(model) == 0
    assert len(model.schema.subgraphs[0].operators) == 1


def test_metadata_and_the_empty_buffer_stay():
    model = parse_model(tiny_model())
    model.add_constant(np.ones(7, np.float32))
    entry = schema.MetadataT()
    entry.name = "notes"
    entry.buffer = model.add_constant(np.frombuffer(b"kept", np.uint8))
    model.schema.metadata = [entry]
    model.schema.metadataBuffer = [entry.buffer]
    prune(model)
    again = parse_model(model_bytes(model))
    (entry,) = again.schema.metadata
    assert text(entry.name) == "notes"
    assert bytes(again.schema.buffers[entry.buffer].data) == b"kept"
    assert list(again.schema.metadataBuffer) == [entry.buffer]
    assert again.schema.buffers[0].data is None


def test_optional_input_that_is_not_given_stays_so():
    graph = ModelBuilder()
    values = graph.input((1, 3), "values")
    graph.tensor((9,), "spare")
    weights = graph.constant(np.ones((2, 3), np.float32))
    content = graph.finish(graph.fully_connected(values, weights, -1))
    model = parse_model(content)
    assert prune(model) == 1
    (operator,) = model.schema.subgraphs[0].operators
    assert list(operator.inputs)[2] == -1
    np.testing.assert_array_equal(run_model(model_bytes(model))[0], run_model(content)[0])


def test_input_that_no_operator_reads_stays():
    graph = ModelBuilder()
    graph.input((1, 2), "unread")
    image = graph.input((1, 4, 4, 3))
    model = parse_model(graph.finish(graph.operator("RELU", [image], (1, 4, 4, 3))))
    assert prune(model) == 0
    assert names(model)[:2] == ["unread", "image"]
