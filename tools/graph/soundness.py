"""Refuses graphs that no runtime could run, before any code walks or runs them.

A file can be whole, with every index inside its list, and still name a graph that is
none: an operator that reads what is computed after it, a convolution without weights,
a branch that calls itself. Passes would stumble over it far from the cause, and the
runtime, which trusts its input, may take the process with it.
"""

import math

from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError
from tools.graph.flatbuffer import TfliteModel, shape_of, tensor_name

# Rank of the weights, which dimension counts the bias, and the place of the activations.
_WEIGHTED = {
    "CONV_2D": (4, 0, 0),
    "DEPTHWISE_CONV_2D": (4, 3, 0),
    "FULLY_CONNECTED": (2, 0, 0),
    "TRANSPOSE_CONV": (4, 0, 2),
}
_OPTIONS = {
    "CONV_2D": schema.Conv2DOptionsT,
    "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptionsT,
    "FULLY_CONNECTED": schema.FullyConnectedOptionsT,
    "TRANSPOSE_CONV": schema.TransposeConvOptionsT,
}


def _name(subgraph: schema.SubGraphT, index: int) -> str:
    return tensor_name(subgraph.tensors[index]) or f"number {index}"


def _called(operator: schema.OperatorT) -> list[int]:
    """Lists the subgraphs that an operator runs."""
    found = []
    for options in (operator.builtinOptions, operator.builtinOptions2):
        for field, value in vars(options).items() if options is not None else ():
            if field == "branchSubgraphIndices" and value is not None:
                found += [int(index) for index in value]
            elif field == "subgraph" or field.endswith("SubgraphIndex"):
                found.append(int(value))
    return found


def _edge_fault(model: TfliteModel, subgraph: schema.SubGraphT) -> str | None:
    """Finds an operator that reads what is not there yet, or writes what is there."""
    inputs = {int(index) for index in subgraph.inputs}
    constants = {
        index
        for index, tensor in enumerate(subgraph.tensors)
        if model.schema.buffers[tensor.buffer].data is not None
        and len(model.schema.buffers[tensor.buffer].data)
    }
    ready = inputs | constants
    for index, tensor in enumerate(subgraph.tensors):
        # Nothing needs to be written of these; states begin with zeros.
        if tensor.isVariable or 0 in shape_of(tensor):
            ready.add(index)
    written: set[int] = set()
    for operator in subgraph.operators:
        name = model.operator_name(operator)
        for index in (int(i) for i in operator.inputs if i != -1):
            if index not in ready and index not in written:
                return f"{name} reads tensor {_name(subgraph, index)} before anything computes it"
        for index in (int(i) for i in operator.outputs):
            if index in written or index in inputs:
                return f"tensor {_name(subgraph, index)} is computed twice"
            if index in constants:
                return f"{name} writes the constant {_name(subgraph, index)}"
            written.add(index)
    for index in (int(i) for i in subgraph.outputs):
        if index not in ready and index not in written:
            return f"nothing computes the output {_name(subgraph, index)}"
    return None


