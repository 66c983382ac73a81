"""Shows where a version comes from and where it went: a tree, Graphviz or Mermaid."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field

from registry.store import add_patience_flag, read_with_retries
from registry.tags import PARENT_TAG
from tools.command_line import new_parser, run

_EXAMPLES = """\
  bazel run //registry:lineage -- face@3
  bazel run //registry:lineage -- face@production --format=dot | dot -Tsvg > lineage.svg
  bazel run //registry:lineage -- face@3 --format=mermaid"""

# What a digest in a run's tags stands for.
_DATA_TAGS = {
    "calibration_data_sha256": "calibration data",
    "test_data_sha256": "test data",
    "recipe_sha256": "recipe",
}


@dataclass(frozen=True)
class Node:
    """One step of the way from a source file to an alias.

    Attributes:
      key: names it in the graph.
      lines: what it says; the first is its title.
      children: what was made from it.
    """

    key: str
    lines: tuple[str, ...]
    children: list["Node"] = field(default_factory=list)


def parser() -> argparse.ArgumentParser:
    """Makes the command line's parser."""
    result = new_parser(
        "lineage",
        "Shows where a version comes from and where it went: source file, float master, commit, "
        "data, the version itself, its measurements and aliases.",
        _EXAMPLES,
    )
    result.add_argument("version", help="MODEL@VERSION or MODEL@ALIAS")
    result.add_argument(
        "--format",
        choices=("tree", "dot", "mermaid"),
        default="tree",
        help="text, or a graph for Graphviz or Mermaid (default: %(default)s)",
    )
    add_patience_flag(result)
    return result


def main(arguments: argparse.Namespace) -> int:
    """Prints the lineage.

    Args:
      arguments: from `parser`.

    Returns:
      0.

    Raises:
      InputError: there is no such version.
    """
    from registry.catalog import Catalog

    root = read_with_retries(
        lambda store, client: read_lineage(Catalog(store, client), arguments.version),
        arguments.patience,
    )
    shown = {"tree": as_tree, "dot": as_dot, "mermaid": as_mermaid}[arguments.format]
    print(shown(root))
    return 0


def read_lineage(catalog, reference: str) -> Node:
    """Reads the chain that a version belongs to.

    Args:
      catalog: a `registry.catalog.Catalog`.
      reference: "MODEL@VERSION" or "MODEL@ALIAS".

    Returns:
      Its root: the source file, or what is known nearest to it.
    """
    from registry.formatting import date, number

    version = catalog.read_version(reference)
    tags: Mapping[str, str] = catalog.run_tags(version.run_id) if version.run_id else {}
    lines = [f"{version.reference}: {version.label}"]
    lines.append(f"{number(version.metrics.get('size_bytes'))} bytes, sha256 {version.sha256[:12]}")
    if tags.get("target"):
        lines.append(f"built from {tags['target']}")
    if tags.get("git_commit"):
        dirty = ", with changes" if tags.get("git_dirty") == "true" else ""
        branch = f" on {tags['git_branch']}" if tags.get("git_branch") else ""
        lines.append(f"commit {tags['git_commit'][:12]}{branch}{dirty}")
    lines += [f"{what} {tags[tag][:12]}" for tag, what in _DATA_TAGS.items() if tags.get(tag)]
    node = Node("version", tuple(lines))
    for count, (device, measured) in enumerate(sorted(version.measurements.items())):
        said = [f"{device or 'report'}: gates {measured.gates}"]
        if "latency_p50_ms" in measured.metrics:
            said.append(f"{number(measured.metrics['latency_p50_ms'])} ms")
        said.append(f"run {measured.run_id[:12]}, {date(measured.ended_ms)}")
        node.children.append(Node(f"measurement{count}", (said[0], ", ".join(said[1:]))))
    for count, alias in enumerate(version.aliases):
        node.children.append(Node(f"alias{count}", (f"alias {alias}",)))

    parent = catalog.parent(version)
    gone = parent is None and version.tags.get(PARENT_TAG)
    master = parent.sha256 if parent else tags.get("float_master_sha256", "")
    if master:
        title = parent.reference if parent else "float master"
        if gone:
            title = f"{gone.replace('/', '@')}, deleted since"
        said = [f"{title}: float"]
        size = f"{number(parent.metrics.get('size_bytes'))} bytes, " if parent else ""
        said.append(f"{size}sha256 {master[:12]}")
        node = Node("master", tuple(said), [node])
    source = (parent.tags if parent else tags).get("source_sha256") or tags.get("source_sha256")
    if source:
        node = Node("source", (f"source file, sha256 {source[:12]}",), [node])
    return node


def as_tree(root: Node) -> str:
    """Draws a lineage as text."""
    lines: list[str] = []

    def draw(node: Node, first: str, rest: str) -> None:
        lines.append(first + node.lines[0])
        bar = "|   " if node.children else "    "
        lines.extend(f"{rest}{bar}{line}".rstrip() for line in node.lines[1:])
        for child in node.children:
            last = child is node.children[-1]
            draw(child, rest + ("`-- " if last else "|-- "), rest + ("    " if last else "|   "))

    draw(root, "", "")
    return "\n".join(lines)


def as_dot(root: Node) -> str:
    """Writes a lineage for Graphviz."""
    lines = ["digraph lineage {", '  node [shape=box, fontname="sans-serif"];']
    for node in _walk(root):
        label = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in node.lines)
        lines.append(f'  {node.key} [label="{label}"];')
        lines.extend(f"  {node.key} -> {child.key};" for child in node.children)
    return "\n".join([*lines, "}"])


def as_mermaid(root: Node) -> str:
    """Writes a lineage for Mermaid."""
    lines = ["flowchart TD"]
    for node in _walk(root):
        # Mermaid takes any character as an HTML entity.
        label = "<br>".join(
            line.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;")
            for line in node.lines
        )
        lines.append(f'  {node.key}["{label}"]')
        lines.extend(f"  {node.key} --> {child.key}" for child in node.children)
    return "\n".join(lines)


def _walk(node: Node) -> list[Node]:
    return [node, *(found for child in node.children for found in _walk(child))]


if __name__ == "__main__":
    run(parser(), main)
