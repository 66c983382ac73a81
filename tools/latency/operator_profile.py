"""Reads the table of operators that TFLite's benchmark_model prints (--enable_op_profiling).

Its rows are of nodes of the graph, one of which may be a delegate; where the delegate
profiles itself, a second table has the operators inside it.
"""

import re
from collections import Counter
from collections.abc import Iterable

from tools.errors import InputError
from tools.graph.flatbuffer import TfliteModel, tensor_name, type_name

_RUNS = "Operator-wise Profiling Info for Regular Benchmark Runs"
_INSIDE = "Delegate/"
_NUMBER = r"\s+-?[\d.]+(?:e[+-]?\d+)?%?"


def _rows(text: str) -> list[tuple[str, float, str]]:
    """(node type, milliseconds a run, name) in the order of running."""
    found = []
    columns: list[str] | None = None
    # What comes before is of the initialization.
    for line in text[max(text.find(_RUNS), 0) :].splitlines():
        line = line.removeprefix("INFO: ").rstrip()
        if re.search(r"=== .* ===", line):
            columns = [] if " Run Order " in line else None
        elif columns == []:
            columns = re.findall(r"\[(.*?)\]", line)
        elif columns:
            row = re.fullmatch(rf"\s*(.+?)((?:{_NUMBER}){{{len(columns) - 2}}})\s+(\S.*)", line)
            if not row:
                columns = None
                continue
            values = dict(zip(columns[1:-1], row[2].replace("%", "").split(), strict=True))
            # The average is of a call; operators of several partitions may share a row.
            each, times = float(values["avg ms"]), float(values.get("times called", 1))
            found.append((row[1], each * times, row[3]))
    return found


def _is_delegate(kind: str, name: str) -> bool:
    return "delegate" in kind.lower() and not name.startswith(_INSIDE)


def read_operator_profile(text: str, where: str) -> list[dict]:
    """Reads how long each operator takes.

    Args:
      text: what benchmark_model printed.
      where: how messages name it.

    Returns:
      {"kind": str, "name": str, "ms": float, "delegated": bool} in the order of running. The
      kind of an operator inside a delegate is the delegate's word for it, and its name is
      empty; elsewhere the name is that of its output. A delegate that does not profile itself
      is one row.

    Raises:
      InputError: when there is no table.
    """
    rows = _rows(text)
    if not rows:
        raise InputError(
            "benchmark.output", f"{where}: benchmark_model printed no profile of operators"
        )
    # A delegate that profiles itself stands for nothing that its operators do not.
    profiled = any(name.startswith(_INSIDE) for _, _, name in rows)
    found = []
    for kind, milliseconds, name in rows:
        if name.startswith(_INSIDE):
            kind = name.removeprefix(_INSIDE).rpartition(":")[0]
            found.append((kind, "", milliseconds, True))
        elif not (profiled and _is_delegate(kind, name)):
            output = re.fullmatch(r"\[(.*?)(?:, .*)?\](?::\d+)?", name)
            name = output[1] if output else name
            found.append((kind, name, milliseconds, _is_delegate(kind, name)))
    return [
        {"delegated": delegated, "kind": kind, "ms": milliseconds, "name": name}
        for kind, name, milliseconds, delegated in found
    ]


def fallback_of(profile: Iterable[dict], model: TfliteModel) -> dict[str, int]:
    """Counts the operators that a profile shows outside a delegate.

    Args:
      profile: as `read_operator_profile` gives it.
      model: what was profiled.

    Returns:
      {"NAME (types)": count} as tools.latency.delegate_use.read_delegate_use.
    """
    subgraph = model.schema.subgraphs[0]
    types = {}
    for operator in subgraph.operators:
        kinds = {
            type_name(subgraph.tensors[index]).lower()
            for index in (*operator.inputs, *operator.outputs)
            if index >= 0
        }
        types[tensor_name(subgraph.tensors[operator.outputs[0]])] = ", ".join(sorted(kinds))
    found: Counter[str] = Counter()
    for one in profile:
        if not one["delegated"]:
            kind = one["kind"].split("/")[0]
            found[f"{kind} ({types.get(one['name'], 'unknown types')})"] += 1
    return dict(sorted(found.items()))
