"""Compares a model's answers on a device with the float model's on this host, for commands."""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tools.command_line import EXIT_GATE_FAILED, output_path, user_path
from tools.devices.device_model import DeviceModel, ModelFailedError
from tools.documents.device_verdict import DeviceSpeed, DeviceVerdict
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

# Opens a whole .tflite file, which messages call by the second argument, on a device.
OpenModel = Callable[[bytes, str], AbstractContextManager[DeviceModel]]


def add_device_flags(result: argparse.ArgumentParser, device_name: str) -> None:
    """Adds the flags that all devices have.

    Args:
      result: the parser of a command.
      device_name: how a verdict names the device unless a flag does.
    """
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
        "--most_samples",
        type=int,
        default=0,
        help="how many samples run at most, spread over the test data, where a run takes seconds; "
        "gates that all samples pass may be too narrow for a part (default: all)",
    )
    result.add_argument("--device_name", default=device_name, help="how the verdict names it")
    result.add_argument("--name", help="of the artifact (default: the file's)")
    result.add_argument("--task", type=user_path, help="JSON: how the outputs are decoded")
    add_input_flags(result)
    add_gate_flags(result)
    result.add_argument("--output", type=output_path, help="JSON file for the verdict")


def validate(arguments: argparse.Namespace, open_model: OpenModel) -> int:
    """Runs an artifact on a device, holds its answers to the gates, and says what came of it.

    Args:
      arguments: of a parser with `add_device_flags`.
      open_model: opens the artifact on the device.

    Returns:
      The exit status.

    Raises:
      InputError: when something that was given cannot be used.
      NoDeviceError: when there is no device.
      DeviceFailedError: when it fails.
    """
    from tools.graph.flatbuffer import read_bytes
    from tools.samples.model_inputs import load_model_samples

    path = arguments.float_master or arguments.float_model
    master = float_master_of(read_bytes(path), str(path), bool(arguments.float_master))
    artifact = read_bytes(arguments.quantized_model)
    data = load_model_samples(
        master,
        str(path),
        arguments.test_data,
        preprocessing_choice(arguments),
        named_by_folder=True,
    )
    most = arguments.most_samples
    if most < 0:
        raise InputError("flag.value", f"--most_samples={most}: give a number from 0; 0 is all")
    samples = SpreadSamples(data, most)
    where = f"{arguments.quantized_model} on {arguments.device_name}"
    with open_model(artifact, where) as model:
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
    model: DeviceModel,
    data: SampleSet,
    samples: SpreadSamples,
) -> _Answers:
    """Runs the artifact on the device and the float master on this host."""
    from tools.documents.json_file import read_json
    from tools.similarity.comparison import compare_outputs
    from tools.similarity.model_outputs import ModelOutputs, paired

    reference = ModelOutputs(master, str(arguments.float_master or arguments.float_model))
    names, _ = paired(reference, model)
    model.announce({theirs: one[ours] for theirs, ours in names.items()} for one in samples)
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
    return _Answers(similarity, model.measure(master, names))


def _document(
    arguments: argparse.Namespace,
    files: tuple[bytes, bytes],
    model: DeviceModel,
    answers: _Answers,
    test_samples: int,
) -> DeviceVerdict:
    """Holds the answers to the gates; `files` are the artifact and the float master."""
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
        device=model.describe_device(arguments.device_name),
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
        ("device", f"{device.name}: {device.program}, {device.runtime}, {by}"),
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
    elif similarity:
        hardware = "a GPU" if device.accelerator == "gpu" else "the processor"
        rows.append(("speed", f"none is told: {device.adapter} computes in place of {hardware}"))
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
