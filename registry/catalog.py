"""Reads the registry: versions with their figures, by device, and where they come from."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from registry.metrics import is_on_device
from registry.record import FLOAT_SUFFIX
from registry.store import Store, if_there, translate_mlflow_errors
from registry.tags import (
    DIGESTS,
    KIND_REFUSED,
    KIND_TAG,
    MEASURED_TAG,
    PARENT_TAG,
    SHA256_TAG,
    TAKEN_TAG,
)
from tools.command_line import bazel_command
from tools.errors import InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

# How many runs of one artifact are read: the newest.
_MOST_RUNS = 1000
# In one answer.
_MOST_VERSIONS = 10_000


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What an artifact's newest runs say of one device: of its speed, and of its answers.

    Attributes:
      device: name of the device, or "" where nothing was measured.
      gates: "passed", "failed" or "not checked".
      failure: which gates failed, or "".
      metrics: of the runs.
      run_id: of the newest run.
      ended_ms: when it ended, in milliseconds since 1970.
      measured: SIMILARITY, SPEED, both or none: what was measured on the device itself.
      taken: whether its accelerator takes the model "whole", "partly" or "refused" it; "" of
        devices whose similarity is the report's.
    """

    device: str
    gates: str
    failure: str
    metrics: Mapping[str, float]
    run_id: str
    ended_ms: int
    measured: frozenset[str] = frozenset()
    taken: str = ""


@dataclasses.dataclass(frozen=True)
class Version:
    """One version of a registered model.

    Attributes:
      name: of the registered model.
      number: the registry's version number.
      tags: of the version, and digests of its run in full.
      aliases: names that point at it.
      created_ms: when it was made, in milliseconds since 1970.
      run_id: of the run that made it.
      metrics: of that run.
      measurements: the newest of each device, by its name. `versions` gives those alone that
        judged answers on the device.
    """

    name: str
    number: int
    tags: Mapping[str, str]
    aliases: tuple[str, ...]
    created_ms: int
    run_id: str
    metrics: Mapping[str, float]
    measurements: Mapping[str, Measurement] = dataclasses.field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The version as the commands take it, such as "face@3"."""
        return f"{self.name}@{self.number}"

    @property
    def sha256(self) -> str:
        """Digest of the artifact."""
        return self.tags.get(SHA256_TAG, "")

    @property
    def label(self) -> str:
        """Scheme and the team's own version, such as "int8 1.0.0"."""
        return " ".join(filter(None, (self.tags.get("scheme"), self.tags.get("version"))))

    def metrics_on(self, device: str) -> dict[str, float]:
        """Gives the figures with those of one device in place of the registration's.

        Args:
          device: its name; one that has not measured this version leaves the
            metrics of devices out.
        """
        metrics = {key: value for key, value in self.metrics.items() if not is_on_device(key)}
        if device in self.measurements:
            metrics.update(self.measurements[device].metrics)
        return metrics

    def value_on(self, device: str, metric: str) -> float | None:
        """Gives one figure of one device.

        Args:
          device: its name, or "" for the registration's own figures.
          metric: its full name. Of similarity there is the device's own alone.

        Returns:
          None where it has not been measured there.
        """
        measured = self.measurements.get(device)
        if not device or is_on_device(metric) or not (measured and measured.taken):
            return self.metrics_on(device).get(metric)
        return measured.metrics.get(metric)

    def judged_on(self) -> list[Measurement]:
        """Gives what devices said of the artifact's answers, by their names."""
        found = sorted(self.measurements.items())
        return [measured for _, measured in found if measured.taken]


@dataclasses.dataclass(frozen=True)
class Move:
    """One move of an alias.

    Attributes:
      alias: its name.
      kind: KIND_PROMOTION or KIND_ROLLBACK.
      before: version that held it, or None.
      after: version that holds it since.
      who: user that moved it.
      reason: as given, or "".
      forced: whether the policy was overruled.
      time_ms: milliseconds since 1970.
      run_id: the run that keeps it.
      is_pending: whether the policy's command has not been told of it yet, as far as is known.
    """

    alias: str
    kind: str
    before: int | None
    after: int
    who: str
    reason: str
    forced: bool
    time_ms: int
    run_id: str
    is_pending: bool = False


def parse_reference(text: str) -> tuple[str, str]:
    """Splits "face@3" or "face@production".

    Args:
      text: as the user typed it.

    Returns:
      Name of the registered model, and number or alias.

    Raises:
      InputError: it is of another form.
    """
    name, separator, which = text.rpartition("@")
    if not separator or not name or not re.fullmatch(r"[\w-]+", which):
        raise InputError(
            "registry.name", f"{text!r}: MODEL@VERSION or MODEL@ALIAS is wanted, such as face@3"
        )
    return name, which


