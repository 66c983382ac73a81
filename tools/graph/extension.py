"""Adds tensors, constants, operator codes and operators to a subgraph."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import TfliteModel, tensor_name

_TYPES = {
    "float16": schema.TensorType.FLOAT16,
    "float32": schema.TensorType.FLOAT32,
    "int32": schema.TensorType.INT32,
    "int8": schema.TensorType.INT8,
}


class GraphExtension:
    """What is added to one subgraph of a model.

    Operator codes are added once for each name and version. Operators are made, not placed:
    the caller puts them where they are to run.
    """

    def __init__(self, model: TfliteModel, subgraph: schema.SubGraphT):
        self._model, self._subgraph = model, subgraph
        self._codes: dict[tuple[str, int], int] = {}

    def operator_code(self, name: str, version: int = 1) -> int:
        """Gives the index of an operator's code.

        Args:
          name: of a built-in operator, such as "RESHAPE".
          version: the operator's own.
        """
        if (name, version) not in self._codes:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, name)
            code.deprecatedBuiltinCode = min(
                code.builtinCode, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES
            )
            code.version = version
            self._codes[name, version] = len(self._model.schema.operatorCodes)
            self._model.schema.operatorCodes.append(code)
        return self._codes[name, version]

    def activation(
        self, name: str, shape: Iterable[int], kind: int = schema.TensorType.FLOAT32
    ) -> int:
        """Adds a tensor that an operator writes.

        Returns:
          Its index.
        """
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.buffer = name, kind, 0
        tensor.shape = np.array(list(shape), np.int32)
        return self._added(tensor)

    def constant(self, name: str, values: np.ndarray) -> int:
        """Adds a constant.

        Args:
          name: the tensor's.
          values: of float16, float32, int32 or int8.

        Returns:
          Its index.
        """
        tensor = schema.TensorT()
        tensor.name, tensor.type = name, _TYPES[values.dtype.name]
        tensor.shape = np.array(values.shape, np.int32)
        tensor.buffer = self._model.add_constant(values)
        return self._added(tensor)

    def copied(
        self,
        index: int,
        suffix: str = "",
        values: np.ndarray | None = None,
        kind: int | None = None,
    ) -> int:
        """Adds a tensor of the same shape and quantization as another.

        Args:
          index: the other's.
          suffix: what its name has behind the other's.
          values: what it holds, in the form in which its type is stored; without them an
            operator writes it.
          kind: its type, one of the schema's TensorType; without it, the other's.

        Returns:
          Its index.
        """
        tensor = copy.copy(self.tensor(index))
        tensor.name = tensor_name(tensor) + suffix
        tensor.buffer = 0 if values is None else self._model.add_constant(values)
        tensor.type = tensor.type if kind is None else kind
        return self._added(tensor)

    def _added(self, tensor: schema.TensorT) -> int:
        self._subgraph.tensors.append(tensor)
        return len(self._subgraph.tensors) - 1

    def tensor(self, index: int) -> schema.TensorT:
        """Gives a tensor of the subgraph."""
        return self._subgraph.tensors[index]

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Any = None,
        version: int = 1,
    ) -> schema.OperatorT:
        """Makes an operator.

        Args:
          name: of a built-in operator.
          inputs: tensors' indices; -1 for one that is left out.
          outputs: tensors' indices.
          options: as `rewrite`.
          version: the operator's own.
        """
        return self.rewrite(schema.OperatorT(), name, inputs, outputs, options, version)

    def rewrite(
        self,
        operator: schema.OperatorT,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Any = None,
        version: int = 1,
    ) -> schema.OperatorT:
        """Makes an operator another one.

        Args:
          operator: changed in place.
          name: as `operator`, like the arguments that follow.
          inputs: tensors' indices.
          outputs: tensors' indices.
          options: a table of built-in options such as `ReshapeOptionsT`; None for an operator
            without any.
          version: the operator's own.

        Returns:
          The operator.
        """
        operator.opcodeIndex = self.operator_code(name, version)
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        operator.builtinOptions = options
        kind = "NONE" if options is None else type(options).__name__.removesuffix("T")
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        return operator
