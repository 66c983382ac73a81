"""What is recorded of an artifact: read from its files, checked, in MLflow's terms.

Nothing here talks to MLflow. Names of metrics, params and tags are in
docs/registry.md.
"""

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry.metrics import OUTPUT_METRICS, TASK_METRICS, task_metric
from registry.tags import MIN_RUNTIME_TAG, UNKNOWN_OPERATORS_TAG
from tools.errors import InputError
from tools.report import read_report, tasks_of

FLOAT_SUFFIX = ".float"
GATES_PASSED = "passed"
GATES_FAILED = "failed"
GATES_NOT_CHECKED = "not checked"

_LATENCY_KIND = "rules_quantize.latency"
_SCHEMA_VERSION = 1
# MLflow's own limit is 250 for both; the rest is for a number that keeps two
# long names apart.
_KEY_LENGTH = 200


@dataclasses.dataclass(frozen=True)
class SourceFiles:
    """The files that a registration is made of.

    Attributes:
      report: report.json.
      model: the artifact, a .tflite file.
      recipe: recipe.json, or None when the artifact was made without one.
      float_model: the float master, or None when it is not at hand.
      source_model: the file that the master was made from, or None.
      latency: latency.json, or None when nothing was measured.
      verdict: verdict.json, or None when no gate was checked.
      pages: further pages and pictures to keep with the run.
    """

    report: Path
    model: Path
    recipe: Path | None = None
    float_model: Path | None = None
    source_model: Path | None = None
    latency: Path | None = None
    verdict: Path | None = None
    pages: tuple[Path, ...] = ()


@dataclasses.dataclass(frozen=True)
class ModelIdentity:
    """A model's bytes and its signature.

    Attributes:
      path: the .tflite file, or None when only its digest is known.
      sha256: hex digest.
      bytes: size of the file in bytes.
      inputs: tensors as in the report: name, shape, dtype.
      outputs: the same.
    """

    path: Path | None
    sha256: str
    bytes: int
    inputs: tuple[Mapping[str, Any], ...]
    outputs: tuple[Mapping[str, Any], ...]


@dataclasses.dataclass(frozen=True)
class Record:
    """Everything that one registration writes.

    Attributes:
      registered_model: name in the registry, such as "face".
      name: name of the artifact, such as "face_int8".
      version: the team's own version of it, such as "1.0.0".
      scheme: quantization scheme.
      artifact: the quantized model.
      float_master: the model that it was made from.
      source_sha256: digest of the file that the master was made from, or None.
      metrics: of the artifact; units are in the names.
      float_metrics: of the float master.
      latency_metrics: the part of `metrics` that a new measurement changes.
      params: settings that made the artifact.
      tags: identity: digests, target, device.
      gates: GATES_PASSED, GATES_FAILED or GATES_NOT_CHECKED.
      failures: one line for each gate that failed.
      files: artifacts of the run, by their name there.
      digest: sha256 over the artifact and everything said about it; equal
        digests are the same registration.
    """

    registered_model: str
    name: str
    version: str
    scheme: str
    artifact: ModelIdentity
    float_master: ModelIdentity
    source_sha256: str | None
    metrics: Mapping[str, float]
    float_metrics: Mapping[str, float]
    latency_metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    gates: str
    failures: tuple[str, ...]
    files: Mapping[str, Path]
    digest: str


