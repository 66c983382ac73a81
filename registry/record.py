"""What is recorded of an artifact: read from its files, checked, in MLflow's terms.

Nothing here talks to MLflow. Names of metrics, params and tags are in
docs/reference/registry.md.
"""

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from registry.metrics import OUTPUT_METRICS, jpeg_metric, task_metric
from registry.tags import (
    DISTURBED_TAG,
    MEASURED_TAG,
    MIN_RUNTIME_TAG,
    SIMILARITY,
    SPEED,
    TAKEN_TAG,
    UNKNOWN_OPERATORS_TAG,
)
from tools.documents.device_verdict import DeviceVerdict
from tools.documents.document import read_document
from tools.documents.latency import Latency, LatencyGate, Speed
from tools.documents.metrics import by_field
from tools.documents.models import ModelDescription, Tensor
from tools.documents.report import MinRuntime, Report, Similarity
from tools.documents.verdict import JudgedGate, Verdict
from tools.errors import InputError

FLOAT_SUFFIX = ".float"
GATES_PASSED = "passed"
GATES_FAILED = "failed"
GATES_NOT_CHECKED = "not checked"

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
      device_verdict: device_verdict.json of one device, or None. What is made of the files is
        then a measurement of that device, and `latency` is None.
      pages: further pages and pictures to keep with the run.
    """

    report: Path
    model: Path
    recipe: Path | None = None
    float_model: Path | None = None
    source_model: Path | None = None
    latency: Path | None = None
    verdict: Path | None = None
    device_verdict: Path | None = None
    pages: tuple[Path, ...] = ()


@dataclasses.dataclass(frozen=True)
class ModelIdentity:
    """A model's bytes and its signature.

    Attributes:
      path: the .tflite file, or None when only its digest is known.
      sha256: hex digest.
      bytes: size of the file in bytes.
      inputs: as in the report.
      outputs: as in the report.
    """

    path: Path | None
    sha256: str
    bytes: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def file(self) -> Path:
        """The `path` of a model whose file is at hand, as it is of every artifact."""
        assert self.path is not None
        return self.path


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
      similarity: to the float master, of the answers on this host or on a device; None where a
        device gives no answers.
      params: settings that made the artifact.
      tags: identity: digests, target, device.
      gates: GATES_PASSED, GATES_FAILED or GATES_NOT_CHECKED.
      failures: one line for each gate that failed, the most severe first.
      report: what was read of the artifact.
      judged: the gates of the verdict and of the measurement.
      registration: of a device's similarity, the record of the artifact itself, which is
        made first where there is no version; None otherwise.
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
    similarity: Similarity | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    gates: str
    failures: tuple[str, ...]
    report: Report
    judged: tuple[JudgedGate | LatencyGate, ...]
    files: Mapping[str, Path]
    digest: str
    registration: "Record | None" = None


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
    report = read_document(files.report, Report)
    if registered_model is None:
        registered_model = report.name
        _check_registered_model_name(registered_model)
    artifact = _identity(report.artifact, files.model)
    master = _identity(report.float_master, files.float_model)
    _check_files(files, report)
    latency = _read_latency(files.latency, artifact, master) if files.latency else None
    verdict = read_document(files.verdict, Verdict) if files.verdict else None
    gates, failures = _judgement(verdict, latency)
    latency_metrics, float_metrics = _latency_metrics(latency)
    tags = {"target": target, **_identity_tags(report), **_origin_tags(report)}
    tags.update(_min_runtime_tags(report.min_runtime))
    if bazel_version:
        tags["bazel_version"] = bazel_version
    if latency:
        tags.update(_device_tags(latency))
    measured = _measured(verdict, latency)
    recipe = {"recipe_sha256": report.recipe.sha256} if report.recipe else {}
    kept = _kept_files(files)
    record = Record(
        registered_model=registered_model,
        name=report.name,
        version=report.version,
        scheme=report.scheme,
        artifact=artifact,
        float_master=master,
        source_sha256=report.source.sha256 if report.source else None,
        metrics=_finite(_file_metrics(report) | _similarity_metrics(report.similarity))
        | latency_metrics,
        float_metrics=_finite({**float_metrics, "size_bytes": master.bytes}),
        similarity=report.similarity,
        params={"scheme": report.scheme, "version": report.version, **recipe},
        tags=tags | {"gates": gates} | measured,
        gates=gates,
        failures=failures,
        report=report,
        judged=(verdict.gates if verdict else ()) + (latency.gates if latency else ()),
        files=kept,
        digest=_digest_of(artifact, kept),
    )
    if not files.device_verdict:
        return record
    return _on_device(record, tags, files, files.device_verdict)


def _on_device(
    registration: Record, tags: Mapping[str, str], files: SourceFiles, path: Path
) -> Record:
    """Gives the record of what an artifact does on a device.

    Args:
      registration: of the artifact itself.
      tags: those of its tags that hold wherever it runs.
      files: of the registration.
      path: of the device verdict.

    Raises:
      InputError: it cannot be read, or is of other models.
    """
    verdict = read_document(path, DeviceVerdict)
    for what, file, model in (
        ("artifact", verdict.artifact, registration.artifact),
        ("float master", verdict.float_master, registration.float_master),
    ):
        _check_measured(path, what, file.sha256, model)
    kept = {"report.json": files.report, "device_verdict.json": path}
    speed: dict[str, float | None] = {}
    float_speed: dict[str, float | None] = {}
    if verdict.speed:
        milliseconds = verdict.speed.artifact_ms
        speed = {"latency_p50_ms": milliseconds, "speedup": verdict.speed.speedup}
        speed["fps"] = 1000 / milliseconds if milliseconds else None
        float_speed = {"latency_p50_ms": verdict.speed.float_master_ms}
    similarity = _similarity_metrics(verdict.similarity) if verdict.similarity else {}
    failures = tuple(_failed_gate(gate) for gate in verdict.gates if not gate.passed)
    if not verdict.similarity:
        word = "refused" if verdict.taken == "refused" else "no answers"
        failures = (f"{word}: {verdict.fault}",)
    gates = GATES_PASSED if verdict.passed else GATES_FAILED
    return dataclasses.replace(
        registration,
        metrics=_finite(_file_metrics(registration.report) | similarity | speed),
        float_metrics={**registration.float_metrics, **_finite(float_speed)},
        similarity=verdict.similarity,
        tags={**tags, "gates": gates, **_verdict_tags(verdict)},
        gates=gates,
        failures=failures,
        judged=verdict.gates,
        files=kept,
        digest=_digest_of(registration.artifact, kept),
        registration=registration,
    )


def failure_lines(record: Record) -> list[str]:
    """Shows each gate that failed on a line, the most severe first."""
    return [f"  failed   {failure}" for failure in record.failures]


def _check_files(files: SourceFiles, report: Report) -> None:
    """Refuses files that are others than the report was made from."""
    _check_digest(files.model, report.artifact.sha256, files.report, "artifact")
    if files.float_model:
        _check_digest(files.float_model, report.float_master.sha256, files.report, "float master")
    if files.source_model and report.source:
        _check_digest(files.source_model, report.source.sha256, files.report, "source model")
    if not files.recipe:
        return
    if not report.recipe:
        raise InputError("document.other", f"{files.report}: knows no recipe; leave out --recipe")
    _check_digest(files.recipe, report.recipe.sha256, files.report, "recipe")


def _kept_files(files: SourceFiles) -> dict[str, Path]:
    """Names the run's artifacts."""
    kept = {"report.json": files.report}
    for name, path in (
        ("recipe.json", files.recipe),
        ("latency.json", files.latency),
        ("verdict.json", files.verdict),
    ):
        if path:
            kept[name] = path
    return kept | {f"pages/{page.name}": page for page in files.pages}


