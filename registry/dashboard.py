"""Keeps the page of each model current: an artifact of one run, so that the UI needs no plugin."""

import contextlib
import hashlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from registry.aliases import Aliases
from registry.catalog import Catalog, quoted
from registry.dashboard_page import dashboard
from registry.process import user_name
from registry.store import Store, translate_mlflow_errors
from registry.tags import KIND_DASHBOARD, KIND_TAG, RETIRED_TAG
from tools.errors import InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient

FILE_NAME = "dashboard.html"
_PAGE_TAG = "page_sha256"
_MOST_VERSIONS = 50


def refresh_or_warn(program: str, store: Store, client: "MlflowClient", name: str) -> None:
    """Writes the page of a model anew; says so when that cannot be done.

    What was recorded stays recorded, and the next command makes the page.

    Args:
      program: name of the command, for the message.
      store: from `find_store`.
      client: from `connect`.
      name: of the registered model.
    """
    try:
        refresh(store, client, name)
    except InputError as error:
        print(f"{program}: warning: the dashboard was not updated: {error}", file=sys.stderr)


def refresh(store: Store, client: "MlflowClient", name: str) -> str | None:
    """Writes the page of a model anew where it has changed.

    Hold `registry.store.locked` around it. Of two runs that machines made at
    one moment the earlier stays.

    Args:
      store: from `find_store`.
      client: from `connect`.
      name: of the registered model.

    Returns:
      The run that holds the page, or None for a model without a version.

    Raises:
      InputError: the store cannot be used.
    """
    catalog = Catalog(store, client)
    versions = catalog.versions(name, _MOST_VERSIONS)
    if not versions:
        return None
    moves = Aliases(store, client, catalog).history(name)
    page = dashboard(name, versions, moves)
    digest = hashlib.sha256(page.encode()).hexdigest()
    with translate_mlflow_errors(store):
        experiment_id = catalog.experiment_id(name)
        run = _run(client, experiment_id)
        if run is None:
            client.create_run(
                experiment_id,
                run_name=f"{name}: all versions",
                tags={
                    KIND_TAG: KIND_DASHBOARD,
                    "mlflow.user": user_name(),
                    "mlflow.note.content": f"`{FILE_NAME}` among the artifacts is kept current.",
                },
            )
            run = _run(client, experiment_id)
        run_id = run.info.run_id
        if run.data.tags.get(_PAGE_TAG) != digest:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, FILE_NAME)
                path.write_text(page, encoding="utf-8")
                client.log_artifact(run_id, str(path))
            # After the page: a process that dies in between leaves the old digest.
            client.set_tag(run_id, _PAGE_TAG, digest)
        _link(client, name, f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{FILE_NAME}")
        if run.info.status != "FINISHED":
            client.set_terminated(run_id, "FINISHED")
        return run_id


def _link(client: "MlflowClient", name: str, page: str) -> None:
    """Lets the description of a model link to its page, beside what else it says."""
    # Not get_registered_model: on a database that loads every version.
    (model,) = client.search_registered_models(f"name = {quoted(name)}")
    if page not in (model.description or ""):
        said = f"{model.description}\n\n" if model.description else ""
        text = f"{said}[All versions: size, speed and similarity]({page})."
        client.update_registered_model(name, text)


def _run(client: "MlflowClient", experiment_id: str):
    runs = client.search_runs([experiment_id], f"tags.{KIND_TAG} = '{KIND_DASHBOARD}'")
    runs = sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))
    for late in runs[1:]:
        with contextlib.suppress(Exception):
            client.set_tag(late.info.run_id, RETIRED_TAG, f"run {runs[0].info.run_id} is the same")
            client.delete_run(late.info.run_id)
    return runs[0] if runs else None