def read_record(
    files: SourceFiles,
    registered_model: str | None,
    target: str,
    bazel_version: str | None = None,
) -> Record:
    """Reads the files and checks that they speak of the same models.

    Args:
      files: what to read.
      registered_model: name in the registry, or None for the artifact's own.
      target: Bazel label of the artifact, or another name of where it was made.
      bazel_version: recorded where it is known.

    Returns:
      The record.

    Raises:
      InputError: a file cannot be read, or two of them disagree.
    """
    if registered_model is not None:
        _check_registered_model_name(registered_model)
    report = read_report(files.report)
    if registered_model is None:
        registered_model = report["name"]
        _check_registered_model_name(registered_model)
    artifact = _identity(report["artifact"], files.model)
    master = _identity(report["float_master"], files.float_model)
    source = report.get("source")
    _check_digest(files.model, artifact.sha256, files.report, "artifact")
    if files.float_model:
        _check_digest(files.float_model, master.sha256, files.report, "float master")
    if files.source_model and source:
        _check_digest(files.source_model, source["sha256"], files.report, "source model")
    recipe_sha256 = (report["recipe"] or {}).get("sha256")
    if files.recipe and not recipe_sha256:
        raise InputError(f"{files.report}: knows no recipe; leave out --recipe")
    if files.recipe:
        _check_digest(files.recipe, recipe_sha256, files.report, "recipe")
    latency = _read_latency(files.latency, artifact, master) if files.latency else None
    gates, failures = _read_verdict(files.verdict)
    if latency:
        late = [_failed_gate(gate) for gate in latency.get("gates", ()) if not gate["passed"]]
        if late or latency.get("passed") is False:
            gates = GATES_FAILED
            failures += tuple(late) or (f"{files.latency.name}: did not pass",)

    metrics = {"size_bytes": artifact.bytes, **_report_metrics(report)}
    latency_metrics, float_metrics = _latency_metrics(latency)
    float_metrics["size_bytes"] = master.bytes

    tags = {
        "target": target,
        "artifact_sha256": artifact.sha256,
        "float_master_sha256": master.sha256,
        "gates": gates,
        "scheme": report["scheme"],
        "version": report["version"],
    }
    if source:
        tags["source_sha256"] = source["sha256"]
    if recipe_sha256:
        tags["recipe_sha256"] = recipe_sha256
    tags.update(_min_runtime_tags(report))
    if bazel_version:
        tags["bazel_version"] = bazel_version
    for part, data in (report.get("data") or {}).items():
        if data and data.get("digest"):
            tags[f"{part}_data_sha256"] = data["digest"]
    for tool, version in (report.get("tools") or {}).items():
        tags[f"tool.{_key(tool)}"] = str(version)
    if latency:
        device = latency["device"]
        tags["device"] = device["name"]
        for key in ("backend", "cpu", "cores", "threads", "runtime"):
            if device.get(key) not in (None, ""):
                tags[f"device_{key}"] = str(device[key])

    kept = {"report.json": files.report}
    if files.recipe:
        kept["recipe.json"] = files.recipe
    if files.latency:
        kept["latency.json"] = files.latency
    if files.verdict:
        kept["verdict.json"] = files.verdict
    for page in files.pages:
        kept[f"pages/{page.name}"] = page
    return Record(
        registered_model=registered_model,
        name=report["name"],
        version=report["version"],
        scheme=report["scheme"],
        artifact=artifact,
        float_master=master,
        source_sha256=source["sha256"] if source else None,
        metrics=_finite(metrics) | latency_metrics,
        float_metrics=_finite(float_metrics),
        latency_metrics=latency_metrics,
        params={
            "scheme": report["scheme"],
            "version": report["version"],
            **({"recipe_sha256": recipe_sha256} if recipe_sha256 else {}),
        },
        tags=tags,
        gates=gates,
        failures=failures,
        files=kept,
        digest=_digest_of(
            [artifact.sha256, *(f"{name} {_sha256(kept[name])}" for name in sorted(kept))]
        ),
    )


def _check_registered_model_name(name: str) -> None:
    if not name.strip() or re.search(r"[/:\x00-\x1f]", name):
        raise InputError(
            f"--registered_model={name!r}: a name without '/' and ':' is wanted, such as face"
        )
    if name.endswith(FLOAT_SUFFIX):
        raise InputError(
            f"--registered_model={name}: names that end with {FLOAT_SUFFIX} are kept for float "
            "masters; leave the ending out"
        )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not JSON ({error})") from None


