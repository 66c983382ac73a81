"""What is added to a graph runs."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from tests.random_models import ModelBuilder
from tools.graph.extension import GraphExtension
from tools.graph.flatbuffer import model_bytes, parse_model, tensor_name
from tools.graph.topology import Topology


@pytest.fixture(name="graph")
def _graph() -> Topology:
    """image -> RELU -> result."""
    builder = ModelBuilder()
    result = builder.operator("RELU", [builder.input((1, 2, 3))], (1, 2, 3))
    return Topology(parse_model(builder.finish(result)))


def _answer(graph: Topology, image: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=model_bytes(graph.model))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_an_operator_that_is_added_runs(graph):
    extension = GraphExtension(graph.model, graph.subgraph)
    (relu,) = graph.subgraph.operators
    order = extension.constant("order", np.array([0, 2, 1], np.int32))
    turned = extension.activation("turned", [1, 3, 2])
    options = schema.TransposeOptionsT()
    added = extension.operator("TRANSPOSE", [relu.outputs[0], order], [turned], options)
    graph.subgraph.operators = [relu, added]
    graph.subgraph.outputs = [turned]
    image = np.arange(6, dtype=np.float32).reshape(1, 2, 3) - 2
    assert np.array_equal(_answer(graph, image), np.maximum(image, 0).transpose(0, 2, 1))


def test_an_operator_that_is_rewritten_is_another(graph):
    extension = GraphExtension(graph.model, graph.subgraph)
    (relu,) = graph.subgraph.operators
    minimum = schema.MaximumMinimumOptionsT()
    inputs = [*relu.inputs, extension.constant("one", np.ones(1, np.float32))]
    assert extension.rewrite(relu, "MINIMUM", inputs, relu.outputs, minimum) is relu
    image = np.arange(6, dtype=np.float32).reshape(1, 2, 3) - 2
    assert np.array_equal(_answer(graph, image), np.minimum(image, 1))


def test_constants_of_each_type_are_read_back(graph):
    extension = GraphExtension(graph.model, graph.subgraph)
    for dtype in (np.float16, np.float32, np.int32, np.int8):
        values = np.arange(4).reshape(2, 2).astype(dtype)
        tensor = graph.tensor(extension.constant(f"of {dtype.__name__}", values))
        read = graph.model.constant(tensor)
        assert read.dtype == dtype
        assert np.array_equal(read, values)


def test_a_code_stands_once_for_each_version(graph):
    extension = GraphExtension(graph.model, graph.subgraph)
    before = len(graph.model.schema.operatorCodes)
    first, again = (extension.operator_code("DEQUANTIZE", 3) for _ in range(2))
    assert first == again == before
    assert extension.operator_code("DEQUANTIZE") == before + 1
    # The old field of one byte has no room for it.
    late = graph.model.schema.operatorCodes[extension.operator_code("STABLEHLO_ADD")]
    assert late.builtinCode == schema.BuiltinOperator.STABLEHLO_ADD > 127
    assert late.deprecatedBuiltinCode == 127


def test_a_copy_leaves_the_other_tensor_as_it_is(graph):
    extension = GraphExtension(graph.model, graph.subgraph)
    (image,) = graph.inputs
    values = np.zeros((1, 2, 3), np.float16)
    copied = extension.copied(image, "/stored", values, schema.TensorType.FLOAT16)
    assert tensor_name(graph.tensor(copied)) == tensor_name(graph.tensor(image)) + "/stored"
    assert graph.model.constant(graph.tensor(copied)).dtype == np.float16
    assert graph.tensor(image).type == schema.TensorType.FLOAT32
    assert graph.tensor(image).buffer == 0
