"""Says what a registration would write, and writes nothing."""

import os
from collections.abc import Mapping
from pathlib import Path

from registry.catalog import Catalog
from registry.formatting import aligned, number
from registry.git_lineage import read_git_lineage
from registry.overview import pages_of
from registry.record import FLOAT_SUFFIX, GATES_FAILED, Record, failure_lines
from registry.store import Store, connect_to_read


def plan(record: Record, store: Store) -> str:
    """Says what a registration would write.

    Args:
      record: from `read_record`.
      store: from `find_store`; it is read where it is there.

    Returns:
      Lines for people.

    Raises:
      InputError: the store is there and cannot be read.
    """
    name = record.registered_model
    version = master = None
    if store.database is None or store.database.exists():
        catalog = Catalog(store, connect_to_read(store))
        version = catalog.version_of(name, record.artifact.sha256)
        master = catalog.version_of(name + FLOAT_SUFFIX, record.float_master.sha256)
    if record.gates == GATES_FAILED:
        first = f"would record {record.name} as a failed run, not a version"
    elif version is not None:
        first = f"would record a measurement of {name} version {version}, which is there already"
    else:
        first = f"would register a new version of {name} ({record.name} {record.version})"
    lines = [first, *failure_lines(record), f"  store    {store.display_uri}"]
    if record.gates != GATES_FAILED and version is None:
        if master is not None:
            lines.append(f"  made of  {name}{FLOAT_SUFFIX} version {master}")
        elif record.float_master.path:
            lines.append(f"  made of  a new version of {name}{FLOAT_SUFFIX}")
    workspace = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY") or Path.cwd())
    tags = {**read_git_lineage(workspace).tags(), **record.tags}
    files = sorted([*record.files, *pages_of(record)])
    if version is None:
        files.append(f"model/{record.artifact.file.name}")
    lines += ["metrics", _rows({key: number(value) for key, value in record.metrics.items()})]
    lines += ["params", _rows(record.params), "tags", _rows(tags)]
    lines += ["artifacts", *(f"  {file}" for file in files)]
    return "\n".join([*lines, "nothing is written"])


def _rows(values: Mapping[str, str]) -> str:
    table = aligned([(key, values[key]) for key in sorted(values)])
    return "\n".join("  " + line for line in table.splitlines())
