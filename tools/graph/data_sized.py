"""Finds the tensors whose size depends on values, and not on the sizes of the model's inputs.

How many boxes are above a threshold, how many different numbers there are: a file cannot state
it, and a float model and its artifact may differ in it by a value that lies near the threshold.
"""

from ai_edge_litert import schema_py_generated as schema

from tools.graph.topology import Topology

# What gives as many entries as its values ask for.
_COUNTING = frozenset({"UNIQUE", "WHERE"})
# The inputs that say what shape an operator's result has.
SHAPED_BY = {
    "BROADCAST_TO": (1,),
    "FILL": (0,),
    "ONE_HOT": (1,),
    "PAD": (1,),
    "PADV2": (1,),
    "RANDOM_STANDARD_NORMAL": (0,),
    "RANDOM_UNIFORM": (0,),
    "RANGE": (0, 1, 2),
    "RESHAPE": (1,),
    "RESIZE_BILINEAR": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "SCATTER_ND": (2,),
    "SEGMENT_SUM": (1,),
    "SLICE": (2,),
    "SPARSE_TO_DENSE": (1,),
    "SPLIT_V": (1,),
    "STRIDED_SLICE": (1, 2, 3),
    "TILE": (1,),
    "TOPK_V2": (1,),
    "TRANSPOSE_CONV": (0,),
    "UNSORTED_SEGMENT_MAX": (2,),
    "UNSORTED_SEGMENT_MIN": (2,),
    "UNSORTED_SEGMENT_PROD": (2,),
    "UNSORTED_SEGMENT_SUM": (2,),
}
# These give a tensor's sizes: their values are known once the inputs' sizes are.
_SIZES = frozenset({"RANK", "SHAPE"})


class _Values:
    """What depends on values.

    Attributes:
      tensors: indices of those whose size does.
    """

    def __init__(self, graph: Topology):
        """Follows values from the inputs, in the operators' order.

        Args:
          graph: of a model, or of another of its subgraphs.
        """
        self.tensors: set[int] = set()
        # Tensors whose values are not known when the sizes of the inputs are.
        self._varying = set(graph.inputs)
        for operator in graph.subgraph.operators:
            self._follow(graph, operator)

    def _follow(self, graph: Topology, operator: schema.OperatorT) -> None:
        name = graph.name(operator)
        inputs = [int(index) for index in operator.inputs if index != -1]
        results = [int(index) for index in operator.outputs]
        is_sized = any(index in self.tensors for index in inputs)
        if name in _SIZES:
            if is_sized:
                self._varying.update(results)
            return
        # One without an input reads what an earlier run left, or draws numbers.
        if not inputs or any(index in self._varying for index in inputs):
            self._varying.update(results)
        if name == "RESHAPE" and self._is_stated(graph, operator):
            is_sized = False
        places = SHAPED_BY.get(name, ())
        shapes = [int(operator.inputs[place]) for place in places if place < len(operator.inputs)]
        asked = name in _COUNTING or any(index in self._varying for index in shapes)
        if is_sized or asked:
            self.tensors.update(results)
            self._varying.update(results)

    def _is_stated(self, graph: Topology, operator: schema.OperatorT) -> bool:
        """Says whether a RESHAPE gives a size that stands in the file."""
        if len(operator.inputs) < 2 or not graph.is_constant(operator.inputs[1]):
            return False
        sizes = graph.model.tensor_data(graph.tensor(operator.inputs[1]))
        return sizes is not None and bool((sizes >= 0).all())


def data_sized(graph: Topology) -> frozenset[int]:
    """Finds them.

    Args:
      graph: of a model.

    Returns:
      Indices of the tensors whose size depends on values.
    """
    return frozenset(_Values(graph).tensors)
