"""Which modules of a source tree import which, read from the sources without running them."""

import ast
from collections.abc import Mapping
from pathlib import Path


def modules_of(root: Path, packages: tuple[str, ...]) -> dict[str, Path]:
    """Finds the modules of packages.

    Args:
      root: the folder that is on the path of imports.
      packages: names of folders in it.

    Returns:
      Module name to file.
    """
    found = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Reads what each module imports, inside of functions too.

    Args:
      modules: from `modules_of`.

    Returns:
      Module name to the names of modules that it imports, of the others or not.
    """
    found: dict[str, set[str]] = {}
    for module, path in modules.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    parts = package.split(".")
                    above = parts[: len(parts) - node.level + 1]
                    base = ".".join([*above, base] if base else above)
                # What is imported may be a module of the package, or a name in it.
                for alias in node.names:
                    member = f"{base}.{alias.name}"
                    names.add(member if member in modules else base)
        found[module] = names - {module}
    return found


def import_graph(found: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Keeps what each module imports of the others.

    Args:
      found: from `imports`.

    Returns:
      Module name to the names of those that it imports. A package stands for its
      __init__.py alone.
    """
    return {module: names & found.keys() for module, names in found.items()}


def programs(modules: Mapping[str, Path]) -> set[str]:
    """Finds the modules that are started: those that look whether they are `__main__`.

    Args:
      modules: from `modules_of`.

    Returns:
      Their names.
    """
    return {
        module
        for module, path in modules.items()
        if any(
            isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)
            for node in ast.parse(path.read_text(encoding="utf-8"), str(path)).body
        )
    }


def reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """Finds what a module imports, directly or through others.

    Args:
      graph: from `import_graph`.
      start: one of its modules.

    Returns:
      Names of modules; `start` only where it imports itself.
    """
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for module in graph[waiting.pop()] - seen:
            seen.add(module)
            waiting.append(module)
    return seen


def cycles(graph: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """Finds the groups of modules that import each other, directly or through others.

    Args:
      graph: from `import_graph`.

    Returns:
      For each group its modules, sorted.
    """
    reach = {module: reachable(graph, module) for module in graph}
    return sorted(
        {
            tuple(sorted(other for other in reach[module] if module in reach[other]))
            for module in graph
            if module in reach[module]
        }
    )
