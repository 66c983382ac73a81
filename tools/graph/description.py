"""What a model is made of, in the words of a report."""

from collections import Counter

from tools.graph.flatbuffer import model_to_read, shape_of, tensor_name, text, type_name


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
    model = model_to_read(content, where)
    subgraph = model.schema.subgraphs[0]
    inputs = {int(i): tensor_name(subgraph.tensors[int(i)]) for i in subgraph.inputs}
    outputs = {int(i): tensor_name(subgraph.tensors[int(i)]) for i in subgraph.outputs}
    signatures = [s for s in model.schema.signatureDefs or [] if s.subgraphIndex == 0]
    for signature in signatures[:1]:
        for names, entries in ((inputs, signature.inputs), (outputs, signature.outputs)):
            for entry in entries:
                names[entry.tensorIndex] = text(entry.name)

    def tensors(names: dict[int, str]) -> list[dict]:
        return [
            {
                "dtype": type_name(subgraph.tensors[index]).lower(),
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
