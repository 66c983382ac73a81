"""Finds the host's Python for repository rules."""

# What the tools run on, newest first; pyproject.toml's requires-python says the same.
PYTHONS = ["3.14", "3.13", "3.12", "3.11"]

# Everything that tells pip where to fetch from, and which Python to use: of rules that fetch with
# the host's.
PIP_ENVIRON = [
    "PATH",
    "PIP_CERT",
    "PIP_CONFIG_FILE",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_PROXY",
    "RULES_QUANTIZE_PYTHON",
]

# Run in each interpreter that might do. `ensurepip` is not asked for: Debian has it in a
# package of its own, and the environments are made without it.
_PROBE = """\
import importlib, os, platform, sys
lacks = []
if sys.version_info >= (3, 11):
    for name in ("venv", "zlib", "ssl", "ctypes", "pip"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            lacks.append("module " + name)
    if not lacks and tuple(map(int, module.__version__.split(".")[:2])) < (22, 3):
        lacks.append("pip of version 22.3 or later")
print("%d.%d" % sys.version_info[:2])
print(os.path.realpath(sys.executable))
print({"darwin": "macos"}.get(sys.platform, sys.platform) + " " + platform.machine().lower())
print(", ".join(lacks))
"""

def spoken(words, last = "and"):
    """Joins words as a sentence does.

    Args:
      words: a list of strings.
      last: what stands before the last one.

    Returns:
      A string such as "3.11, 3.12 and 3.13".
    """
    if len(words) < 2:
        return "".join(words)
    return "{} {} {}".format(", ".join(words[:-1]), last, words[-1])

def wheels_by_platform(lock):
    """Reads for which Pythons all packages of a lock have wheels.

    Args:
      lock: text of a lock, at whose top `bazel run //rules:lock` writes it.

    Returns:
      List of "MAJOR.MINOR" by platform, such as "linux x86_64"; empty for a lock that
      does not say, which is tried with every Python.
    """
    found = {}
    for line in lock.split("\n"):
        if not line.startswith("#"):
            break
        platform, colon, versions = line[1:].strip().partition(": ")
        if colon and platform.startswith("wheels on "):
            found[platform[len("wheels on "):]] = [
                version
                for version in versions.replace(",", " ").split(" ")
                if version and version != "none"
            ]
    return found

def _ask(rctx, path):
    """Runs the probe; gives its lines, or None."""
    result = rctx.execute([path, "-I", "-c", _PROBE], timeout = 60)
    lines = result.stdout.split("\n")
    return lines if result.return_code == 0 and len(lines) > 3 else None

def _probe(rctx, name):
    """Asks an interpreter what it is.

    Args:
      rctx: the repository context.
      name: an absolute path, or a name on PATH.

    Returns:
      A struct of `name`, and either `problem`, a string, or `version`, `path` and
      `platform`.
    """
    if "/" not in name:
        found = rctx.which(name)
        if not found:
            return struct(name = name, problem = "{} is not on PATH".format(name))
        path = str(found)
    elif not name.startswith("/"):
        return struct(name = name, problem = "{} is no absolute path".format(name))
    elif not rctx.path(name).exists:
        return struct(name = name, problem = "{} does not exist".format(name))
    else:
        path = name
    lines = _ask(rctx, path)

    # A version manager's shim depends on the directory where it is started, and an environment
    # of the user's may have a pip that its interpreter has not: the real binary is asked too.
    if lines and lines[1] != path:
        path = lines[1]
        lines = _ask(rctx, path)
    if not lines:
        return struct(name = name, problem = "{} does not start as a Python".format(path))
    version, binary, platform, lacks = lines[:4]
    problem = None
    if version not in PYTHONS:
        problem = "{} is Python {}".format(path, version)
    elif lacks:
        problem = "{}, Python {}, has no {}".format(path, version, lacks)
    return struct(
        name = name,
        problem = problem,
        version = version,
        path = binary,
        platform = platform,
    )

def host_python(rctx, wheels, python):
    """Finds the interpreter for a repository.

    It is the first of RULES_QUANTIZE_PYTHON, else the one that the workspace names, else the
    newest on PATH. All repositories ask in the same order, so all whose locks have wheels
    for the newest Python get the same one; each of the others gets the newest that it can.

    Args:
      rctx: the repository context.
      wheels: from `wheels_by_platform`; nothing where any Python will do.
      python: what the workspace names, or "".

    Returns:
      A struct of `path`, the interpreter's absolute path as a string. Where there is one that
      can be used, but none for these wheels, `path` is None, `refusal` says why, and
      `constraint` is the same as the name of a target. It fails where none can be used.
    """
    named = rctx.os.environ.get("RULES_QUANTIZE_PYTHON", "").strip()
    if named:
        source = "RULES_QUANTIZE_PYTHON names: "
        names = [name for name in named.split(":") if name]
    elif python:
        source = "the workspace names: "
        names = [python]
    else:
        source = ""
        names = ["python" + version for version in PYTHONS] + ["python3"]
    problems = []
    usable = []
    for name in names:
        if not source and not rctx.which(name):
            continue
        found = _probe(rctx, name)
        if found.problem:
            if found.problem not in problems:
                problems.append(found.problem)
            continue
        if not wheels or found.version in wheels.get(found.platform, []):
            return struct(path = found.path, refusal = None)
        usable.append(found)
    if not usable:
        fail(("{}: no usable Python ({}{}); install Python {} with pip (Debian and Ubuntu: " +
              "apt-get install python3 python3-pip), or name one with " +
              "--repo_env=RULES_QUANTIZE_PYTHON=/path/to/python3").format(
            rctx.attr.name,
            source,
            "; ".join(problems) or "none is on PATH",
            spoken(PYTHONS, "or"),
        ))
    platform = usable[0].platform
    versions = wheels.get(platform, [])
    if not versions:
        return struct(
            path = None,
            constraint = "there_are_no_wheels_for_" + platform.replace(" ", "_"),
            refusal = "its packages have no wheels for {}, but for {}".format(
                platform,
                spoken(sorted([key for key, value in wheels.items() if value])),
            ),
        )
    return struct(
        path = None,
        constraint = "python_{}_is_needed".format("_or_".join(versions)),
        refusal = ("its packages have wheels for Python {}, not for {}; install one of those, or " +
                   "name it with --repo_env=RULES_QUANTIZE_PYTHON=/path/to/python{}").format(
            spoken(versions),
            spoken(["{} ({})".format(found.version, found.path) for found in usable]),
            versions[-1],
        ),
    )