def tflite_files(client: "MlflowClient", run_id: str) -> list[str]:
    """Names the .tflite files of a run's model, by their paths among its artifacts."""
    files = client.list_artifacts(run_id, "model")
    return [file.path for file in files if file.path.endswith(".tflite")]


class Catalog:
    """Reads one store, and writes nothing."""

    def __init__(self, store: Store, client: "MlflowClient"):
        """Makes a catalog.

        Args:
          store: from `find_store`.
          client: from `connect`.
        """
        self._store = store
        self._client = client
        self._aliases: dict[str, dict[str, int]] = {}
        self._experiments: dict[str, str] = {}

    def forget(self) -> None:
        """Reads aliases anew from here on: one of them has moved."""
        self._aliases.clear()

    def aliases(self, name: str) -> dict[str, int]:
        """Says which version each alias of a model points at.

        Args:
          name: of the registered model.

        Returns:
          Version numbers by alias.

        Raises:
          InputError: there is no such model.
        """
        if name in self._aliases:
            return self._aliases[name]
        with translate_mlflow_errors(self._store):
            # Not get_registered_model: on a database that loads every version.
            found = self._client.search_registered_models(f"name = {quoted(name)}")
        if not found:
            raise InputError("registry.model", self._no_model(name))
        aliases = found[0].aliases
        self._aliases[name] = {alias: int(aliases[alias]) for alias in sorted(aliases)}
        return self._aliases[name]

    def models(self) -> list[str]:
        """Names the registered models, float masters left out."""
        with translate_mlflow_errors(self._store):
            found, token = [], None
            while True:
                page = self._client.search_registered_models(max_results=1000, page_token=token)
                found += [model.name for model in page if not model.name.endswith(FLOAT_SUFFIX)]
                token = page.token
                if not token:
                    return sorted(found)

    def versions(self, name: str, limit: int) -> list[Version]:
        """Reads the newest versions of a model.

        Args:
          name: of the registered model.
          limit: how many at most.

        Returns:
          Versions, the newest first.

        Raises:
          InputError: there is no such model.
        """
        aliases = self.aliases(name)
        with translate_mlflow_errors(self._store):
            found = self._client.search_model_versions(
                f"name = {quoted(name)}", max_results=limit, order_by=["version_number DESC"]
            )
            versions = self._with_metrics(found, aliases)
            judged = self._runs(name, f"tags.{TAKEN_TAG} LIKE '%'") if versions else []
        of_artifact: dict[str, list[Run]] = {}
        for run in judged:
            of_artifact.setdefault(run.data.tags.get(SHA256_TAG, ""), []).append(run)
        return [
            dataclasses.replace(each, measurements=_by_device(of_artifact.get(each.sha256, ())))
            for each in versions
        ]

    def numbers(self, name: str) -> set[int]:
        """Says which versions of a model there are, deleted ones left out.

        Args:
          name: of the registered model.
        """
        with translate_mlflow_errors(self._store):
            found, token = set(), None
            while True:
                page = self._client.search_model_versions(
                    f"name = {quoted(name)}", max_results=_MOST_VERSIONS, page_token=token
                )
                found |= {int(version.version) for version in page}
                token = page.token
                if not token:
                    return found

    def read_version(self, reference: str) -> Version:
        """Reads one version with its newest measurement on each device.

        Args:
          reference: "MODEL@VERSION" or "MODEL@ALIAS".

        Returns:
          The version.

        Raises:
          InputError: there is none.
        """
        name, which = parse_reference(reference)
        aliases = self.aliases(name)
        with translate_mlflow_errors(self._store):
            number = int(which) if which.isdigit() else aliases.get(which)
            if number is None:
                known = ", ".join(aliases) or "none yet"
                raise InputError(
                    "registry.alias",
                    f"{reference}: {name} has no alias {which!r} (it has: {known})",
                )
            found = if_there(lambda: self._client.get_model_version(name, str(number)))
            if found is None:
                raise InputError(
                    "registry.version",
                    f"{reference}: {name} has no version {number}; "
                    f"`{bazel_command('run', '//registry:list', name)}` shows those that it has",
                )
            (version,) = self._with_metrics([found], aliases)
            return dataclasses.replace(version, measurements=self._measurements(version))

    def version_of(self, name: str, sha256: str) -> int | None:
        """Finds the version of an artifact.

        Args:
          name: of the registered model; there need not be one.
          sha256: of the artifact.

        Returns:
          The version's number, or None.
        """
        with translate_mlflow_errors(self._store):
            found = self._client.search_model_versions(
                f"name = {quoted(name)} and tags.{SHA256_TAG} = '{sha256}'"
            )
        return min((int(version.version) for version in found), default=None)

    def experiment_id(self, name: str) -> str:
        """Finds the experiment of a model.

        Args:
          name: of the registered model, or of its float masters.

        Returns:
          The experiment's ID.

        Raises:
          InputError: there is none.
        """
        name = name.removesuffix(FLOAT_SUFFIX)
        if name not in self._experiments:
            with translate_mlflow_errors(self._store):
                experiment = self._client.get_experiment_by_name(name)
            if experiment is None:
                raise InputError("registry.model", self._no_model(name))
            self._experiments[name] = experiment.experiment_id
        return self._experiments[name]

    def parent(self, version: Version) -> Version | None:
        """Reads the float master of a version, where it is in the registry."""
        text = version.tags.get(PARENT_TAG)
        if not text:
            return None
        try:
            return self.read_version(text.replace("/", "@"))
        except InputError as error:
            if error.code != "registry.version":
                raise
            return None

    def run_tags(self, run_id: str) -> Mapping[str, str]:
        """Reads the tags of a run; none where it is gone for good."""
        with translate_mlflow_errors(self._store):
            run = if_there(lambda: self._client.get_run(run_id))
        return run.data.tags if run else {}

    def _no_model(self, name: str) -> str:
        return (
            f"{name}: not a registered model in {self._store.display_uri}; "
            f"`{bazel_command('run', '//registry:list')}` shows those that are"
        )

    def _with_metrics(
        self, found: Sequence["ModelVersion"], aliases: Mapping[str, int]
    ) -> list[Version]:
        metrics: dict[str, Mapping[str, float]] = {}
        digests: dict[str, dict[str, str]] = {}
        if found:
            experiment_id = self.experiment_id(found[0].name)
            for ids in _portions([version.run_id for version in found if version.run_id], 200):
                quoted = ", ".join(f"'{run_id}'" for run_id in ids)
                runs = self._client.search_runs(
                    [experiment_id], f"attributes.run_id IN ({quoted})", max_results=len(ids)
                )
                for run in runs:
                    metrics[run.info.run_id] = run.data.metrics
                    digests[run.info.run_id] = {
                        tag: run.data.tags[tag] for tag in DIGESTS if tag in run.data.tags
                    }
        return [
            Version(
                name=version.name,
                number=int(version.version),
                tags={**digests.get(version.run_id, {}), **version.tags},
                aliases=tuple(
                    alias for alias, number in aliases.items() if number == int(version.version)
                ),
                created_ms=version.creation_timestamp,
                run_id=version.run_id or "",
                metrics=metrics.get(version.run_id, {}),
            )
            for version in found
        ]

    def _measurements(self, version: Version) -> dict[str, Measurement]:
        return _by_device(self._runs(version.name, f"tags.{SHA256_TAG} = '{version.sha256}'"))

    def _runs(self, name: str, which: str) -> list["Run"]:
        """Finds runs of a model that ended, the newest first."""
        return self._client.search_runs(
            [self.experiment_id(name)],
            f"{which} and attributes.status != 'RUNNING'",
            max_results=_MOST_RUNS,
            order_by=["attributes.end_time DESC"],
        )


