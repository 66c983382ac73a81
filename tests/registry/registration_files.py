"""The files of a registration, in the form that the tools write them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from registry.record import SourceFiles
from tools.documents.device_verdict import Device, DeviceSpeed, DeviceVerdict
from tools.documents.document import D, read_document, write_document
from tools.documents.latency import Latency, Speed
from tools.documents.models import FileIdentity, ModelDescription, RecipeIdentity
from tools.documents.report import Report, SizeReduction
from tools.documents.verdict import JudgedGate, Verdict

_DOCUMENTS = Path(__file__).parent / "documents"
_SOURCE = b"an fp16 model" * 2
_RECIPE = json.dumps([{"regex": ".*", "operation": "CONV_2D"}], indent=2) + "\n"


def written(name: str, kind: type[D]) -> D:
    """Reads a document as a tool wrote it: report, verdict or latency of a real model."""
    return read_document(_DOCUMENTS / name, kind)


@dataclass(frozen=True)
class _Artifact:
    """What is registered.

    Attributes:
      artifact: bytes of the quantized model.
      master: bytes of the float master.
      outputs: names of the models' outputs.
      p50_ms: median latency of the artifact in milliseconds.
      cosine: mean cosine of the first output; each further one has 0.01 less.
      passed: what the verdict says.
      latency_passed: what the latency's one gate says.
      report_changes: fields that replace the report's own.
    """

    artifact: bytes = b"an int8 model"
    master: bytes = b"a float model" * 4
    outputs: tuple[str, ...] = ("regressors", "classificators")
    p50_ms: float = 2.0
    cosine: float = 0.99
    passed: bool = True
    latency_passed: bool = True
    report_changes: Mapping[str, Any] = field(default_factory=dict)


def write_files(folder: Path, **changes: Any) -> SourceFiles:
    """Writes a set of files that agree with each other.

    Args:
      folder: where; it is made.
      **changes: what is registered, where it is not the usual: fields of `_Artifact`.

    Returns:
      Their paths.
    """
    what = _Artifact(**changes)
    folder.mkdir(parents=True, exist_ok=True)
    files = SourceFiles(
        report=folder / "report.json",
        model=folder / "face_int8.tflite",
        recipe=folder / "recipe.json",
        float_model=folder / "face.tflite",
        source_model=folder / "original.tflite",
        latency=folder / "latency.json",
        verdict=folder / "verdict.json",
    )
    files.model.write_bytes(what.artifact)
    files.float_model.write_bytes(what.master)
    files.source_model.write_bytes(_SOURCE)
    files.recipe.write_text(_RECIPE)
    write_document(files.report, _report(what))
    write_document(files.latency, _latency(what))
    write_document(files.verdict, _verdict(what))
    return files


def _report(what: _Artifact) -> Report:
    report = written("face_int8.report.json", Report)

    def described(model: ModelDescription, content: bytes) -> ModelDescription:
        output = model.outputs[0]
        return replace(
            model,
            bytes=len(content),
            outputs=tuple(replace(output, name=name) for name in what.outputs),
            sha256=_sha256(content),
        )

    figures = [
        replace(report.similarity.outputs[0], name=name, cosine_mean=what.cosine - 0.01 * number)
        for number, name in enumerate(what.outputs)
    ]
    # What an output without an error has.
    figures[-1] = replace(figures[-1], sqnr_db=None)
    report = replace(
        report,
        artifact=described(report.artifact, what.artifact),
        float_master=described(report.float_master, what.master),
        recipe=RecipeIdentity(entries=1, sha256=_sha256(_RECIPE.encode())),
        similarity=replace(report.similarity, outputs=tuple(figures)),
        size=SizeReduction(
            reduction=1 - len(what.artifact) / len(what.master),
            reduction_vs_source=1 - len(what.artifact) / len(_SOURCE),
        ),
        source=FileIdentity(bytes=len(_SOURCE), sha256=_sha256(_SOURCE)),
    )
    return replace(report, **what.report_changes)


def _latency(what: _Artifact) -> Latency:
    latency = written("face_int8.latency.json", Latency)

    def measured(speed: Speed, content: bytes, p50_ms: float) -> Speed:
        figures = {"p50_ms": p50_ms, "p90_ms": p50_ms * 1.25, "fps": 1000 / p50_ms}
        return replace(speed, sha256=_sha256(content), **figures)

    (gate,) = (gate for gate in latency.gates if gate.name == "min_fps")
    verdict = "PASS" if what.latency_passed else "FAIL"
    judged = {"passed": what.latency_passed, "verdict": verdict}
    return replace(
        latency,
        artifact=measured(latency.artifact, what.artifact, what.p50_ms),
        float_master=measured(latency.float_master, what.master, 3.0),
        gates=(replace(gate, value=1000 / what.p50_ms, threshold=200, **judged),),
        speedup=3.0 / what.p50_ms,
        speedup_low=2.9 / what.p50_ms,
        speedup_high=3.1 / what.p50_ms,
        **judged,
    )


def _verdict(what: _Artifact) -> Verdict:
    verdict = written("face_int8.verdict.json", Verdict)
    if what.passed:
        return verdict
    gates = tuple(
        replace(gate, passed=False, value=0.04) if gate.name == "max_score_error" else gate
        for gate in verdict.gates
    )
    return replace(verdict, gates=gates, passed=False)


def write_device_verdict(
    files: SourceFiles, device: str, accelerator: str = "wasm", **changes: Any
) -> Path:
    """Writes what a browser says of the artifact of files that `write_files` wrote.

    Args:
      files: of the artifact and its float master.
      device: name of the browser's device.
      accelerator: "wasm", which tells a speed, or "gpu".
      **changes: fields of the document in place of the usual, and `cosine`: the mean cosine of
        the first output there.

    Returns:
      The file's path.
    """
    report = read_document(files.report, Report)
    first, *others = report.similarity.outputs
    first = replace(first, cosine_mean=changes.pop("cosine", first.cosine_mean))
    gpu = accelerator == "gpu"
    verdict = DeviceVerdict(
        artifact=FileIdentity(bytes=report.artifact.bytes, sha256=report.artifact.sha256),
        device=Device(
            accelerator=accelerator,
            adapter="google swiftshader" if gpu else "",
            name=device,
            program="Chromium 156.0.8078.108",
            runtime="LiteRT.js 2.5.3",
        ),
        fault="",
        float_master=FileIdentity(
            bytes=report.float_master.bytes, sha256=report.float_master.sha256
        ),
        gates=(JudgedGate("min_cosine", True, 0.9, first.cosine_mean, output=first.name),),
        name=report.name,
        passed=True,
        similarity=replace(report.similarity, layers=None, outputs=(first, *others)),
        speed=None if gpu else DeviceSpeed(4.0, 5.0, 1.25),
        taken="whole",
        test_samples=report.similarity.samples,
    )
    path = files.report.with_name(f"{device}.device_verdict.json")
    write_document(path, replace(verdict, **changes))
    return path


REFUSED: Mapping[str, Any] = {
    "fault": "Shape mismatch",
    "gates": (),
    "passed": False,
    "similarity": None,
    "speed": None,
    "taken": "refused",
}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def flags(files: SourceFiles, registered_model: str = "face") -> list[str]:
    """Gives the flags with which the register command reads the files."""
    given = [
        f"--report={files.report}",
        f"--model={files.model}",
        f"--recipe={files.recipe}",
        f"--float_model={files.float_model}",
        f"--source_model={files.source_model}",
        f"--latency={files.latency}",
        f"--verdict={files.verdict}",
        f"--registered_model={registered_model}",
        "--target=//models:face_int8",
        "--bazel_version=7.7.1",
    ]
    return given