def _identity_tags(report: Report) -> dict[str, str]:
    """Says which artifact it is."""
    tags = {
        "artifact_sha256": report.artifact.sha256,
        "float_master_sha256": report.float_master.sha256,
        "scheme": report.scheme,
        "version": report.version,
    }
    if report.source:
        tags["source_sha256"] = report.source.sha256
    if report.recipe:
        tags["recipe_sha256"] = report.recipe.sha256
    return tags


def _origin_tags(report: Report) -> dict[str, str]:
    """Says from which data and with which tools it was made."""
    tags = {f"tool.{_key(tool)}": version for tool, version in report.tools.items()}
    tags["test_data_sha256"] = report.data.test.digest
    if report.data.calibration:
        tags["calibration_data_sha256"] = report.data.calibration.digest
    return tags


def _device_tags(latency: Latency) -> dict[str, str]:
    """Says where it was measured."""
    device = latency.device
    told = {
        "device": device.name,
        "device_backend": device.backend,
        "device_cores": device.cores,
        "device_cpu": device.cpu,
        "device_runtime": device.runtime,
        "device_threads": device.threads,
        DISTURBED_TAG: _disturbed(latency),
    }
    return {tag: str(value) for tag, value in told.items() if value not in (None, "")}


def _disturbed(latency: Latency) -> str:
    """Says whether the measurement was disturbed, "" where it was not."""
    count = latency.disturbed_rounds
    return f"{count} round{'s' if count > 1 else ''}" if count else ""


