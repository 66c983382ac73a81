"""Damaged models, each a function of its number, so that any one can be made again."""

import functools
import io
import random
import struct
import zipfile

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.graph.sparse_storage import sparse_model, store
from tests.random_models import ModelBuilder
from tools.graph.flatbuffer import TfliteModel, model_bytes, parse_model
from tools.graph.float_master import make_float_master

# What a length, an index or an offset does not expect.
_WORDS = (0, 1, 2, 4, 8, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 4)


def _convolution() -> bytes:
    rng = np.random.default_rng(0)
    graph = ModelBuilder()
    image = graph.input((1, 2, 2, 1))
    weights = graph.constant(rng.normal(size=(2, 1, 1, 1)).astype(np.float32))
    return graph.finish(graph.conv(image, weights, graph.constant(np.zeros(2, np.float32))))


def _half() -> bytes:
    graph = ModelBuilder()
    image = graph.input((1, 4))
    stored = graph.constant(np.arange(4, dtype=np.float16))
    expanded = graph.operator("DEQUANTIZE", [stored], (4,), schema.DequantizeOptionsT())
    return graph.finish(graph.binary("ADD", image, expanded))


def _sparse() -> bytes:
    dense = np.float16(np.eye(2, 4)).reshape(1, 1, 2, 4)
    return sparse_model(dense, *store(dense, [0, 1, 2, 3], {3}, width=0))


def _quantized() -> bytes:
    model = parse_model(_convolution())
    for tensor in model.schema.subgraphs[0].tensors[1:2]:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.ones(2, np.float32)
        tensor.quantization.zeroPoint = np.zeros(2, np.int64)
    return model_bytes(model)


def _branches() -> bytes:
    """A model of two subgraphs, two signatures, metadata and a custom operator."""
    graph = ModelBuilder()
    flag = graph.tensor((), "flag", schema.TensorType.BOOL)
    graph.subgraph.inputs.append(flag)
    image = graph.input((1, 2))
    options = schema.IfOptionsT()
    options.thenSubgraphIndex = options.elseSubgraphIndex = 1
    chosen = graph.operator("IF", [flag, image], (1, 2), options)
    custom = graph.operator("Custom", [chosen, -1], (1, 2), custom=True)
    graph.subgraph.operators[-1].customOptions = np.arange(5, dtype=np.uint8)
    graph.subgraph.outputs = [custom]
    inner = ModelBuilder()
    inner.finish(inner.binary("MUL", inner.input((1, 2)), inner.constant(np.float32([[2, 3]]))))
    for operator in inner.subgraph.operators:
        operator.opcodeIndex += len(graph.model.operatorCodes)
    for tensor in inner.subgraph.tensors:
        tensor.buffer = tensor.buffer and len(graph.model.buffers)
    graph.model.operatorCodes += inner.model.operatorCodes
    graph.model.buffers += inner.model.buffers[1:]
    graph.model.subgraphs.append(inner.subgraph)
    graph.model.metadata = [schema.MetadataT()]
    graph.model.metadata[0].name = "notes"
    graph.model.metadata[0].buffer = 1
    model = parse_model(model_bytes(TfliteModel(graph.model, [], "branches")))
    signed = parse_model(make_float_master(model_bytes(model))[0]).schema
    (first,) = signed.signatureDefs
    second = schema.SignatureDefT()
    second.signatureKey, second.subgraphIndex = "inner", 1
    second.inputs, second.outputs = [], []
    signed.signatureDefs = [first, second]
    return model_bytes(TfliteModel(signed, [], "branches"))


def _zipped() -> bytes:
    stream = io.BytesIO(_convolution())
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", b"person\nface\n" * 20)
    return stream.getvalue()


def _outside() -> bytes:
    """A model whose weights stand behind the flatbuffer."""
    model = parse_model(_convolution())
    (weights,) = (b for b in model.schema.buffers if b.data is not None and b.data.any())
    data, weights.data = weights.data.tobytes(), None
    for _ in range(2):
        content = model_bytes(model)
        weights.offset, weights.size = len(content), len(data)
    return content + data


@functools.cache
def bases() -> dict[str, bytes]:
    """The sound models that mutants are made of, by name; each of 0.5 to 2 KB."""
    return {
        "branches": _branches(),
        "convolution": _convolution(),
        "half": _half(),
        "master": make_float_master(_convolution())[0],
        "outside": _outside(),
        "quantized": _quantized(),
        "sparse": _sparse(),
        "zipped": _zipped(),
    }


def _change(content: bytearray, random_: random.Random) -> None:
    """Makes one change at one place."""
    kind = random_.randrange(9)
    size = len(content)
    place = random_.randrange(size)
    word = min(place & ~3, size - 4)
    if kind == 0:
        content[place] ^= 1 << random_.randrange(8)
    elif kind == 1:
        content[place] = random_.randrange(256)
    elif kind <= 3:
        struct.pack_into("<I", content, word, random_.choice(_WORDS))
    elif kind == 4:
        (value,) = struct.unpack_from("<I", content, word)
        struct.pack_into("<I", content, word, (value + random_.randint(-64, 64)) % 2**32)
    elif kind == 5:
        other = random_.randrange(0, size - 3, 4)
        content[word : word + 4] = content[other : other + 4]
    elif kind == 6:
        length = random_.randint(1, 32)
        content[place : place + length] = bytes(length if random_.random() < 0.5 else 0)
    elif kind == 7:
        other, length = random_.randrange(size), random_.randint(1, 64)
        content[place : place + length] = content[other : other + length]
    else:
        del content[max(place, 16) :]


def mutant(number: int) -> bytes:
    """Makes one damaged model.

    Args:
      number: any; the same one makes the same bytes.

    Returns:
      One of `bases`, changed at one to four places.
    """
    random_ = random.Random(number)
    content = bytearray(random_.choice(list(bases().values())))
    for _ in range(random_.choice((1, 1, 1, 2, 2, 3, 4))):
        if len(content) > 16:
            _change(content, random_)
    return bytes(content)