def _weights_fault(
    model: TfliteModel, subgraph: schema.SubGraphT, operator: schema.OperatorT
) -> str | None:
    """Finds weights that do not fit their operator."""
    name = model.operator_name(operator)
    if name not in _WEIGHTED:
        return None
    rank, counted, source = _WEIGHTED[name]
    inputs = [int(index) for index in operator.inputs]
    if len(inputs) < max(2, source + 1) or -1 in (inputs[1], inputs[source]):
        return f"{name} lacks its input or its weights"
    if not len(operator.outputs):
        return f"{name} lacks its output"
    result = _name(subgraph, int(operator.outputs[0]))
    if not isinstance(operator.builtinOptions, _OPTIONS[name]):
        return f"{name} of {result} lacks its options"
    weights = shape_of(subgraph.tensors[inputs[1]])
    # The shape of weights that are computed may be known at run time only.
    if model.tensor_data(subgraph.tensors[inputs[1]]) is None:
        return None
    if len(weights) != rank or 0 in weights:
        return f"{name} of {result} has weights {list(weights)}"
    place = max(2, source + 1)
    if len(inputs) > place and inputs[place] != -1:
        count = math.prod(shape_of(subgraph.tensors[inputs[place]]))
        if count != weights[counted]:
            return f"{name} of {result} has {weights[counted]} channels and a bias of {count}"
    computed = shape_of(subgraph.tensors[int(operator.outputs[0])])
    # A shape that is not stated is known when the model runs.
    if computed and computed[-1] != weights[counted]:
        return f"{name} of {result} has {weights[counted]} channels for the shape {list(computed)}"
    activations = shape_of(subgraph.tensors[inputs[source]])
    if name != "FULLY_CONNECTED" and activations and computed:
        if len(activations) != 4 or len(computed) != 4:
            return f"{name} of {result} reads or computes what is no image"
        channels = activations[3]
        fits = (
            weights[3] % channels == 0
            if name == "DEPTHWISE_CONV_2D" and channels
            else channels % weights[3] == 0
        )
        if not fits or not channels:
            return f"{name} of {result} has weights {list(weights)} for {channels} channels"
    return None


def _calls_itself(calls: list[set[int]]) -> bool:
    """Says whether a subgraph runs itself, through others or not."""
    left = {index: set(called) for index, called in enumerate(calls)}
    while ends := [index for index, called in left.items() if not called]:
        for index in ends:
            del left[index]
        for called in left.values():
            called.difference_update(ends)
    return bool(left)


def refuse_unsound(model: TfliteModel) -> None:
    """Refuses a model whose graph is none.

    Args:
      model: one whose constants can be read.

    Raises:
      InputError: names the operator or tensor.
    """
    subgraphs = model.schema.subgraphs
    calls: list[set[int]] = []
    for subgraph in subgraphs:
        fault = _edge_fault(model, subgraph)
        calls.append(set())
        for operator in subgraph.operators:
            fault = fault or _weights_fault(model, subgraph, operator)
            called = _called(operator)
            # -1 stands for a branch that is not there.
            if any(not -1 <= index < len(subgraphs) for index in called):
                name = model.operator_name(operator)
                fault = fault or f"{name} runs a subgraph that is not there"
            calls[-1].update(index for index in called if 0 <= index < len(subgraphs))
        if fault:
            raise InputError(
                "model.damaged", f"{model.where}: {fault}; the model is damaged, export it again"
            )
    if _calls_itself(calls):
        raise InputError(
            "model.damaged",
            f"{model.where}: a subgraph runs itself without end; the model is damaged, export it "
            "again",
        )


def refuse_unmeasurable(model: TfliteModel) -> None:
    """Refuses a model whose activations have no ranges.

    Args:
      model: a sound one.

    Raises:
      InputError: when its first subgraph, which samples run through, has no operators or no
        float activations, or one of these has no elements.
    """
    subgraph = model.schema.subgraphs[0]
    if not subgraph.operators:
        raise InputError(
            "model.empty",
            f"{model.where}: its first subgraph has no operators, so that there is nothing to "
            "calibrate",
        )
    computed = [int(i) for op in subgraph.operators for i in op.outputs]
    activations = [*(int(i) for i in subgraph.inputs), *computed]
    if all(subgraph.tensors[index].type != schema.TensorType.FLOAT32 for index in activations):
        raise InputError(
            "model.empty",
            f"{model.where}: no activation of its first subgraph is float32, so that there is "
            "nothing to calibrate",
        )
    for index in activations:
        shape = shape_of(subgraph.tensors[index])
        if 0 in shape and subgraph.tensors[index].type == schema.TensorType.FLOAT32:
            raise InputError(
                "model.empty",
                f"{model.where}: tensor {_name(subgraph, index)} has the shape {list(shape)}, "
                "which holds nothing to calibrate; give the model's input a size",
            )