def _measured(verdict: Verdict | None, latency: Latency | None) -> dict[str, str]:
    """Says what was measured and judged where the latency was, which is this host or a phone."""
    # The verdict's answers are this host's: they say nothing of a phone.
    here = verdict is not None and latency is not None and latency.device.backend == "host"
    measured = ([SIMILARITY] if here else []) + ([SPEED] if latency else [])
    return {MEASURED_TAG: ", ".join(measured)} if measured else {}


def _verdict_tags(verdict: DeviceVerdict) -> dict[str, str]:
    """Says on which device it was judged, and what the accelerator there took."""
    device = verdict.device
    told = {
        "device": device.name,
        "device_accelerator": device.accelerator,
        "device_adapter": device.adapter,
        "device_backend": "python" if device.accelerator == "cpu" else "browser",
        "device_program": device.program,
        "device_runtime": device.runtime,
        TAKEN_TAG: verdict.taken,
        MEASURED_TAG: f"{SIMILARITY}, {SPEED}" if verdict.speed else SIMILARITY,
    }
    return {tag: value for tag, value in told.items() if value}


def _check_registered_model_name(name: str) -> None:
    if not name.strip() or re.search(r"[/:\x00-\x1f]", name):
        raise InputError(
            "registry.name",
            f"--registered_model={name!r}: a name without '/' and ':' is wanted, such as face",
        )
    if name.endswith(FLOAT_SUFFIX):
        raise InputError(
            "registry.name",
            f"--registered_model={name}: names that end with {FLOAT_SUFFIX} are kept for float "
            "masters; leave the ending out",
        )


def _read_latency(path: Path, artifact: ModelIdentity, master: ModelIdentity) -> Latency:
    latency = read_document(path, Latency)
    for what, measured, model in (
        ("artifact", latency.artifact, artifact),
        ("float master", latency.float_master, master),
    ):
        _check_measured(path, what, measured.sha256, model)
    return latency


def _check_measured(path: Path, what: str, sha256: str, model: ModelIdentity) -> None:
    if sha256 != model.sha256:
        raise InputError(
            "document.other",
            f"{path}: measured another {what} ({sha256[:12]}, the report has "
            f"{model.sha256[:12]}); measure again",
        )


