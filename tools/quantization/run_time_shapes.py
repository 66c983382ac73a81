"""Pass: states the shapes that are known when a model runs only.

A RESHAPE to a computed shape, a slice of computed length and the like leave the shapes behind
them unstated, or stated wrongly; the runtime puts them right as it runs. What is prepared here
needs the dimensions: the model is run once on an input that it can take, and the shapes that it
had are put down. Dimensions that its inputs leave open stay open, those of the state of a loop too:
there the size is put down that they have at the inputs' stated sizes. A size that depends on the
input's values is left as it is: another input has another.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError
from tools.graph.child_process import in_child
from tools.graph.data_sized import SHAPED_BY, data_sized
from tools.graph.flatbuffer import TfliteModel, has_open_shape, runnable_bytes, shape_of
from tools.graph.made_up_inputs import MadeUpInputs
from tools.graph.runtime import open_interpreter
from tools.graph.topology import Topology

_SECONDS = 60.0


def _is_open(graph: Topology) -> bool:
    """Says whether some shape is known when the model runs only."""
    for operator in graph.subgraph.operators:
        inputs = [int(index) for index in operator.inputs]
        for place in SHAPED_BY.get(graph.name(operator), ()):
            if place < len(inputs) and inputs[place] != -1 and not graph.is_constant(inputs[place]):
                return True
        for index in operator.outputs:
            tensor = graph.tensor(index)
            if not shape_of(tensor) and tensor.type == schema.TensorType.FLOAT32:
                return True
    return False


def state_shapes(model: TfliteModel) -> dict | None:
    """States the shapes of the main subgraph's activations.

    Args:
      model: a float model; changed in place.

    Returns:
      The report's entry; None where all is stated, or the model cannot be run.
    """
    graph = Topology(model)
    if not _is_open(graph):
        return None
    content, makers = runnable_bytes(model), MadeUpInputs(model)

    def run(_) -> list[tuple[int, ...]]:
        interpreter = open_interpreter(content, model.where, keep_tensors=True)
        random = np.random.default_rng(0)
        for number, details in enumerate(interpreter.get_input_details()):
            index = int(graph.subgraph.inputs[number])
            values = makers.values(index, tuple(details["shape"]), details["dtype"], random)
            interpreter.set_tensor(details["index"], values)
        interpreter.invoke()
        found = {d["index"]: tuple(map(int, d["shape"])) for d in interpreter.get_tensor_details()}
        return [found.get(index, ()) for index in range(len(graph.subgraph.tensors))]

    try:
        shapes = in_child(run, _SECONDS)
    except (InputError, RuntimeError):
        return None
    changed, unknowable = 0, data_sized(graph)
    for index in graph.producer:
        if index in unknowable:
            continue
        tensor = graph.tensor(index)
        if has_open_shape(tensor) and (
            index in graph.outputs or len(shapes[index]) != len(shape_of(tensor))
        ):
            continue
        if shapes[index] and shapes[index] != shape_of(tensor):
            tensor.shape = np.array(shapes[index], np.int32)
            changed += 1
    return (
        {
            "changed": changed,
            "detail": f"{changed} shapes that are known when the model runs are stated",
            "name": "run_time_shapes",
        }
        if changed
        else None
    )
