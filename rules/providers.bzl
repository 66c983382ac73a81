"""What the rules hand to each other, and to rules of your own."""

FloatModelInfo = provider(
    doc = "A float model, ready to be quantized.",
    fields = {
        "model": "File: the float master, an fp32 .tflite with one signature.",
        "original": "File: the .tflite that the master was made from.",
        "preprocessing": "struct(mean, std, resize), all strings: how an image becomes an " +
                         "input; an empty mean or std is as the model's metadata says.",
        "summary": "File: JSON, what was changed to make the master.",
        "task": "File or None: JSON, how the outputs are decoded: a task, or a list of them.",
    },
)

QuantizedModelInfo = provider(
    doc = "A quantized artifact, with what is known about it.",
    fields = {
        "float_model": "FloatModelInfo of the model that it was made from.",
        "gate_table": "File: text, a line for each gate: value, limit, whether it passed.",
        "gates": "File: JSON, the thresholds that it is held to.",
        "layers": "struct(document, page, table) of Files: JSON, HTML and text, error by layer.",
        "model": "File: the quantized .tflite.",
        "recipe": "File: the recipe that was applied, in litert-quantizer's JSON form.",
        "refusal": "File: text, why the artifact is refused; empty when all gates passed.",
        "report": "File: JSON, size, similarity, operators and lineage.",
        "scheme": "string: the quantization scheme, such as int8; settings, where a file says it.",
        "validation": "File without content, which is made only when all gates passed.",
        "verdict": "File: JSON, the gates and their values, and whether all passed.",
        "version": "string: the version that the BUILD file gives to the artifact.",
    },
)
