"""Writes records into MLflow: one version for an artifact, however often it is registered.

A version is made last, when its run and its model are complete: a process that
dies on the way leaves a run and no version. What it left is looked for by
content before anything is written. A run that had ended is taken up where its
process stopped; one that had not is marked and put into MLflow's trash.

The order of events between machines that share a server is settled afterwards:
of equal versions the lowest number stays, of equal runs the one that ended
first. Every process that comes by applies the same rule, so that it does not
matter which of them dies.

What people deleted in MLflow's UI is brought back where an artifact is registered again: its
experiment and its run out of the trash, files from the build, and the float master's version.
"""

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from registry.catalog import quoted, tflite_files
from registry.overview import pages_of
from registry.process import is_alive, this_process, user_name
from registry.record import FLOAT_SUFFIX, GATES_FAILED, ModelIdentity, Record
from registry.store import Store, StoreUnavailable, if_there, translate_mlflow_errors
from registry.tags import (
    DIGEST_TAG,
    DIGESTS,
    DIGESTS_TAG,
    DISTURBED_TAG,
    KIND_FLOAT_MASTER,
    KIND_MEASUREMENT,
    KIND_REFUSED,
    KIND_REGISTRATION,
    KIND_TAG,
    MIN_RUNTIME_TAG,
    PARENT_TAG,
    RETIRED_TAG,
    SHA256_TAG,
    SIMILARITY_FIGURE_TAG,
    SIZE_FIGURE_TAG,
    SPEED_FIGURE_TAG,
    UNKNOWN_OPERATORS_TAG,
    VERSION_TAG,
    WRITER_TAG,
)
from registry.tflite_flavor import FLAVOR, save_model

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

_VERSIONS_TAG = "mlflow.modelVersions"
_NOTE_TAG = "mlflow.note.content"
_PARENT_RUN_TAG = "mlflow.parentRunId"
# The lifecycle stage of what is in the trash.
_DELETED = "deleted"
# Otherwise MLflow's UI shows the pages that it has for chat applications.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
# A run of another machine that has not ended by then has no process any more:
# a registration takes seconds, and gives up on a server that is gone long before.
_ABANDONED_SECONDS = 3600


@dataclass(frozen=True)
class RegistrationResult:
    """What came of a registration.

    Attributes:
      registered_model: name in the registry.
      version: the registry's version number, or None when a gate failed.
      created: whether this call made the version.
      run_id: the run that this call made, or the one that said the same before.
      run_created: whether this call made that run.
      experiment_id: of the run.
      parent: "NAME/VERSION" of the float master's version, or None.
      restored: what had been deleted and is there again, in words.
    """

    registered_model: str
    version: str | None
    created: bool
    run_id: str
    run_created: bool
    experiment_id: str
    parent: str | None
    restored: tuple[str, ...] = ()


