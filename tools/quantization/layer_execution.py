"""Runs a model piece by piece over a set of samples.

What an operator computes for all samples is there before the next one runs, so that a
layer can be changed in the light of what really enters it. Each piece is a small model
of its own, run by the runtime with its delegate: the kernels are those of the whole
model. An activation is forgotten when its last reader has run.

Models that differ in their constants' values and steps alone, such as corrections of one
artifact, have the same pieces but for these: tables of equal steps are written once.
"""

import copy
import hashlib
from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError
from tools.graph.flatbuffer import TfliteModel, runnable_tables, with_constants
from tools.graph.runtime import open_interpreter, read_tensor, signature_inputs
from tools.graph.topology import Topology

_INTEGERS: dict[int, type[np.signedinteger | np.unsignedinteger]] = {
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT16: np.int16,
}


class LayerExecution:
    """A model's activations over samples, as far as they have been computed.

    Attributes:
      graph: of the model.
      values: tensor index to what it holds, [samples, *the tensor's shape], in the
        tensor's own type.
    """

    def __init__(
        self,
        graph: Topology,
        samples: Sequence[Mapping[str, np.ndarray]],
        tables: MutableMapping[tuple, bytes] | None = None,
    ):
        """Begins with the inputs.

        Args:
          graph: of a model whose constants may be changed while it runs; its operators
            and their order may not.
          samples: each maps signature input names to arrays.
          tables: of the pieces that were written so far, which models share that differ
            in their constants' values and steps alone.
        """
        self.graph = graph
        self._tables = {} if tables is None else tables
        self._done = 0
        self.values = {
            index: quantized(graph.tensor(index), np.stack([sample[name] for sample in samples]))
            for name, index in signature_inputs(graph.model).items()
        }
        self._samples = len(samples)
        self._made_of_constants: set[int] = set()
        for operator in graph.subgraph.operators:
            if all(self._is_known(index) for index in operator.inputs):
                self._made_of_constants |= {int(index) for index in operator.outputs}
        self._waiting: list[schema.OperatorT] = []
        self._unpacking: list[schema.OperatorT] = []
        for operator in graph.subgraph.operators:
            unpacks = self._made_of_constants >= {int(index) for index in operator.outputs}
            (self._unpacking if unpacks else self._waiting).append(operator)
        self._readers = Counter(int(i) for op in self._waiting for i in op.inputs)
        # Outputs are read at the end.
        self._readers.update(graph.outputs)

    def _is_known(self, index: int) -> bool:
        index = int(index)
        # What nobody writes is a constant without elements.
        written = index in self.graph.inputs or index in self.graph.producer
        is_constant = index == -1 or not written or self.graph.is_constant(index)
        return is_constant or index in self._made_of_constants

    def is_computed(self, index: int) -> bool:
        """Says whether a tensor depends on the samples."""
        return not self._is_known(index)

    def hold(self, index: int) -> None:
        """Keeps a tensor's values until `release`."""
        self._readers[int(index)] += 1

    def release(self, index: int) -> None:
        """Forgets a tensor's values if nothing is to read them any more."""
        self._readers[int(index)] -= 1
        if self._readers[int(index)] <= 0:
            self.values.pop(int(index), None)

    def run_until(self, operator: schema.OperatorT) -> None:
        """Runs all operators before one, if it has not run yet."""
        places = [id(one) for one in self._waiting]
        if id(operator) in places:
            self._run(places.index(id(operator)))

    def run_through(self, operator: schema.OperatorT) -> None:
        """Runs all operators up to one, if it has not run yet."""
        places = [id(one) for one in self._waiting]
        if id(operator) in places:
            self._run(places.index(id(operator)) + 1)

    def run_all(self) -> list[np.ndarray | None]:
        """Runs what is left.

        Returns:
          The outputs, [samples, *shape] each, dequantized; None for one that is a constant or
          text.
        """
        self._run(len(self._waiting))
        return [
            None if self._is_known(index) or self._is_text(index) else self.real_values(index)
            for index in self.graph.subgraph.outputs
        ]

    def _is_text(self, index: int) -> bool:
        return self.graph.tensor(index).type == schema.TensorType.STRING

    def real_values(self, index: int) -> np.ndarray:
        """Gives a tensor's values in the float model's units, float32."""
        return dequantized(self.graph.tensor(index), self.values[int(index)])

    def _run(self, count: int) -> None:
        operators, self._waiting = self._waiting[:count], self._waiting[count:]
        if not operators:
            return
        read = {int(index) for operator in operators for index in operator.inputs}
        made = {int(index) for operator in operators for index in operator.outputs}
        inside = Counter(int(index) for operator in operators for index in operator.inputs)
        inputs = sorted(index for index in read - made if not self._is_known(index))
        outputs = sorted(index for index in made if self._readers[index] > inside[index])
        piece = self._piece(operators, inputs, outputs)
        key = (self._done, count, *outputs, _steps(piece))
        if key not in self._tables:
            self._tables[key] = runnable_tables(piece)
        content = with_constants(self._tables[key], piece)
        self._done += count
        interpreter = open_interpreter(content, self.graph.model.where)
        places = [details["index"] for details in interpreter.get_input_details()]
        results = [details["index"] for details in interpreter.get_output_details()]
        given = [(place, self.values[index]) for index, place in zip(inputs, places, strict=True)]
        found: dict[int, np.ndarray] = {}
        try:
            for number in range(self._samples):
                for place, values in given:
                    interpreter.set_tensor(place, values[number])
                interpreter.invoke()
                for index, place in zip(outputs, results, strict=True):
                    # Shapes may be known once it ran.
                    values = read_tensor(interpreter, place)
                    if number == 0:
                        found[index] = np.empty((self._samples, *values.shape), values.dtype)
                    found[index][number] = values
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                "model.runtime",
                f"{self.graph.model.where}: a part of the model cannot be run: {reason}",
            ) from None
        self.values |= found
        for operator in operators:
            for index in operator.inputs:
                if not self._is_known(index):
                    self.release(index)

    def _piece(self, operators: list, inputs: list[int], outputs: list[int]) -> TfliteModel:
        """Makes a model of some operators, and of those that unpack their constants."""
        needed, unpacking = {int(i) for op in operators for i in op.inputs}, []
        for operator in reversed(self._unpacking):
            if not needed.isdisjoint(int(index) for index in operator.outputs):
                needed |= {int(index) for index in operator.inputs}
                unpacking.append(operator)
        model, subgraph = schema.ModelT(), schema.SubGraphT()
        model.version = self.graph.model.schema.version
        model.operatorCodes = self.graph.model.schema.operatorCodes
        model.buffers, model.subgraphs = [schema.BufferT()], [subgraph]
        subgraph.tensors, subgraph.operators, places = [], [], {-1: -1}

        def place(index: int) -> int:
            index = int(index)
            if index not in places:
                tensor = copy.copy(self.graph.tensor(index))
                constant = self.graph.is_constant(index)
                if constant:
                    model.buffers.append(self.graph.model.schema.buffers[tensor.buffer])
                tensor.buffer = len(model.buffers) - 1 if constant else 0
                places[index] = len(subgraph.tensors)
                subgraph.tensors.append(tensor)
                blocks = tensor.quantization and tensor.quantization.details
                if isinstance(blocks, schema.BlockwiseQuantizationT):
                    # Steps of blocks stand in tensors of their own.
                    blocks, tensor.quantization = copy.copy(blocks), copy.copy(tensor.quantization)
                    tensor.quantization.details = blocks
                    blocks.scales = place(blocks.scales)
                    blocks.zeroPoints = place(blocks.zeroPoints)
            return places[index]

        for operator in [*unpacking[::-1], *operators]:
            own = copy.copy(operator)
            own.inputs = [place(index) for index in operator.inputs]
            own.outputs = [place(index) for index in operator.outputs]
            subgraph.operators.append(own)
        subgraph.inputs = [place(index) for index in inputs]
        subgraph.outputs = [place(index) for index in outputs]
        return TfliteModel(model, [], self.graph.model.where)


