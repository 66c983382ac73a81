"""Runs models on a device with its own Python, which has numpy and ai_edge_litert.

A device's Python reads this from its standard input, with a call of `answer` after it, and prints
what comes of it in one line. So nothing of this project has to be installed there.
"""

import base64
import importlib.metadata
import io
import json
import os
import platform
import statistics
import time

# What the line of the answer begins with; a login there may print lines of its own.
ANSWER = "rules_quantize answers: "


def _opened(content):
    """Opens a model, on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def _set(interpreter, values):
    """Sets the inputs, in the model's order."""
    for details, one in zip(interpreter.get_input_details(), values, strict=True):
        interpreter.set_tensor(details["index"], one)


def _outputs(content, samples, reopens):
    """Runs samples, each as the first that the model sees; gives the outputs of each."""
    interpreter = _opened(content)
    found = []
    for number, values in enumerate(samples):
        if number and reopens:
            interpreter = _opened(content)
        elif number:
            interpreter.reset_all_variables()
        _set(interpreter, values)
        interpreter.invoke()
        details = interpreter.get_output_details()
        found.append([interpreter.get_tensor(one["index"]) for one in details])
    return found


def _median_ms(interpreter, seconds):
    """Runs a model for some seconds, once at least; gives the median of the milliseconds."""
    took = []
    end = time.perf_counter() + seconds
    while not took or time.perf_counter() < end:
        start = time.perf_counter()
        interpreter.invoke()
        took.append(1000 * (time.perf_counter() - start))
    return statistics.median(took)


def _rounds(models, rounds, seconds):
    """Measures models in turns, after a round that is not counted."""
    interpreters = []
    for content, values in models:
        interpreters.append(_opened(content))
        _set(interpreters[-1], values)
    found = [[_median_ms(one, seconds) for one in interpreters] for _ in range(rounds + 1)]
    return [list(medians) for medians in zip(*found[1:], strict=True)]


def answer(question):
    """Prints what running models gives.

    Args:
      question: base64 of an .npz file. "order" in it is JSON: how many `samples` of how many
        `inputs`, whether each `reopens` the model, and of how many `rounds` of how many
        `seconds` a measurement is. "model" and "master" are files, "SAMPLE_INPUT" values;
        "master_INPUT" are the float master's.

    The line that is printed has an .npz file in base64 as well: "said" is JSON with what runs
    the models, why the model is refused, and a measurement's `medians`; "SAMPLE_OUTPUT" are
    values.
    """
    import numpy as np

    given = np.load(io.BytesIO(base64.b64decode(question)))
    order = json.loads(given["order"].tobytes())
    samples = [
        [given[f"{sample}_{number}"] for number in range(order["inputs"])]
        for sample in range(order["samples"])
    ]
    said = {
        "emulator": os.environ.get("RULES_QUANTIZE_EMULATOR", ""),
        "program": f"Python {platform.python_version()} on {platform.system()} "
        f"{platform.machine()}",
        "refusal": "",
        "runtime": "LiteRT " + importlib.metadata.version("ai-edge-litert"),
    }
    arrays = {}
    model = given["model"].tobytes()
    try:
        if order["rounds"]:
            master = [given[f"master_{number}"] for number in range(order["inputs"])]
            models = [(model, samples[-1]), (given["master"].tobytes(), master)]
            said["medians"] = _rounds(models, order["rounds"], order["seconds"])
        else:
            for sample, outputs in enumerate(_outputs(model, samples, order["reopens"])):
                for number, values in enumerate(outputs):
                    arrays[f"{sample}_{number}"] = values
    except (RuntimeError, ValueError) as error:
        said["refusal"] = " ".join(str(error).split()) or type(error).__name__
        arrays = {}
    arrays["said"] = np.frombuffer(json.dumps(said).encode(), np.uint8)
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    print(ANSWER + base64.b64encode(file.getvalue()).decode(), flush=True)