class RegistrationWriter:
    """Writes records into one store.

    Hold `registry.store.locked` around its calls: then each of this machine's
    processes finds what the one before it wrote. Races between machines are
    settled as the module says.
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
        self._writer = this_process()
        self._made: list[str] = []
        self._restored: list[str] = []

    def write(self, record: Record) -> RegistrationResult:
        """Records an artifact, a new measurement of it, or that it was refused.

        It may be called again after it failed at any point.

        Args:
          record: from `read_record`.

        Returns:
          What was there already, or was made.

        Raises:
          InputError: the store cannot be used.
          StoreUnavailable: it may be usable a moment later.
        """
        from mlflow.exceptions import MlflowException

        self._made = []
        with translate_mlflow_errors(self._store):
            try:
                recorded = self._write(record, self._experiment(record.registered_model))
                return replace(recorded, restored=tuple(self._restored))
            except MlflowException as error:
                if not self._is_overtaken():
                    raise
                raise StoreUnavailable(
                    "store.unavailable",
                    f"{self._store.display_uri}: another machine recorded the same at this moment",
                ) from error

    def _write(self, record: Record, experiment_id: str) -> RegistrationResult:
        name = record.registered_model
        version = self._version_of(name, record.artifact.sha256)
        aliases: list[str] = []
        created = False
        if version is not None and record.gates != GATES_FAILED:
            if self._bring_back(version, record.artifact.file):
                version = self._with_parent(version, record, experiment_id)
            else:
                aliases, version = self._give_up(version), None
        if version is None and record.registration and record.gates != GATES_FAILED:
            made = self._write(record.registration, experiment_id)
            if made.version is None:
                return made
            created = made.created
            version = self._version_of(name, record.artifact.sha256)
        run = self._first(self._runs_of(experiment_id, record.digest), version)
        if record.gates == GATES_FAILED:
            if run is not None:
                return self._existing(record, None, run)
            made = self._refuse(record, experiment_id, version)
        elif version is None:
            parent = self._float_version(record, experiment_id)
            made = self._register(record, experiment_id, parent, run)
            version = self._version_of(name, record.artifact.sha256)
            for alias in aliases:
                self._client.set_registered_model_alias(name, alias, made.version)
        else:
            self._link(version)
            if run is not None:
                if run.info.run_id != version.run_id:
                    self._count_as_measurement(run.info.run_id, version)
                return self._existing(record, version, run)
            made = self._add_measurement(record, experiment_id, version)
            made = replace(made, created=created)
        # Other machines may have done the same; whoever comes last sees all.
        run = self._first(self._runs_of(experiment_id, record.digest), version)
        if run is None or run.info.run_id == made.run_id:
            return made
        return self._existing(record, None if record.gates == GATES_FAILED else version, run)

    def _is_overtaken(self) -> bool:
        """Tells whether another machine has put a run of this process into the trash."""
        with contextlib.suppress(Exception):
            return any(
                RETIRED_TAG in self._client.get_run(run_id).data.tags for run_id in self._made
            )
        return False

    def _existing(
        self, record: Record, version: "ModelVersion | None", run: "Run"
    ) -> RegistrationResult:
        return RegistrationResult(
            registered_model=record.registered_model,
            version=str(version.version) if version else None,
            created=False,
            run_id=run.info.run_id,
            run_created=False,
            experiment_id=run.info.experiment_id,
            parent=version.tags.get(PARENT_TAG) if version else None,
        )

    def _register(
        self,
        record: Record,
        experiment_id: str,
        parent: "ModelVersion | None",
        ended: "Run | None",
    ) -> RegistrationResult:
        """Makes the version, from a run that ended without one where there is such a run."""
        tags = {KIND_TAG: KIND_REGISTRATION}
        if parent:
            tags[PARENT_TAG] = f"{parent.name}/{parent.version}"
        description = _describe(record, parent)
        model_id = self._model_of(ended)
        if ended and model_id:
            run_id = ended.info.run_id
        else:
            own = {**tags, _NOTE_TAG: description}
            with self._run(record, experiment_id, f"{record.name} {record.version}", own) as run_id:
                self._log_files(
                    run_id,
                    {**record.files, **_in_model_folder(record.artifact.file)},
                    pages_of(record),
                )
                if parent:
                    self._log_input(run_id, parent)
                model_id = self._log_model(
                    record, record.artifact, record.name, experiment_id, run_id, record.scheme
                )
                self._log(run_id, record.params, record.metrics, model_id)
        created = self._create_version(
            record.registered_model,
            "Quantized models of one deployable. Each version is one artifact; its float master is "
            f"a version of [{record.registered_model}{FLOAT_SUFFIX}]"
            f"(#/models/{record.registered_model}{FLOAT_SUFFIX}).",
            model_id,
            run_id,
            {**_figure_tags(record), **_identity_tags({**record.tags, **tags})},
            f"{description} Recorded by [this run](#/experiments/{experiment_id}/runs/{run_id}).",
        )
        version = self._version_of(record.registered_model, record.artifact.sha256) or created
        return RegistrationResult(
            registered_model=record.registered_model,
            version=str(version.version),
            created=str(version.version) == str(created.version),
            run_id=run_id,
            run_created=True,
            experiment_id=experiment_id,
            parent=version.tags.get(PARENT_TAG),
        )

    def _float_version(self, record: Record, experiment_id: str) -> "ModelVersion | None":
        """Finds, restores or makes the float master's version."""
        # An attempt that failed may have left a float version beside another machine's.
        version, run = self._settled_float(record, experiment_id)
        path = record.float_master.path
        if version is not None and (path is None or self._bring_back(version, path)):
            self._link(version)
            return version
        if path is None:
            return None
        if version is not None:
            self._give_up(version)
        name, digest = _float_identity(record)
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
        model_id = self._model_of(run)
        if run and model_id:
            run_id = run.info.run_id
        else:
            # Its own tags only: the device, gates and data are the artifact's.
            run_tags = {
                **self._lineage_tags,
                **tags,
                DIGEST_TAG: digest,
                KIND_TAG: KIND_FLOAT_MASTER,
                _NOTE_TAG: description,
                "target": record.tags["target"],
            }
            with self._new_run(experiment_id, label, run_tags) as run_id:
                self._log_files(run_id, _in_model_folder(path))
                model_id = self._log_model(
                    record, record.float_master, label, experiment_id, run_id, "float"
                )
                self._log(run_id, {"scheme": "float"}, record.float_metrics, model_id)
        created = self._create_version(
            name,
            f"Float masters of [{record.registered_model}](#/models/{record.registered_model}): "
            "fp32 models, which quantized versions are made from and measured against.",
            model_id,
            run_id,
            tags,
            f"{description} Recorded by [this run](#/experiments/{experiment_id}/runs/{run_id}).",
        )
        return self._settled_float(record, experiment_id)[0] or created

    def _settled_float(
        self, record: Record, experiment_id: str
    ) -> tuple["ModelVersion | None", "Run | None"]:
        """Finds the float master's version and run; takes back what others made beside them."""
        name, digest = _float_identity(record)
        version = self._version_of(name, record.float_master.sha256)
        return version, self._first(self._runs_of(experiment_id, digest), version)

    def _bring_back(self, version: "ModelVersion", file: Path) -> bool:
        """Restores the run of a version, and its file where that is gone.

        Returns:
          Whether it could: a run that is not in the trash any more is gone for good.
        """
        run_id, what = version.run_id, f"{version.name} version {version.version}"
        if not run_id:
            return True
        run = if_there(lambda: self._client.get_run(run_id))
        if run is None:
            return False
        if run.info.lifecycle_stage == _DELETED and RETIRED_TAG not in run.data.tags:
            self._client.restore_run(run_id)
            self._restored.append(f"the run of {what}")
        if not tflite_files(self._client, run_id):
            self._log_files(run_id, _in_model_folder(file))
            self._restored.append(f"the file of {what}")
        return True

    def _give_up(self, version: "ModelVersion") -> list[str]:
        """Deletes a version whose run is gone for good; gives the aliases that pointed at it."""
        number = str(version.version)
        aliases = self._client.get_registered_model(version.name).aliases
        pointing = [alias for alias, which in aliases.items() if str(which) == number]
        self._client.delete_model_version(version.name, number)
        self._restored.append(f"{version.name} version {number}, under a new number")
        return pointing

    def _with_parent(
        self, version: "ModelVersion", record: Record, experiment_id: str
    ) -> "ModelVersion":
        """Restores the float master of a version; gives the version as it then is."""
        parent = self._float_version(record, experiment_id)
        if parent is None:
            return version
        text = f"{parent.name}/{parent.version}"
        if version.tags.get(PARENT_TAG) == text:
            return version
        self._client.set_model_version_tag(version.name, str(version.version), PARENT_TAG, text)
        self._restored.append(f"{parent.name} version {parent.version}")
        return self._version_of(version.name, record.artifact.sha256) or version

    def _add_measurement(
        self, record: Record, experiment_id: str, version: "ModelVersion"
    ) -> RegistrationResult:
        device = record.tags.get("device")
        label = f"{record.name} on {device}" if device else f"{record.name}, another report"
        tags = {KIND_TAG: KIND_MEASUREMENT, VERSION_TAG: f"{version.name}/{version.version}"}
        if version.run_id:
            tags[_PARENT_RUN_TAG] = version.run_id
        with self._run(record, experiment_id, label, tags) as run_id:
            self._log_files(run_id, record.files, pages_of(record))
            self._log_input(run_id, version)
            self._log(run_id, record.params, record.metrics, _model_id(version))
        return RegistrationResult(
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
    ) -> RegistrationResult:
        tags = {KIND_TAG: KIND_REFUSED, "failure": "; ".join(record.failures)[:4000]}
        tags[_NOTE_TAG] = "Refused: " + "; ".join(record.failures)
        if version is not None and version.run_id:
            tags[_PARENT_RUN_TAG] = version.run_id
        label = f"{record.name} {record.version}, refused"
        with self._run(record, experiment_id, label, tags, status="FAILED") as run_id:
            # The bytes too: what was refused is what one wants to look into.
            self._log_files(
                run_id,
                {**record.files, **_in_model_folder(record.artifact.file)},
                pages_of(record),
            )
            self._log(run_id, record.params, record.metrics)
        return RegistrationResult(
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
        if experiment.lifecycle_stage == _DELETED:
            self._restore_experiment(experiment.experiment_id)
            self._restored.append(f"the experiment {name}")
        return experiment.experiment_id

    def _restore_experiment(self, experiment_id: str) -> None:
        """Takes an experiment out of the trash, without the runs that this program put there."""
        self._client.restore_experiment(experiment_id)
        retired = self._client.search_runs(
            [experiment_id], f"tags.{RETIRED_TAG} LIKE '%'", max_results=1000
        )
        for run in retired:
            with _already_done():
                self._client.delete_run(run.info.run_id)

    def _version_of(self, name: str, sha256: str) -> "ModelVersion | None":
        """Finds the version of an artifact; where there are two, takes the later ones back."""
        versions = self._client.search_model_versions(
            f"name = {quoted(name)} and tags.{SHA256_TAG} = '{sha256}'", max_results=100
        )
        versions = sorted(versions, key=lambda version: int(version.version))
        for late in versions[1:]:
            self._take_back(late, versions[0])
        return versions[0] if versions else None

    def _take_back(self, version: "ModelVersion", first: "ModelVersion") -> None:
        model_id = _model_id(version)
        if model_id and model_id != _model_id(first):
            with _already_done():
                self._client.delete_logged_model(model_id)
        if version.run_id and version.run_id != first.run_id:
            self._count_as_measurement(version.run_id, first)
        # Last: as long as it is there, the next process finds what is left to do.
        with _already_done():
            self._client.delete_model_version(version.name, str(version.version))

    def _count_as_measurement(self, run_id: str, version: "ModelVersion") -> None:
        """Lets what the run of a second registration measured count for the version that stays."""
        with _already_done():
            run = self._client.get_run(run_id)
            if run.data.tags.get(KIND_TAG) != KIND_REGISTRATION:
                return
            self._drop_models(run.info.experiment_id, run_id)
            self._log(run_id, {}, run.data.metrics, _model_id(version))
            self._client.set_tag(run_id, VERSION_TAG, f"{version.name}/{version.version}")
            # Last: as long as it says this, the next process finds what is left to do.
            self._client.set_tag(run_id, KIND_TAG, KIND_MEASUREMENT)

    def _runs_of(self, experiment_id: str, digest: str) -> list["Run"]:
        """Finds the runs that ended well; what others left goes into the trash."""
        runs = self._client.search_runs(
            [experiment_id], f"tags.{DIGEST_TAG} = {quoted(digest)}", max_results=100
        )
        ended = []
        for run in runs:
            if run.info.status == "RUNNING":
                if self._is_abandoned(run):
                    self._retire(run, "its process ended before it did", "KILLED")
            elif "interrupted" in run.data.tags:
                self._retire(run, "an error cut it short", "FAILED")
            else:
                ended.append(run)
        return ended

    def _first(self, runs: list["Run"], version: "ModelVersion | None") -> "Run | None":
        """Picks the run that stays of those that say the same.

        That is the one which made the version, or else the one that ended first.
        Before there is a version, nobody can know which of several will make it.
        """
        made = [run for run in runs if version is not None and run.info.run_id == version.run_id]
        if not runs:
            return None
        first = min(made or runs, key=_ended)
        kinds = {run.data.tags.get(KIND_TAG) for run in runs}
        if version is not None or kinds == {KIND_REFUSED}:
            for run in runs:
                if run is not first:
                    why = f"run {first.info.run_id} says the same"
                    self._retire(run, why, run.info.status)
        return first

    def _is_abandoned(self, run: "Run") -> bool:
        writer = run.data.tags.get(WRITER_TAG, "")
        if writer == self._writer:
            # From an attempt that failed: this process writes one run at a time,
            # and looks for others only between them.
            return True
        place, _, process = writer.partition("/")
        if place == self._writer.partition("/")[0]:
            return not is_alive(process)
        return _now_ms() - run.info.start_time > _ABANDONED_SECONDS * 1000

    def _retire(self, run: "Run", why: str, status: str) -> None:
        """Marks a run and puts it, with its model, into MLflow's trash."""
        run_id = run.info.run_id
        with _already_done():
            self._client.set_tag(run_id, RETIRED_TAG, why)
            self._drop_models(run.info.experiment_id, run_id)
            self._client.set_terminated(run_id, status)
            self._client.delete_run(run_id)

    def _drop_models(self, experiment_id: str, run_id: str, but: str | None = None) -> None:
        """Puts a run's models into the trash: an answer that got lost makes a second one."""
        models = self._client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'")
        for model in models:
            if model.model_id != but and _VERSIONS_TAG not in model.tags:
                self._client.delete_logged_model(model.model_id)

    def _model_of(self, run: "Run | None") -> str | None:
        """Finds the complete model of a run that ended."""
        if run is None or not run.outputs or not run.outputs.model_outputs:
            return None
        return run.outputs.model_outputs[0].model_id

    def _link(self, version: "ModelVersion") -> None:
        """Lets the model's page link to its version, where a dead process left that out."""
        if self._store.is_server:
            # A server does this by itself.
            return
        model_id = _model_id(version)
        link = json.dumps([{"name": version.name, "version": str(version.version)}])
        if model_id and _VERSIONS_TAG not in self._client.get_logged_model(model_id).tags:
            self._client.set_logged_model_tags(model_id, {_VERSIONS_TAG: link})

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
            "mlflow.user": user_name(),
            WRITER_TAG: self._writer,
        }
        run = self._client.create_run(experiment_id, run_name=label, tags={**own, **tags})
        run_id = run.info.run_id
        self._made.append(run_id)
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

    def _log_files(
        self, run_id: str, files: Mapping[str, Path], texts: Mapping[str, str] | None = None
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, path in files.items():
                copy = Path(folder, name)
                copy.parent.mkdir(exist_ok=True)
                # Bytes only: a build's outputs are read-only links.
                shutil.copyfile(path, copy)
            for name, text in (texts or {}).items():
                Path(folder, name).write_text(text, encoding="utf-8")
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
            model_type=FLAVOR,
        )
        try:
            with tempfile.TemporaryDirectory() as folder:
                saved = Path(folder, "model")
                litert = record.tags.get("tool.ai-edge-litert")
                save_model(saved, model, run_id, logged.model_id, litert)
                self._client.log_model_artifacts(logged.model_id, str(saved))
            self._client.finalize_logged_model(logged.model_id, "READY")
            self._client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
            self._drop_models(experiment_id, run_id, but=logged.model_id)
        except BaseException:
            with contextlib.suppress(Exception):
                self._client.finalize_logged_model(logged.model_id, "FAILED")
            raise
        return logged.model_id

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
        self._link(version)
        return version


