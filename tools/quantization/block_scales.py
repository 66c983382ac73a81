"""Pass: gives every block of weights a scale that the runtime takes.

The library stores the scales of blockwise weights as float16: the largest magnitude in
the block over 7. Where a block's weights are all nearly zero that comes out as 0, which
the delegate refuses for the whole model. Such a block gets the least normal float16
(2^-14) as its scale and zeros as its weights: what it stood for, weights under
7 * 2^-25, becomes zero.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import TfliteModel

_LEAST_SCALE = np.float16(2**-14)


def mend_block_scales(model: TfliteModel) -> dict:
    """Replaces scales of zero.

    Args:
      model: a quantized model; changed in place.

    Returns:
      The report's entry: {"name", "changed", "detail"}; `changed` counts blocks.
    """
    changed = 0
    for subgraph in model.schema.subgraphs:
        for tensor in subgraph.tensors:
            details = tensor.quantization and tensor.quantization.details
            if not isinstance(details, schema.BlockwiseQuantizationT):
                continue
            scale_tensor = subgraph.tensors[details.scales]
            scales = model.constant(scale_tensor).reshape(-1).copy()
            zero = scales == 0
            if not zero.any():
                continue
            packed = np.array(model.schema.buffers[tensor.buffer].data, np.uint8)
            # Two weights of four bits a byte, the blocks of a row one after another.
            blocks = packed.reshape(scales.size, -1)
            blocks[zero] = 0
            scales[zero] = _LEAST_SCALE
            scale_tensor.buffer = model.add_constant(scales)
            tensor.buffer = model.add_constant(packed)
            changed += int(zero.sum())
    return {
        "changed": changed,
        "detail": f"{changed} blocks of weights had a scale of zero",
        "name": "block_scales",
    }
