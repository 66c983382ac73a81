"""Writes records into MLflow: one version for an artifact, however often it is registered.

A version is made last, when its run and its model are complete: a process that
dies on the way leaves a run that never ended and no version.
"""

import contextlib
import getpass
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.record import FLOAT_SUFFIX, GATES_FAILED, ModelIdentity, Record
from registry.store import Store, explained

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

# Tags by which the registry finds what it wrote.
SHA256_TAG = "artifact_sha256"
DIGEST_TAG = "record_digest"
KIND_TAG = "kind"
PARENT_TAG = "parent_version"

KIND_REGISTRATION = "registration"
KIND_MEASUREMENT = "measurement"
KIND_FLOAT_MASTER = "float master"
KIND_REFUSED = "refused"

_VERSIONS_TAG = "mlflow.modelVersions"
_NOTE_TAG = "mlflow.note.content"
_PARENT_RUN_TAG = "mlflow.parentRunId"
_FLAVOR = "tflite"
# Otherwise MLflow's UI shows the pages that it has for chat applications.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}


@dataclass(frozen=True)
class Recorded:
    """What came of a registration.

    Attributes:
      registered_model: name in the registry.
      version: the registry's version number, or None when a gate failed.
      created: whether this call made the version.
      run_id: the run that this call made, or the one that said the same before.
      run_created: whether this call made that run.
      experiment_id: of the run.
      parent: "NAME/VERSION" of the float master's version, or None.
    """

    registered_model: str
    version: str | None
    created: bool
    run_id: str
    run_created: bool
    experiment_id: str
    parent: str | None