def _steps(model: TfliteModel) -> bytes:
    """Digests the steps of a model's tensors: they stand in its tables."""
    digest = hashlib.sha256()
    for tensor in model.schema.subgraphs[0].tensors:
        if tensor.quantization is not None and tensor.quantization.scale is not None:
            digest.update(np.asarray(tensor.quantization.scale, np.float32).tobytes())
    return digest.digest()


def dequantized(tensor: schema.TensorT, values: np.ndarray) -> np.ndarray:
    """Turns an activation's values into the float model's units.

    Args:
      tensor: float, quantized with one scale, or of whole numbers or bools, which stay as they
        are.
      values: of any shape, in the tensor's type.

    Returns:
      float32, in the same shape.
    """
    parameters = tensor.quantization
    if tensor.type == schema.TensorType.FLOAT32:
        return values
    if parameters is None or parameters.scale is None or not len(parameters.scale):
        return values.astype(np.float32)
    result = values.astype(np.float32)
    result -= np.float32(parameters.zeroPoint[0])
    result *= np.float32(parameters.scale[0])
    return result


def quantized(tensor: schema.TensorT, values: np.ndarray) -> np.ndarray:
    """Turns values in the float model's units into what a tensor holds.

    Args:
      tensor: float, or quantized with one scale.
      values: of any shape; integers are taken as they are.

    Returns:
      In the tensor's type, rounded and clipped, in the same shape.
    """
    dtype = _INTEGERS.get(tensor.type)
    if dtype is None or values.dtype.kind != "f":
        return values
    parameters, limits = tensor.quantization, np.iinfo(dtype)
    codes = np.round(values / np.float32(parameters.scale[0])) + parameters.zeroPoint[0]
    return np.clip(codes, limits.min, limits.max).astype(dtype)