def _by_device(runs: Iterable["Run"]) -> dict[str, Measurement]:
    """Gives what the newest runs of one artifact say of each device.

    Speed and answers of a device may be measured by two runs: the newest of each counts.

    Args:
      runs: the newest first.
    """
    newest: dict[str, Measurement] = {}
    seen = set()
    for run in runs:
        tags = run.data.tags
        if "interrupted" in tags or KIND_TAG not in tags or "gates" not in tags:
            continue
        device, taken = tags.get("device", ""), tags.get(TAKEN_TAG, "")
        if (device, bool(taken)) in seen:
            continue
        seen.add((device, bool(taken)))
        found = Measurement(
            device=device,
            gates="failed" if tags[KIND_TAG] == KIND_REFUSED else tags["gates"],
            failure=tags.get("failure", ""),
            metrics=run.data.metrics,
            run_id=run.info.run_id,
            ended_ms=run.info.end_time or 0,
            measured=frozenset(tags.get(MEASURED_TAG, "").split(", ")) - {""},
            taken=taken,
        )
        newest[device] = _together(newest[device], found) if device in newest else found
    return newest


def _together(newer: Measurement, older: Measurement) -> Measurement:
    """Puts what a device said of speed beside what it said of answers."""
    judged, timed = (newer, older) if newer.taken else (older, newer)
    # A run of speed repeats the report's similarity, which is not this device's.
    own = {key: value for key, value in timed.metrics.items() if is_on_device(key)}
    order = ("failed", "not checked", "passed")
    return dataclasses.replace(
        newer,
        gates=min(newer.gates, older.gates, key=order.index),
        failure="; ".join(filter(None, (newer.failure, older.failure))),
        metrics={**judged.metrics, **own},
        measured=newer.measured | older.measured,
        taken=judged.taken,
    )


def _portions(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def quoted(text: str) -> str:
    """Quotes text as MLflow's filters take it."""
    return '"' + text + '"' if "'" in text else "'" + text + "'"
