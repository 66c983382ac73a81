"""Finds the host's Python for repository rules."""

def host_python(rctx, version):
    """Finds an interpreter of the wanted version.

    Args:
      rctx: the repository context.
      version: "MAJOR.MINOR".

    Returns:
      The interpreter's absolute path, as a string. It is the real binary: a
      version manager's shim depends on the directory where it is started.
    """
    named = rctx.os.environ.get("RULES_QUANTIZE_PYTHON")
    if named:
        candidates = [named]
    else:
        candidates = []
        for name in ["python" + version, "python3"]:
            path = rctx.which(name)
            if path:
                candidates.append(str(path))
    seen = []
    for candidate in candidates:
        result = rctx.execute([
            candidate,
            "-I",
            "-c",
            "import os, sys; print('%d.%d' % sys.version_info[:2]); " +
            "print(os.path.realpath(sys.executable))",
        ])
        if result.return_code != 0:
            seen.append(candidate + " does not start")
            continue
        lines = result.stdout.strip().split("\n")
        if lines[0] == version:
            return lines[1]
        seen.append("{} is Python {}".format(candidate, lines[0]))
    fail(("{}: Python {} is needed ({}); install python{}, or name one with " +
          "--repo_env=RULES_QUANTIZE_PYTHON=/path/to/python{}").format(
        rctx.attr.name,
        version,
        ", ".join(seen) or "no python3 on PATH",
        version,
        version,
    ))