class Recorder:
    """Writes records into one store.

    Hold `registry.store.locked` around its calls. That settles the races on one
    machine; between machines that share a server, the lowest version number of
    an artifact stays and every later one is taken back by the process that made
    it.
    """

    def __init__(self, store: Store, client: "MlflowClient", lineage_tags: Mapping[str, str]):
        """Makes a recorder.

        Args:
          store: from `find_store`.
          client: from `connect`.
          lineage_tags: from `GitLineage.tags`, put on every run.
        """
        self._store = store
        self._client = client
        self._lineage_tags = dict(lineage_tags)

    def record(self, record: Record) -> Recorded:
        """Records an artifact, a new measurement of it, or that it was refused.

        Args:
          record: from `read_record`.

        Returns:
          What was there already, or was made.

        Raises:
          InputError: the store cannot be used.
        """
        with explained(self._store):
            experiment_id = self._experiment(record.registered_model)
            version = self._version_of(record.registered_model, record.artifact.sha256)
            run = self._run_with_digest(experiment_id, record.digest)
            if run is not None and (version is not None or record.gates == GATES_FAILED):
                return self._existing(record, version, run)
            if record.gates == GATES_FAILED:
                return self._refuse(record, experiment_id, version)
            if version is not None:
                return self._add_measurement(record, experiment_id, version)
            parent = self._float_version(record, experiment_id)
            return self._register(record, experiment_id, parent)

    def _existing(self, record: Record, version: "ModelVersion | None", run) -> Recorded:
        refused = record.gates == GATES_FAILED
        return Recorded(
            registered_model=record.registered_model,
            version=None if refused else str(version.version),
            created=False,
            run_id=run.info.run_id,
            run_created=False,
            experiment_id=run.info.experiment_id,
            parent=None if refused else version.tags.get(PARENT_TAG),
        )

    def _register(
        self, record: Record, experiment_id: str, parent: "ModelVersion | None"
    ) -> Recorded:
        tags = {KIND_TAG: KIND_REGISTRATION}
        if parent:
            tags[PARENT_TAG] = f"{parent.name}/{parent.version}"
        description = _describe(record, parent)
        own = {**tags, _NOTE_TAG: description}
        with self._run(record, experiment_id, f"{record.name} {record.version}", own) as run_id:
            self._log_files(run_id, {**record.files, **_in_model_folder(record.artifact.path)})
            if parent:
                self._log_input(run_id, parent)
            model_id = self._log_model(
                record, record.artifact, record.name, experiment_id, run_id, record.scheme
            )
            self._log(run_id, record.params, record.metrics, model_id)
        version = self._create_version(
            record.registered_model,
            "Quantized models of one deployable. Each version is one artifact; its float master is "
            f"a version of [{record.registered_model}{FLOAT_SUFFIX}]"
            f"(#/models/{record.registered_model}{FLOAT_SUFFIX}).",
            model_id,
            run_id,
            _identity_tags({**record.tags, **tags}),
            f"{description} Recorded by [this run](#/experiments/{experiment_id}/runs/{run_id}).",
        )
        created = self._keep_first(version, run_id, model_id)
        return Recorded(
            registered_model=record.registered_model,
            version=str((created or version).version),
            created=created is None,
            run_id=run_id,
            run_created=True,
            experiment_id=experiment_id,
            parent=tags.get(PARENT_TAG),
        )

    def _float_version(self, record: Record, experiment_id: str) -> "ModelVersion | None":
        """Finds or makes the float master's version."""
        name = record.registered_model + FLOAT_SUFFIX
        version = self._version_of(name, record.float_master.sha256)
        if version is not None or record.float_master.path is None:
            return version
        tags = {
            "scheme": "float",
            SHA256_TAG: record.float_master.sha256,
        }
        if record.source_sha256:
            tags["source_sha256"] = record.source_sha256
        label = f"{name} {record.float_master.sha256[:8]}"
        source = record.source_sha256 or "not recorded"
        description = (
            f"Float master, {record.float_master.bytes:,} bytes, made from the file with sha256 "
            f"`{source}`."
        )
        # Its own tags only: the device, gates and data are the artifact's.
        run_tags = {
            **self._lineage_tags,
            **tags,
            KIND_TAG: KIND_FLOAT_MASTER,
            _NOTE_TAG: description,
            "target": record.tags["target"],
        }
        with self._new_run(experiment_id, label, run_tags) as run_id:
            self._log_files(run_id, _in_model_folder(record.float_master.path))
            model_id = self._log_model(
                record, record.float_master, label, experiment_id, run_id, "float"
            )
            self._log(run_id, {"scheme": "float"}, record.float_metrics, model_id)
        version = self._create_version(
            name,
            f"Float masters of [{record.registered_model}](#/models/{record.registered_model}): "
            "fp32 models, which quantized versions are made from and measured against.",
            model_id,
            run_id,
            tags,
            f"{description} Recorded by [this run](#/experiments/{experiment_id}/runs/{run_id}).",
        )
        return self._keep_first(version, run_id, model_id) or version

    def _add_measurement(
        self, record: Record, experiment_id: str, version: "ModelVersion"
    ) -> Recorded:
        device = record.tags.get("device")
        label = f"{record.name} on {device}" if device else f"{record.name}, another report"
        tags = {KIND_TAG: KIND_MEASUREMENT, "model_version": f"{version.name}/{version.version}"}
        if version.run_id:
            tags[_PARENT_RUN_TAG] = version.run_id
        with self._run(record, experiment_id, label, tags) as run_id:
            self._log_files(run_id, record.files)
            self._log_input(run_id, version)
            self._log(run_id, record.params, record.metrics, _model_id(version))
        return Recorded(
            registered_model=record.registered_model,
            version=str(version.version),
            created=False,
            run_id=run_id,
            run_created=True,
            experiment_id=experiment_id,
            parent=version.tags.get(PARENT_TAG),
        )

    def _refuse(
        self, record: Record, experiment_id: str, version: "ModelVersion | None"
    ) -> Recorded:
        tags = {KIND_TAG: KIND_REFUSED, "failure": "; ".join(record.failures)[:4000]}
        tags[_NOTE_TAG] = "Refused: " + "; ".join(record.failures)
        if version is not None and version.run_id:
            tags[_PARENT_RUN_TAG] = version.run_id
        label = f"{record.name} {record.version}, refused"
        with self._run(record, experiment_id, label, tags, status="FAILED") as run_id:
            # The bytes too: what was refused is what one wants to look into.
            self._log_files(run_id, {**record.files, **_in_model_folder(record.artifact.path)})
            self._log(run_id, record.params, record.metrics)
        return Recorded(
            registered_model=record.registered_model,
            version=None,
            created=False,
            run_id=run_id,
            run_created=True,
            experiment_id=experiment_id,
            parent=None,
        )

    # What MLflow holds already.

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            location = None
            if self._store.artifacts is not None:
                location = (self._store.artifacts / name).as_uri()
            try:
                return self._client.create_experiment(
                    name, artifact_location=location, tags=_EXPERIMENT_TAGS
                )
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                experiment = self._client.get_experiment_by_name(name)
        return experiment.experiment_id

    def _version_of(self, name: str, sha256: str) -> "ModelVersion | None":
        versions = self._client.search_model_versions(
            f"name = {_quoted(name)} and tags.{SHA256_TAG} = '{sha256}'", max_results=100
        )
        return min(versions, key=lambda version: int(version.version), default=None)

    def _run_with_digest(self, experiment_id: str, digest: str):
        runs = self._client.search_runs(
            [experiment_id],
            f"tags.{DIGEST_TAG} = '{digest}' and attributes.status != 'RUNNING'",
            max_results=20,
            order_by=["attributes.start_time ASC"],
        )
        # One that an error cut short says nothing.
        return next((run for run in runs if "interrupted" not in run.data.tags), None)

    # What is written.

    @contextlib.contextmanager
    def _run(
        self,
        record: Record,
        experiment_id: str,
        label: str,
        tags: Mapping[str, str],
        status: str = "FINISHED",
    ) -> Iterator[str]:
        every = {**self._lineage_tags, **record.tags, DIGEST_TAG: record.digest, **tags}
        with self._new_run(experiment_id, label, every, status) as run_id:
            yield run_id

    @contextlib.contextmanager
    def _new_run(
        self,
        experiment_id: str,
        label: str,
        tags: Mapping[str, str],
        status: str = "FINISHED",
    ) -> Iterator[str]:
        own = {
            "mlflow.source.name": tags["target"],
            "mlflow.source.type": "LOCAL",
            "mlflow.user": _user(),
        }
        run = self._client.create_run(experiment_id, run_name=label, tags={**own, **tags})
        run_id = run.info.run_id
        try:
            yield run_id
        except BaseException:
            # The store may be what failed: the first error is the one to show.
            with contextlib.suppress(Exception):
                self._client.set_tag(run_id, "interrupted", "true")
                self._client.set_terminated(run_id, "FAILED")
            raise
        self._client.set_terminated(run_id, status)

    def _log(
        self,
        run_id: str,
        params: Mapping[str, str],
        metrics: Mapping[str, float],
        model_id: str | None = None,
    ) -> None:
        """Logs params, and metrics to the run and its model: only there numbers are searched."""
        from mlflow.entities import Metric, Param

        now = _now_ms()
        # A run's metric without a model comes without these two fields.
        link = {"model_id": model_id, "run_id": run_id} if model_id else {}
        self._client.log_batch(
            run_id,
            metrics=[Metric(key, value, now, 0, **link) for key, value in metrics.items()],
            params=[Param(key, value) for key, value in params.items()],
        )

    def _log_files(self, run_id: str, files: Mapping[str, Path]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, path in files.items():
                copy = Path(folder, name)
                copy.parent.mkdir(exist_ok=True)
                # Bytes only: a build's outputs are read-only links.
                shutil.copyfile(path, copy)
            self._client.log_artifacts(run_id, folder)

    def _log_input(self, run_id: str, version: "ModelVersion") -> None:
        model_id = _model_id(version)
        if model_id:
            from mlflow.entities import LoggedModelInput

            self._client.log_inputs(run_id, models=[LoggedModelInput(model_id)])

    def _log_model(
        self,
        record: Record,
        model: ModelIdentity,
        label: str,
        experiment_id: str,
        run_id: str,
        scheme: str,
    ) -> str:
        """Makes the run's model: MLmodel and .tflite, ready to be fetched."""
        from mlflow.entities import LoggedModelOutput

        tags = {SHA256_TAG: model.sha256, "target": record.tags["target"], "scheme": scheme}
        logged = self._client.create_logged_model(
            experiment_id,
            name=_logged_model_name(label),
            source_run_id=run_id,
            tags=tags,
            params={"scheme": scheme, "sha256": model.sha256},
            model_type=_FLAVOR,
        )
        try:
            with tempfile.TemporaryDirectory() as folder:
                self._write_mlmodel(Path(folder), model, run_id, logged.model_id)
                self._client.log_model_artifacts(logged.model_id, folder)
            self._client.finalize_logged_model(logged.model_id, "READY")
            self._client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
        except BaseException:
            with contextlib.suppress(Exception):
                self._client.finalize_logged_model(logged.model_id, "FAILED")
            raise
        return logged.model_id

    def _write_mlmodel(
        self, folder: Path, model: ModelIdentity, run_id: str, model_id: str
    ) -> None:
        import numpy as np
        from mlflow.models import Model, ModelSignature
        from mlflow.types import Schema, TensorSpec

        file_name = model.path.name
        shutil.copyfile(model.path, folder / file_name)

        def schema(tensors) -> Schema:
            return Schema(
                [
                    TensorSpec(np.dtype(tensor["dtype"]), tuple(tensor["shape"]), tensor["name"])
                    for tensor in tensors
                ]
            )

        signature = None
        if model.inputs and model.outputs:
            signature = ModelSignature(schema(model.inputs), schema(model.outputs))
        Model(
            run_id=run_id,
            model_id=model_id,
            signature=signature,
            flavors={_FLAVOR: {"data": file_name, "sha256": model.sha256}},
            metadata={"sha256": model.sha256, "bytes": model.bytes},
        ).save(str(folder / "MLmodel"))

    def _create_version(
        self,
        name: str,
        about: str,
        model_id: str,
        run_id: str,
        tags: Mapping[str, str],
        description: str,
    ) -> "ModelVersion":
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name, description=about)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        version = self._client.create_model_version(
            name,
            source=f"models:/{model_id}",
            # A server takes no models:/ source without its ID beside it.
            model_id=model_id,
            run_id=run_id,
            tags=dict(tags),
            description=description,
        )
        if not self._store.is_server:
            # A server does this by itself; it is what the page of a model links by.
            link = [{"name": name, "version": str(version.version)}]
            self._client.set_logged_model_tags(model_id, {_VERSIONS_TAG: json.dumps(link)})
        return version

    def _keep_first(
        self, version: "ModelVersion", run_id: str, model_id: str
    ) -> "ModelVersion | None":
        """Takes a version back when another machine registered the artifact before it.

        Returns:
          The version that stays, or None when that is the one given.
        """
        first = self._version_of(version.name, version.tags[SHA256_TAG])
        if first is None or int(first.version) >= int(version.version):
            return None
        self._client.delete_model_version(version.name, str(version.version))
        self._client.delete_logged_model(model_id)
        self._client.set_tag(run_id, KIND_TAG, KIND_MEASUREMENT)
        self._client.set_tag(run_id, "model_version", f"{first.name}/{first.version}")
        return first


