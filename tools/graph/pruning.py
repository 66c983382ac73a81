"""Takes out of a model what no operator uses."""

from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import OPERATOR_NAMES, TfliteModel, builtin_code

# What these do is not all in their results: they run other subgraphs, or keep a state.
_MAY_DO_MORE = frozenset({"ASSIGN_VARIABLE", "CALL", "CALL_ONCE", "CUSTOM", "IF", "WHILE"})


def _drop_operators(model: TfliteModel) -> None:
    """Removes operators whose results nothing reads."""
    for index, subgraph in enumerate(model.schema.subgraphs):
        used = {int(i) for i in subgraph.outputs}
        for signature in model.schema.signatureDefs or []:
            if signature.subgraphIndex == index:
                used |= {entry.tensorIndex for entry in signature.outputs}
        kept = []
        # Readers stand behind writers.
        for operator in reversed(subgraph.operators):
            results = {int(i) for i in operator.outputs}
            code = model.schema.operatorCodes[operator.opcodeIndex]
            name = OPERATOR_NAMES.get(builtin_code(code), "CUSTOM")
            if not results or results & used or name in _MAY_DO_MORE:
                used |= {int(i) for i in operator.inputs}
                kept.append(operator)
        subgraph.operators = kept[::-1]


def _block_scales(subgraph: schema.SubGraphT) -> list[schema.BlockwiseQuantizationT]:
    """Finds what names tensors of scales: weights that have one for each block."""
    parameters = [tensor.quantization for tensor in subgraph.tensors]
    details = [entry.details for entry in parameters if entry is not None]
    return [entry for entry in details if isinstance(entry, schema.BlockwiseQuantizationT)]


def _used_tensors(subgraph: schema.SubGraphT, model: schema.ModelT, index: int) -> set[int]:
    used = {int(i) for i in subgraph.inputs} | {int(i) for i in subgraph.outputs}
    for operator in subgraph.operators or []:
        for field in (operator.inputs, operator.outputs, operator.intermediates):
            used |= {int(i) for i in field if i != -1} if field is not None else set()
    for signature in model.signatureDefs or []:
        if signature.subgraphIndex == index:
            used |= {entry.tensorIndex for entry in signature.inputs + signature.outputs}
    for details in _block_scales(subgraph):
        used |= {int(i) for i in (details.scales, details.zeroPoints) if i != -1}
    return used


def _drop_tensors(model: schema.ModelT) -> int:
    dropped = 0
    for index, subgraph in enumerate(model.subgraphs):
        used = _used_tensors(subgraph, model, index)
        new_index = {-1: -1}
        kept: list[schema.TensorT] = []
        for old, tensor in enumerate(subgraph.tensors):
            if old in used:
                new_index[old] = len(kept)
                kept.append(tensor)
        dropped += len(subgraph.tensors) - len(kept)
        subgraph.tensors = kept
        for details in _block_scales(subgraph):
            details.scales = new_index[details.scales]
            details.zeroPoints = new_index[details.zeroPoints]
        subgraph.inputs = [new_index[int(i)] for i in subgraph.inputs]
        subgraph.outputs = [new_index[int(i)] for i in subgraph.outputs]
        for operator in subgraph.operators or []:
            operator.inputs = [new_index[int(i)] for i in _list(operator.inputs)]
            operator.outputs = [new_index[int(i)] for i in _list(operator.outputs)]
            if operator.intermediates is not None:
                operator.intermediates = [new_index[int(i)] for i in operator.intermediates]
        for signature in model.signatureDefs or []:
            if signature.subgraphIndex == index:
                for entry in signature.inputs + signature.outputs:
                    entry.tensorIndex = new_index[entry.tensorIndex]
    return dropped


def _list(values) -> list:
    return [] if values is None else list(values)


def _drop_operator_codes(model: schema.ModelT) -> None:
    operators = [op for subgraph in model.subgraphs for op in subgraph.operators or []]
    used = sorted({operator.opcodeIndex for operator in operators})
    new_index = {old: new for new, old in enumerate(used)}
    model.operatorCodes = [model.operatorCodes[old] for old in used]
    for operator in operators:
        operator.opcodeIndex = new_index[operator.opcodeIndex]


def _drop_buffers(model: schema.ModelT) -> None:
    tensors = [tensor for subgraph in model.subgraphs for tensor in subgraph.tensors]
    # Buffer 0 is the empty one, by the schema.
    used = {0} | {tensor.buffer for tensor in tensors}
    used |= {entry.buffer for entry in model.metadata or []}
    used |= {int(index) for index in _list(model.metadataBuffer)}
    order = sorted(used)
    new_index = {old: new for new, old in enumerate(order)}
    model.buffers = [model.buffers[old] for old in order]
    for tensor in tensors:
        tensor.buffer = new_index[tensor.buffer]
    for entry in model.metadata or []:
        entry.buffer = new_index[entry.buffer]
    if model.metadataBuffer is not None:
        model.metadataBuffer = [new_index[int(index)] for index in model.metadataBuffer]


def prune(model: TfliteModel) -> int:
    """Removes operators, tensors, operator codes and buffers that no result depends on.

    Of an operator whose result nothing reads, the library quantizes what goes in and
    not what comes out, which no kernel takes. A tensor that no operator writes or reads
    has no data at run time, and a calibrator that asks for it fails.

    Args:
      model: changed in place.

    Returns:
      How many tensors were removed.
    """
    _drop_operators(model)
    dropped = _drop_tensors(model.schema)
    _drop_operator_codes(model.schema)
    _drop_buffers(model.schema)
    return dropped