def _read_latency(path: Path, artifact: ModelIdentity, master: ModelIdentity) -> dict[str, Any]:
    latency = _read_json(path)
    if not isinstance(latency, dict) or latency.get("kind") != _LATENCY_KIND:
        raise InputError(f"{path}: not a latency measurement; measure_latency --output= writes one")
    if latency.get("schema_version") != _SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version {latency.get('schema_version')}; "
            f"this registry reads {_SCHEMA_VERSION}"
        )
    try:
        for key, model in (("artifact", artifact), ("float_master", master)):
            if latency[key]["sha256"] != model.sha256:
                raise InputError(
                    f"{path}: measured another {key.replace('_', ' ')} "
                    f"({latency[key]['sha256'][:12]}, the report has {model.sha256[:12]}); "
                    "measure again"
                )
        latency["device"]["name"]
        for gate in latency.get("gates", ()):
            gate["passed"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: {error} is missing; measure again") from None
    return latency


def _read_verdict(path: Path | None) -> tuple[str, tuple[str, ...]]:
    if path is None:
        return GATES_NOT_CHECKED, ()
    verdict = _read_json(path)
    if not isinstance(verdict, dict) or not isinstance(verdict.get("passed"), bool):
        raise InputError(f"{path}: not a verdict; check_gates --verdict= writes one")
    if verdict["passed"]:
        return GATES_PASSED, ()
    failed = tuple(
        _failed_gate(gate)
        for gate in verdict.get("gates", ())
        if isinstance(gate, dict) and not gate.get("passed", True)
    )
    return GATES_FAILED, failed or (f"{path.name}: did not pass",)


def _failed_gate(gate: Mapping[str, Any]) -> str:
    name = gate.get("name", "a gate")
    of = gate.get("output") or gate.get("task")
    where = f" of {of}" if of else ""
    value, threshold = gate.get("value"), gate.get("threshold")
    if isinstance(value, int | float):
        value = f"{value:.6g}"
    return f"{name}{where}: {value} against a threshold of {threshold}"


def _report_metrics(report: Mapping[str, Any]) -> dict[str, Any]:
    """Gives what the report measures; None where it has no figure."""
    similarity = report["similarity"]
    metrics = {
        "size_reduction": report["size"]["reduction"],
        "size_reduction_vs_source": report["size"]["reduction_vs_source"],
        "float_tensors": len(report["float_tensors"]),
        "layer_correlation_min": (similarity.get("layers") or {}).get("correlation_min"),
    }
    outputs = _metric_names([output["name"] for output in similarity["outputs"]])
    for output in similarity["outputs"]:
        for key in OUTPUT_METRICS:
            metrics[f"{key}/{outputs[output['name']]}"] = output.get(key)
    tasks = tasks_of(report)
    names = _metric_names([task["name"] for task in tasks])
    for task in tasks:
        for key in TASK_METRICS:
            metrics[task_metric(names[task["name"]], key)] = task.get(key)
    return metrics


def _min_runtime_tags(report: Mapping[str, Any]) -> dict[str, str]:
    """Says which TensorFlow Lite the artifact needs: a version is no number, and so no metric."""
    needed = report.get("min_runtime") or {}
    tags = {}
    if needed.get("version"):
        tags[MIN_RUNTIME_TAG] = needed["version"]
    if needed.get("unknown"):
        tags[UNKNOWN_OPERATORS_TAG] = ", ".join(needed["unknown"])
    return tags


def _latency_metrics(latency: Mapping[str, Any] | None) -> tuple[dict, dict]:
    if latency is None:
        return {}, {}
    found = []
    for key in ("artifact", "float_master"):
        measured = latency[key]
        found.append(
            {
                "latency_p50_ms": measured.get("p50_ms"),
                "latency_p90_ms": measured.get("p90_ms"),
                "fps": measured.get("fps"),
            }
        )
    for key in ("speedup", "speedup_low", "speedup_high"):
        found[0][key] = latency.get(key)
    return _finite(found[0]), _finite(found[1])


def _finite(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Keeps what is a number: a null in the report is no metric."""
    return {
        key: float(value)
        for key, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _key(text: str) -> str:
    """Makes a metric or tag name of any text."""
    return re.sub(r"[^\w.\- ]", "_", text, flags=re.ASCII)[:_KEY_LENGTH] or "_"


def _metric_names(texts: list[str]) -> dict[str, str]:
    """Names outputs or tasks as MLflow allows, each by another name.

    A model may call its output "Identity:0" or "a/b;c": MLflow refuses most
    of that, and reads a slash as a group.
    """
    names: dict[str, str] = {}
    for text in texts:
        # MLflow reads "." and ".." as folders.
        first = _key("_" * len(text) if set(text) == {"."} else text)
        name, count = first, 2
        while name in names.values():
            name = f"{first}_{count}"
            count += 1
        names[text] = name
    return names


def _identity(model: Mapping[str, Any], path: Path | None) -> ModelIdentity:
    return ModelIdentity(
        path=path,
        sha256=model["sha256"],
        bytes=model["bytes"],
        inputs=tuple(model.get("inputs") or ()),
        outputs=tuple(model.get("outputs") or ()),
    )


def _check_digest(path: Path, expected: str, report: Path, what: str) -> None:
    found = _sha256(path)
    if found != expected:
        raise InputError(
            f"{path}: its sha256 is {found[:12]}, the {what} in {report} is {expected[:12]}; "
            "give the file that the report was made from"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
