"""The files of a registration, in the form that the tools write them."""

import hashlib
import json
from pathlib import Path
from typing import Any

from registry.record import SourceFiles

_IMAGE = {"name": "image", "shape": [1, 16, 16, 3], "dtype": "float32"}


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
    tensors = [{"name": name, "shape": [1, 896, 16], "dtype": "float32"} for name in outputs]
    recipe = json.dumps([{"regex": ".*", "operation": "CONV_2D"}], indent=2) + "\n"

    def model(content: bytes) -> dict[str, Any]:
        return {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "ops": {"CONV_2D": 21},
            "inputs": [_IMAGE],
            "outputs": tensors,
        }

    def speed(content: bytes, p50: float) -> dict[str, Any]:
        return {
            "sha256": hashlib.sha256(content).hexdigest(),
            "p50_ms": p50,
            "p90_ms": p50 * 1.25,
            "fps": 1000 / p50,
        }

    report = {
        "schema_version": 1,
        "kind": "rules_quantize.report",
        "name": "face_int8",
        "version": "1.0.0",
        "scheme": "int8",
        "artifact": model(artifact),
        "float_master": model(master),
        "source": {"sha256": hashlib.sha256(source).hexdigest(), "bytes": len(source)},
        "size": {"reduction": 0.75, "reduction_vs_source": 0.5},
        "similarity": {
            "samples": 120,
            "outputs": [
                {
                    "name": name,
                    "shape": [1, 896, 16],
                    "cosine_mean": cosine - 0.01 * number,
                    "cosine_min": 0.95,
                    "worst_sample": "faces/003.png",
                    "max_abs_error": 3.5,
                    "mean_abs_error": 0.25,
                    "sqnr_db": 21.5 if number == 0 else None,
                }
                for number, name in enumerate(outputs)
            ],
            "task": {
                "type": "detection",
                "positives": 100,
                "negatives": 20,
                "score_error_mean": 0.005,
                "score_error_max": 0.02,
                "box_error_px_mean": 0.25,
                "box_error_px_max": 0.75,
                "precision": 1.0,
                "recall": 1.0,
            },
        },
        "data": {
            "calibration": {"digest": "c" * 64, "samples": 200, "files": 200},
            "test": {"digest": "d" * 64, "samples": 120, "files": 120},
        },
        "recipe": {"sha256": hashlib.sha256(recipe.encode()).hexdigest(), "entries": 1},
        "passes": [{"name": "fuse_relu", "changed": 16, "detail": "RELU into CONV_2D"}],
        "float_tensors": [{"name": "head", "reason": "output head"}],
        "tools": {"litert-quantizer": "0.11.0"},
    }
    report.update(report_changes or {})
    latency = {
        "schema_version": 1,
        "kind": "rules_quantize.latency",
        "device": {
            "name": "host",
            "backend": "host",
            "cpu": "a processor",
            "cores": 2,
            "pinned_cpus": [0],
            "threads": 1,
            "runtime": "ai-edge-litert 2.3.0, XNNPACK",
        },
        "rounds": 9,
        "invokes_per_round": 20,
        "float_master": speed(master, 3.0),
        "artifact": speed(artifact, p50_ms),
        "speedup": 3.0 / p50_ms,
        "speedup_low": 2.9 / p50_ms,
        "speedup_high": 3.1 / p50_ms,
        "gates": [
            {"name": "min_fps", "value": 1000 / p50_ms, "threshold": 200, "passed": latency_passed}
        ],
        "passed": latency_passed,
    }
    verdict = {
        "passed": passed,
        "gates": [{"name": "max_score_error", "value": 0.02, "threshold": 0.03, "passed": passed}],
    }
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
