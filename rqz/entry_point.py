"""What pip's script `rqz` starts: the programs of the wheel, as Bazel would start them.

In the wheel this is rules_quantize/__main__.py. The project's own packages are called `tools`,
`registry` and `rqz`, and others in site-packages may have those names. So the wheel has one
package, rules_quantize, and they lie in its folder `programs`, which no import finds. A new
process starts with that folder first on its path: what is installed beside it hides none of its
modules, and no other program sees them.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn


def command() -> NoReturn:
    """Becomes the process of `rqz`, with the variables that rules/private/launcher.sh.tpl sets."""
    programs = Path(__file__).resolve().parent / "programs"
    environment = dict(os.environ)
    for name in ("PYTHONHOME", "PYTHONSTARTUP", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        environment.pop(name, None)
    # Only a new process has these from its start: same inputs, same bytes, as by the rules.
    environment.update(PYTHONUTF8="1", PYTHONSAFEPATH="1", PYTHONHASHSEED="0")
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")
    given = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([str(programs), *([given] if given else [])])
    words = [sys.executable, str(programs / "rqz" / "main.py"), *sys.argv[1:]]
    os.execve(sys.executable, words, environment)


if __name__ == "__main__":
    command()