def _float_identity(record: Record) -> tuple[str, str]:
    """Names a float master's registered model, and what its runs are found by."""
    name = record.registered_model + FLOAT_SUFFIX
    return name, f"{name} {record.float_master.sha256}"


def _describe(record: Record, parent: "ModelVersion | None") -> str:
    """Writes a description, in the Markdown that MLflow's UI shows."""
    if parent:
        link = f"#/models/{parent.name}/versions/{parent.version}"
        origin = f"[{parent.name} version {parent.version}]({link})"
    else:
        origin = f"float master `{record.float_master.sha256[:12]}`"
    return (
        f"{record.name} {record.version} ({record.scheme}), made from {origin}: "
        f"{'; '.join(_figure_tags(record).values())}. Gates: {record.gates}."
    )


def _figure_tags(record: Record) -> dict[str, str]:
    """Says in words what people ask first of an artifact."""
    metrics = record.metrics
    size = f"{record.artifact.bytes:,} bytes, {metrics['size_reduction']:.1%} smaller"
    figures = {SIZE_FIGURE_TAG: size}
    worst = min(
        ((value, key) for key, value in metrics.items() if key.startswith("cosine_mean/")),
        default=None,
    )
    if worst:
        of = worst[1].partition("/")[2]
        figures[SIMILARITY_FIGURE_TAG] = f"lowest mean cosine {worst[0]:.4f} (`{of}`)"
    if "speedup" in metrics:
        disturbed = record.tags.get(DISTURBED_TAG)
        figures[SPEED_FIGURE_TAG] = (
            f"{metrics['speedup']:.2f}x as fast on {record.tags['device']} "
            f"({metrics.get('latency_p50_ms', float('nan')):.3g} ms)"
            + (f", disturbed in {disturbed}" if disturbed else "")
        )
    return figures


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
        MIN_RUNTIME_TAG,
        UNKNOWN_OPERATORS_TAG,
    )
    digests = [f"{what} {tags[key][:12]}" for key, what in DIGESTS.items() if key in tags]
    return {key: tags[key] for key in kept if key in tags} | {DIGESTS_TAG: ", ".join(digests)}


def _model_id(version: "ModelVersion") -> str | None:
    """Finds the logged model of a version; MLflow leaves the field itself empty."""
    prefix = "models:/m-"
    source = version.source or ""
    return source.removeprefix("models:/") if source.startswith(prefix) else None


def _ended(run: "Run") -> tuple[int, str]:
    """Orders runs that say the same: everybody who looks must come to one answer."""
    return run.info.end_time or 0, run.info.run_id


@contextlib.contextmanager
def _already_done() -> Iterator[None]:
    """Lets another process have done the same a moment before."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        gone = error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
        if not gone and "must be in the 'active' state" not in str(error):
            raise


def _in_model_folder(path: Path) -> dict[str, Path]:
    return {f"model/{path.name}": path}


def _logged_model_name(text: str) -> str:
    # What MLflow refuses in the name of a logged model.
    return "".join("_" if character in "/:.%\"'" else character for character in text)


def _now_ms() -> int:
    return int(time.time() * 1000)
