"""Command: compares a quantized model's answers in the machine's browser with the float model's."""

import argparse
import dataclasses
import os
import sys
from pathlib import Path

from tools.browser.browser_model import ACCELERATORS, BrowserModel, ModelFailedError
from tools.command_line import EXIT_GATE_FAILED, new_parser, output_path, run, user_path
from tools.documents.device_verdict import BrowserDevice, DeviceSpeed, DeviceVerdict
from tools.documents.document import write_document
from tools.documents.report import Similarity
from tools.documents.verdict import JudgedGate, Verdict
from tools.errors import InputError
from tools.float_master_flags import add_float_model_flags, float_master_of
from tools.progress import progress_bar
from tools.samples.flags import add_input_flags, preprocessing_choice
from tools.samples.loading import SampleSet
from tools.samples.spread import SpreadSamples
from tools.similarity.gate_flags import add_gate_flags, gates_of_flags

_EXAMPLES = """\
  validate_in_browser --float_model=face.tflite --quantized_model=face_int8.tflite \\
      --test_data=test_images/ --accelerator=gpu --tolerance=0.05
  validate_in_browser --float_model=hand.tflite --quantized_model=hand_int8.tflite \\
      --test_data=hands/ --task=hand.task.json --gates=hand.gates.json --output=verdict.json

The artifact runs in Chromium by LiteRT.js, the float model on this host. The gates are those of
validate_quantized_model on outputs and tasks. Exits with status 1 when the artifact is refused
there or beyond a gate, 2 when something cannot be used, 4 without a browser, 5 when it fails.
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "validate_in_browser",
        "Compares a quantized model in the machine's Chromium with the float model on this host.",
        _EXAMPLES,
    )
    add_float_model_flags(result, "--float_model", "a float .tflite")
    result.add_argument("--quantized_model", required=True, type=user_path, help="the artifact")
    result.add_argument(
        "--test_data",
        required=True,
        action="append",
        type=user_path,
        help="held-out data: a folder or file of images, .npy or .npz; may be given several times",
    )
    result.add_argument(
        "--accelerator",
        choices=sorted(ACCELERATORS),
        default="wasm",
        help="wasm: XNNPACK in WebAssembly; gpu: the GPU delegate by WebGPU, which SwiftShader "
        "computes (default: %(default)s)",
    )
    result.add_argument(
        "--most_samples",
        type=int,
        default=0,
        help="how many samples run at most, spread over the test data, where a run takes seconds; "
        "gates that all samples pass may be too narrow for a part (default: all)",
    )
    result.add_argument("--chromium", default="", help="the browser (default: the machine's)")
    result.add_argument("--device_name", default="browser", help="how the verdict names it")
    result.add_argument("--name", help="of the artifact (default: the file's)")
    result.add_argument("--task", type=user_path, help="JSON: how the outputs are decoded")
    add_input_flags(result)
    add_gate_flags(result)
    result.add_argument("--output", type=output_path, help="JSON file for the verdict")
    return result


def main(arguments: argparse.Namespace) -> int:
    from tools.browser.browser_model import open_in_browser
    from tools.browser.packages import packages_folder
    from tools.graph.flatbuffer import read_bytes
    from tools.samples.model_inputs import load_model_samples

    path = arguments.float_master or arguments.float_model
    master = float_master_of(read_bytes(path), str(path), bool(arguments.float_master))
    artifact = read_bytes(arguments.quantized_model)
    data = load_model_samples(
        master, str(path), arguments.test_data, preprocessing_choice(arguments)
    )
    most = arguments.most_samples
    if most < 0:
        raise InputError("flag.value", f"--most_samples={most}: give a number from 0; 0 is all")
    samples = SpreadSamples(data, most)
    where = f"{arguments.quantized_model} on {arguments.device_name}"
    packages = packages_folder()
    with open_in_browser(
        artifact, where, arguments.accelerator, packages, arguments.chromium
    ) as model:
        answers = _answers(arguments, master, model, data, samples)
        document = _document(arguments, (artifact, master), model, answers, len(data))
    output = _output(arguments)
    if output:
        write_document(output, document)
    _print(document)
    if document.passed:
        return 0
    where = str(output or "the tables above; --output= keeps them")
    print("\n".join(_refusal_lines(document, where)), file=sys.stderr)
    return EXIT_GATE_FAILED


@dataclasses.dataclass(frozen=True)
class _Answers:
    """What came of running both models.

    Attributes:
      similarity: None where the artifact gives no answers.
      speed: None where the device tells none.
      fault: why there are no answers; "" where there are.
    """

    similarity: Similarity | None = None
    speed: DeviceSpeed | None = None
    fault: str = ""


def _answers(
    arguments: argparse.Namespace,
    master: bytes,
    model: BrowserModel,
    data: SampleSet,
    samples: SpreadSamples,
) -> _Answers:
    """Runs the artifact in the browser and the float master on this host."""
    from tools.documents.json_file import read_json
    from tools.similarity.comparison import compare_outputs
    from tools.similarity.model_outputs import ModelOutputs, paired

    reference = ModelOutputs(master, str(arguments.float_master or arguments.float_model))
    as_jpeg = data.saved_as_jpeg()
    bar = progress_bar()
    try:
        similarity = compare_outputs(
            reference,
            model,
            samples,
            read_json(arguments.task) if arguments.task else None,
            lambda done: bar("comparing", done, len(samples)),
            SpreadSamples(as_jpeg, len(samples)) if as_jpeg else None,
        )
    except ModelFailedError:
        return _Answers(fault=model.fault)
    if arguments.accelerator == "gpu":
        return _Answers(similarity)
    names, _ = paired(reference, model)
    return _Answers(similarity, model.measure(master, names))


def _document(
    arguments: argparse.Namespace,
    files: tuple[bytes, bytes],
    model: BrowserModel,
    answers: _Answers,
    test_samples: int,
) -> DeviceVerdict:
    """Holds the answers to the gates; `files` are the artifact and the float master."""
    from tools.browser.packages import litertjs_version, packages_folder
    from tools.similarity.comparison import file_identity, needed_runtime
    from tools.similarity.gates import Evidence, answers_alone, check_gates

    artifact, master = files
    name = arguments.name or arguments.quantized_model.stem
    similarity = answers.similarity
    gates: tuple[JudgedGate, ...] = ()
    if similarity:
        evidence = Evidence(
            name=name,
            bytes=len(artifact),
            source_bytes=None,
            reduction=1 - len(artifact) / len(master),
            similarity=similarity,
            min_runtime=needed_runtime(artifact, str(arguments.quantized_model)),
        )
        wanted = answers_alone(gates_of_flags(arguments), similarity.samples / test_samples)
        gates = check_gates(evidence, wanted, str(arguments.gates or "the gates")).gates
    return DeviceVerdict(
        artifact=file_identity(artifact),
        device=BrowserDevice(
            accelerator=arguments.accelerator,
            adapter=model.adapter,
            browser=model.browser,
            name=arguments.device_name,
            runtime=f"LiteRT.js {litertjs_version(packages_folder())}",
        ),
        fault=answers.fault,
        float_master=file_identity(master),
        gates=gates,
        name=name,
        passed=similarity is not None and all(gate.passed for gate in gates),
        similarity=similarity,
        speed=answers.speed,
        taken="refused" if model.refusal else "whole" if model.whole else "partly",
        test_samples=test_samples,
    )


def _print(document: DeviceVerdict) -> None:
    from tools.similarity.gates import table_lines

    device, similarity, speed = document.device, document.similarity, document.speed
    by = f"{device.accelerator}, {device.adapter}" if device.adapter else device.accelerator
    taken = {
        "partly": "in part; the rest runs on the CPU",
        "refused": f"refused: {document.fault}",
        "whole": "whole",
    }[document.taken]
    rows = [
        ("device", f"{device.name}: {device.browser}, {device.runtime}, {by}"),
        ("taken", taken),
    ]
    if similarity:
        worst = min(similarity.outputs, key=lambda output: output.cosine_mean)
        rows.append(
            (
                "similarity",
                f"mean cosine {worst.cosine_mean:.4f} of {worst.name}, the worst output, on "
                f"{similarity.samples} of {document.test_samples} test samples",
            )
        )
    elif document.taken != "refused":
        rows.append(("similarity", f"none: {document.fault}"))
    if speed:
        rows.append(
            (
                "speed",
                f"{speed.speedup:.2f} times the float model's there, {speed.artifact_ms:.2f} ms "
                f"against {speed.float_master_ms:.2f} ms",
            )
        )
    elif device.accelerator == "gpu":
        rows.append(("speed", "none is told: SwiftShader computes in place of a GPU"))
    for title, text in rows:
        print(f"{title:10}  {text}")
    if similarity:
        print("\n".join(table_lines(_verdict(document))))


def _verdict(document: DeviceVerdict) -> Verdict:
    """Gives the gates as those that tell of them take them."""
    name = f"{document.name} on {document.device.name}"
    return Verdict(document.gates, name, document.passed)


def _refusal_lines(document: DeviceVerdict, where: str) -> list[str]:
    """Says why the artifact does not pass on the device."""
    from tools.similarity.gates import failure_lines

    if document.similarity:
        return failure_lines(_verdict(document), where)
    device = document.device.name
    what = f"{device} refuses it" if document.taken == "refused" else f"no answers on {device}"
    return [f"{document.name}: {what}: {document.fault}"]


def _output(arguments: argparse.Namespace) -> Path | None:
    folder = os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR")
    if arguments.output or not folder:
        return arguments.output
    return Path(folder, "device_verdict.json")


if __name__ == "__main__":
    run(parser(), main)