def _describe(record: Record, parent: "ModelVersion | None") -> str:
    """Writes a description, in the Markdown that MLflow's UI shows."""
    if parent:
        link = f"#/models/{parent.name}/versions/{parent.version}"
        origin = f"[{parent.name} version {parent.version}]({link})"
    else:
        origin = f"float master `{record.float_master.sha256[:12]}`"
    metrics = record.metrics
    facts = [f"{record.artifact.bytes:,} bytes, {metrics['size_reduction']:.1%} smaller"]
    worst = min(
        ((value, key) for key, value in metrics.items() if key.startswith("cosine_mean/")),
        default=None,
    )
    if worst:
        facts.append(f"lowest mean cosine {worst[0]:.4f} (`{worst[1].partition('/')[2]}`)")
    if "speedup" in metrics:
        facts.append(
            f"{metrics['speedup']:.2f}x as fast on {record.tags['device']} "
            f"({metrics.get('latency_p50_ms', float('nan')):.3g} ms)"
        )
    return (
        f"{record.name} {record.version} ({record.scheme}), made from {origin}: "
        f"{'; '.join(facts)}. Gates: {record.gates}."
    )


def _identity_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Picks what a version is known by; the rest is one click away, on its run."""
    # In the order in which MLflow shows them: what people look for first.
    kept = (
        "scheme",
        "version",
        "gates",
        "target",
        PARENT_TAG,
        SHA256_TAG,
        "float_master_sha256",
        "source_sha256",
        "recipe_sha256",
    )
    return {key: tags[key] for key in kept if key in tags}


def _model_id(version: "ModelVersion") -> str | None:
    """Finds the logged model of a version; MLflow leaves the field itself empty."""
    prefix = "models:/m-"
    source = version.source or ""
    return source.removeprefix("models:/") if source.startswith(prefix) else None


def _in_model_folder(path: Path) -> dict[str, Path]:
    return {f"model/{path.name}": path}


def _logged_model_name(text: str) -> str:
    # What MLflow refuses in the name of a logged model.
    return "".join("_" if character in "/:.%\"'" else character for character in text)


def _quoted(text: str) -> str:
    return '"' + text + '"' if "'" in text else "'" + text + "'"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _now_ms() -> int:
    return int(time.time() * 1000)
