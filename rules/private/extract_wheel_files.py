"""Takes files out of a wheel that pip fetches.

Run by the repository rule `wheel_files` with the host's interpreter. On failure
it prints one line on standard error and exits with status 1.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from install_python_env import InstallError, explain, pip_module


def extract(spec: dict, directory: Path) -> None:
    """Fetches the wheel and writes the files.

    Args:
      spec: requirement ("name==version"), sha256, platform (wheel tag),
        python_version ("MAJOR.MINOR"), files (output name to path in the wheel).
      directory: where to write them.

    Raises:
      InstallError: one line that says what failed.
    """
    with tempfile.TemporaryDirectory() as download:
        requirements = Path(download, "requirements.txt")
        requirements.write_text(f"{spec['requirement']} --hash=sha256:{spec['sha256']}\n")
        command = [
            *pip_module(),
            "download",
            "--require-hashes",
            "--no-deps",
            "--only-binary=:all:",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar=off",
            f"--python-version={spec['python_version']}",
            f"--platform={spec['platform']}",
            f"--dest={download}",
            f"--requirement={requirements}",
        ]
        result = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if result.returncode != 0:
            raise InstallError(explain(result.stdout, spec["requirement"]))
        (wheel,) = Path(download).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name, member in sorted(spec["files"].items()):
                try:
                    content = archive.read(member)
                except KeyError:
                    raise InstallError(f"{wheel.name} holds no file {member}") from None
                output = directory / name
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_bytes(content)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--spec", required=True, type=Path)
    parser.add_argument("--directory", required=True, type=Path)
    arguments = parser.parse_args()
    try:
        extract(json.loads(arguments.spec.read_text()), arguments.directory)
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