def _judgement(verdict: Verdict | None, latency: Latency | None) -> tuple[str, tuple[str, ...]]:
    """Sums up what was judged: one of the GATES_ words, and a line for each failed gate."""
    failed: list[JudgedGate | LatencyGate] = []
    if verdict:
        failed += verdict.failed()
    if latency:
        failed += [gate for gate in latency.gates if not gate.passed]
    if (verdict and not verdict.passed) or (latency and not latency.passed):
        return GATES_FAILED, tuple(map(_failed_gate, failed))
    return (GATES_PASSED if verdict else GATES_NOT_CHECKED), ()


def _failed_gate(gate: JudgedGate | LatencyGate) -> str:
    subject = gate.subject if isinstance(gate, JudgedGate) else ""
    where = f" of {subject}" if subject else ""
    value = f"{gate.value:.6g}" if isinstance(gate.value, int | float) else gate.value
    return f"{gate.name}{where}: {value} against a threshold of {gate.threshold}"


def _file_metrics(report: Report) -> dict[str, float | None]:
    """Gives what is the same wherever the artifact runs; None where there is no figure."""
    return {
        "float_tensors": len(report.float_tensors),
        "size_bytes": report.artifact.bytes,
        "size_reduction": report.size.reduction,
        "size_reduction_vs_source": report.size.reduction_vs_source,
    }


def _similarity_metrics(similarity: Similarity) -> dict[str, float | None]:
    """Gives what was measured of the answers; None where there is no figure."""
    metrics: dict[str, float | None] = {}
    if similarity.layers:
        metrics["layer_correlation_min"] = similarity.layers.correlation_min
    outputs = _metric_names([output.name for output in similarity.outputs])
    for output in similarity.outputs:
        for key in OUTPUT_METRICS:
            metrics[f"{key}/{outputs[output.name]}"] = getattr(output, key)
    names = _metric_names([task.name for task in similarity.tasks])
    for task in similarity.tasks:
        for key in by_field(task.type):
            metrics[task_metric(names[task.name], key)] = getattr(task, key)
        for key, value in (task.jpeg or {}).items():
            metrics[jpeg_metric(names[task.name], key)] = value
    return metrics


def _min_runtime_tags(needed: MinRuntime) -> dict[str, str]:
    """Says which TensorFlow Lite the artifact needs: a version is no number, and so no metric."""
    tags = {}
    if needed.version:
        tags[MIN_RUNTIME_TAG] = needed.version
    if needed.unknown:
        tags[UNKNOWN_OPERATORS_TAG] = ", ".join(needed.unknown)
    return tags


def _latency_metrics(latency: Latency | None) -> tuple[dict[str, float], dict[str, float]]:
    """Gives what was measured of the artifact, and of its float master."""
    if latency is None:
        return {}, {}

    def figures(speed: Speed) -> dict[str, float | None]:
        return {
            "latency_p50_ms": speed.p50_ms,
            "latency_p90_ms": speed.p90_ms,
            "fps": speed.fps,
        }

    speedups = {
        "speedup": latency.speedup,
        "speedup_low": latency.speedup_low,
        "speedup_high": latency.speedup_high,
    }
    artifact = _finite(figures(latency.artifact) | speedups)
    return artifact, _finite(figures(latency.float_master))


def _finite(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Keeps what is a number: a null in the report is no metric."""
    return {key: float(value) for key, value in metrics.items() if value is not None}


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


def _identity(model: ModelDescription, path: Path | None) -> ModelIdentity:
    return ModelIdentity(
        path=path,
        sha256=model.sha256,
        bytes=model.bytes,
        inputs=model.inputs,
        outputs=model.outputs,
    )


def _check_digest(path: Path, expected: str, report: Path, what: str) -> None:
    found = _sha256(path)
    if found != expected:
        raise InputError(
            "document.other",
            f"{path}: its sha256 is {found[:12]}, the {what} in {report} is {expected[:12]}; "
            "give the file that the report was made from",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of(artifact: ModelIdentity, kept: Mapping[str, Path]) -> str:
    """Gives what equal registrations of an artifact have in common."""
    parts = [artifact.sha256, *(f"{name} {_sha256(kept[name])}" for name in sorted(kept))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
