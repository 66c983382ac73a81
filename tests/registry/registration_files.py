"""The files of a registration, in the form that the tools write them."""

import hashlib
import json
from pathlib import Path
from typing import Any

from registry.record import SourceFiles

_DOCUMENTS = Path(__file__).parent / "documents"


def written(name: str) -> dict[str, Any]:
    """Reads a document as a tool wrote it: report, verdict or latency of a real model."""
    return json.loads((_DOCUMENTS / name).read_text(encoding="utf-8"))


def write_files(
    folder: Path,
    artifact: bytes = b"an int8 model",
    master: bytes = b"a float model" * 4,
    outputs: tuple[str, ...] = ("regressors", "classificators"),
    p50_ms: float = 2.0,
    cosine: float = 0.99,
    passed: bool = True,
    latency_passed: bool = True,
    report_changes: dict[str, Any] | None = None,
) -> SourceFiles:
    """Writes a set of files that agree with each other.

    Args:
      folder: where; it is made.
      artifact: bytes of the quantized model.
      master: bytes of the float master.
      outputs: names of the models' outputs.
      p50_ms: median latency of the artifact in milliseconds.
      cosine: mean cosine of the first output; each further one has 0.01 less.
      passed: what the verdict says.
      latency_passed: what the latency's one gate says.
      report_changes: entries that replace the report's own.

    Returns:
      Their paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = b"an fp16 model" * 2
    recipe = json.dumps([{"regex": ".*", "operation": "CONV_2D"}], indent=2) + "\n"
    report = written("face_int8.report.json")
    for name, content in (("artifact", artifact), ("float_master", master), ("source", source)):
        report[name] |= _identity(content)
    for model in (report["artifact"], report["float_master"]):
        model["outputs"] = [{**model["outputs"][0], "name": name} for name in outputs]
    report["recipe"]["sha256"] = _sha256(recipe.encode())
    report["size"] = {
        "reduction": 1 - len(artifact) / len(master),
        "reduction_vs_source": 1 - len(artifact) / len(source),
    }
    measured = report["similarity"]["outputs"][0]
    report["similarity"]["outputs"] = [
        {**measured, "name": name, "cosine_mean": cosine - 0.01 * number}
        for number, name in enumerate(outputs)
    ]
    # What an output without an error has.
    report["similarity"]["outputs"][-1]["sqnr_db"] = None
    report.update(report_changes or {})
    latency = written("face_int8.latency.json")
    for name, content, p50 in (("artifact", artifact, p50_ms), ("float_master", master, 3.0)):
        latency[name] |= {
            "sha256": _sha256(content),
            "p50_ms": p50,
            "p90_ms": p50 * 1.25,
            "fps": 1000 / p50,
        }
    latency["speedup"] = 3.0 / p50_ms
    latency["speedup_low"], latency["speedup_high"] = 2.9 / p50_ms, 3.1 / p50_ms
    latency["gates"] = [gate for gate in latency["gates"] if gate["name"] == "min_fps"]
    latency["gates"][0] |= {"value": 1000 / p50_ms, "threshold": 200, "passed": latency_passed}
    latency["passed"] = latency_passed
    for judged in (latency, latency["gates"][0]):
        judged["verdict"] = "PASS" if latency_passed else "FAIL"
    verdict = written("face_int8.verdict.json")
    if not passed:
        verdict["passed"] = False
        gate = next(gate for gate in verdict["gates"] if gate["name"] == "max_score_error")
        gate |= {"passed": False, "value": 0.04}
    files = SourceFiles(
        report=folder / "report.json",
        model=folder / "face_int8.tflite",
        recipe=folder / "recipe.json",
        float_model=folder / "face.tflite",
        source_model=folder / "original.tflite",
        latency=folder / "latency.json",
        verdict=folder / "verdict.json",
    )
    files.model.write_bytes(artifact)
    files.float_model.write_bytes(master)
    files.source_model.write_bytes(source)
    files.recipe.write_text(recipe)
    for path, content in (
        (files.report, report),
        (files.latency, latency),
        (files.verdict, verdict),
    ):
        path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    return files


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _identity(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": _sha256(content)}


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
