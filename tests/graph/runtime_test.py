import numpy as np

from tests.foreign.kinds import summing
from tests.random_models import ModelBuilder, tiny_model
from tests.refused import refused
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.runtime import (
    FreshInterpreter,
    input_specifications,
    open_interpreter,
    signature_inputs,
)


def test_inputs_by_name():
    graph = ModelBuilder()
    first = graph.input((1, 4, 4, 3), "left")
    second = graph.input((1, 4, 4, 3), "right")
    master, _ = make_float_master(graph.finish(graph.binary("ADD", first, second)))
    assert signature_inputs(parse_model(master)) == {"left": 0, "right": 1}
    expected = {(name, (1, 4, 4, 3), np.dtype(np.float32)) for name in ("left", "right")}
    assert set(input_specifications(master, "net")) == expected


def test_model_that_the_runtime_refuses_is_one_line():
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, 3))
    content = graph.finish(graph.operator("MyTransform", [image], (1, 4, 4, 3), custom=True))
    for keep_tensors in (False, True):
        with refused("model.runtime") as raised:
            open_interpreter(content, "net.tflite", keep_tensors)
        message = str(raised.value)
        assert message.startswith("net.tflite: the runtime cannot run this model: ")
        assert "unresolved custom op: MyTransform" in message


def test_a_sample_sees_no_variable_of_another():
    master, _ = make_float_master(summing())
    one, two = (np.full((1, 64), value, np.float32) for value in (1, 2))

    def ran(interpreter, values: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    fresh = FreshInterpreter(master, "net")
    first, other, again = (ran(fresh.begin(), values) for values in (one, two, one))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    # A reset alone leaves it: the next run reads what is written here.
    interpreter = open_interpreter(master, "net")
    assert np.array_equal(ran(interpreter, one), first)
    interpreter.reset_all_variables()
    assert not np.array_equal(ran(interpreter, one), first)


def test_runtime_says_nothing_by_itself(capfd):
    open_interpreter(model_bytes(parse_model(tiny_model())), "net").invoke()
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
