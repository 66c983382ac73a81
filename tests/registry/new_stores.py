"""Stores for tests: MLflow makes the tables of one, and each test gets a copy."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import pytest

from registry.store import Store, connect, find_store, locked


@functools.cache
def _made() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="store_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    store = find_store({"BUILD_WORKSPACE_DIRECTORY": str(folder)})
    # `connect` names the store in this process's environment.
    with pytest.MonkeyPatch.context() as patch, locked(store):
        patch.setenv("MLFLOW_TRACKING_URI", "")
        connect(store)
    return folder / ".mlflow"


def new_store(workspace: Path) -> Store:
    """Puts a store in a workspace that was made and never used.

    Args:
      workspace: a folder; it is made.

    Returns:
      Where it is.
    """
    shutil.copytree(_made(), workspace / ".mlflow")
    return find_store({"BUILD_WORKSPACE_DIRECTORY": str(workspace)})
