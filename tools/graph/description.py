"""What a model is made of, in the words of a report."""

from collections import Counter

from tools.graph.flatbuffer import TYPE_NAMES, parse_model, shape_of, tensor_name


def describe(content: bytes, where: str = "model") -> dict:
    """Describes a model's main subgraph.

    Args:
      content: a whole .tflite file.
      where: how messages name it.

    Returns:
      {"inputs": [{"name", "shape", "dtype"}], "outputs": the same,
      "ops": {operator name: count}}. Names are the signature's where there is one.

    Raises:
      InputError: when the model cannot be read.
    """
    model = parse_model(content, where)
    subgraph = model.schema.subgraphs[0]
    inputs = {int(i): tensor_name(subgraph.tensors[int(i)]) for i in subgraph.inputs}
    outputs = {int(i): tensor_name(subgraph.tensors[int(i)]) for i in subgraph.outputs}
    for signature in (model.schema.signatureDefs or [])[:1]:
        for names, entries in ((inputs, signature.inputs), (outputs, signature.outputs)):
            for entry in entries:
                name = entry.name
                names[entry.tensorIndex] = name.decode() if isinstance(name, bytes) else name

    def tensors(names: dict[int, str]) -> list[dict]:
        return [
            {
                "dtype": TYPE_NAMES[subgraph.tensors[index].type].lower(),
                "name": name,
                "shape": list(shape_of(subgraph.tensors[index])),
            }
            for index, name in names.items()
        ]

    counts = Counter(model.operator_name(operator) for operator in subgraph.operators)
    return {
        "inputs": tensors(inputs),
        "outputs": tensors(outputs),
        "ops": dict(sorted(counts.items())),
    }
