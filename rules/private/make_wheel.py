"""Command: packs the programs of this project as a wheel for pip."""

import argparse
import base64
import hashlib
import re
import tomllib
import zipfile
from collections.abc import Mapping
from typing import BinaryIO

from tools.command_line import new_parser, output_path, run, user_path, whole_file
from tools.errors import InputError

_EXAMPLES = "  bazel build //:wheel"

PACKAGE = "rules_quantize"
# Only the tests of this project use these.
OF_TESTS = frozenset({"bazel-runfiles"})
# What the wheel always needs, and what its extras add.
BASE = "litert"
EXTRAS = ("registry", "tensorflow", "tuning")

# The zip format's first moment: no clock enters the bytes.
_MOMENT = (1980, 1, 1, 0, 0, 0)
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^]]*\])?")
_PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)


def parser() -> argparse.ArgumentParser:
    result = new_parser("make_wheel", "Packs programs as a wheel for pip.", _EXAMPLES)
    result.add_argument("--pyproject", required=True, type=user_path, help="pyproject.toml")
    result.add_argument("--licence", required=True, type=user_path, help="text of the licence")
    result.add_argument(
        "--lock", action="append", default=[], type=user_path, help="GROUP.lock of a group"
    )
    result.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="PLACE=PATH",
        help="what is packed, and where in the package it lies",
    )
    result.add_argument("--wheel", required=True, type=output_path, help="the wheel to write")
    return result


def group_of(groups: Mapping[str, list], name: str) -> list[str]:
    """Lists the requirements of a dependency group of pyproject.toml, with the groups in it."""
    result = []
    for entry in groups[name]:
        if isinstance(entry, dict):
            result += group_of(groups, entry["include-group"])
        else:
            result.append(entry)
    return result


def requirements(project: dict, locks: Mapping[str, str]) -> list[tuple[str, str]]:
    """Gives what the wheel requires: the groups' own packages, in the versions of the locks.

    Versions are pinned, as the bytes of an artifact depend on them.

    Args:
      project: what pyproject.toml says.
      locks: by group, the text of its lock.

    Returns:
      (requirement, extra), the extra "" for what is always needed.

    Raises:
      InputError: when a lock lacks a package of its group.
    """
    groups = project["dependency-groups"]
    base = set(group_of(groups, BASE))
    result = []
    for group in (BASE, *EXTRAS):
        pins = dict(_PIN.findall(locks[group]))
        for entry in group_of(groups, group):
            found = _REQUIREMENT.match(entry)
            assert found, entry
            name, extras = found[1].lower(), found[2] or ""
            if name in OF_TESTS or (group != BASE and entry in base):
                continue
            if name not in pins:
                raise InputError(
                    "environment.lock",
                    f"{group}.lock has no {name}, which pyproject.toml names; run "
                    "`bazel run //rules:lock`",
                )
            result.append((f"{name}{extras}=={pins[name]}", group if group != BASE else ""))
    return result


def metadata(project: dict, locks: Mapping[str, str]) -> str:
    """Writes the wheel's METADATA; see https://packaging.python.org/specifications/core-metadata.

    Args:
      project: what pyproject.toml says.
      locks: by group, the text of its lock.

    Returns:
      The text.
    """
    about = project["project"]
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {about['name']}",
        f"Version: {about['version']}",
        f"Summary: {about['description']}",
        f"License-Expression: {about['license']}",
        "License-File: LICENSE",
        f"Requires-Python: {about['requires-python']}",
    ]
    for extra in EXTRAS:
        lines.append(f"Provides-Extra: {extra}")
    for requirement, extra in requirements(project, locks):
        marker = f' ; extra == "{extra}"' if extra else ""
        lines.append(f"Requires-Dist: {requirement}{marker}")
    return "\n".join(lines) + "\n"


def write_wheel(file: BinaryIO, contents: Mapping[str, bytes], folder: str) -> None:
    """Writes a wheel whose bytes depend on its contents alone.

    Args:
      file: to write to.
      contents: by name; those of `folder` come last, as the format wishes.
      folder: NAME-VERSION.dist-info.
    """
    names = sorted(contents, key=lambda name: (name.startswith(f"{folder}/"), name))
    record = []
    with zipfile.ZipFile(file, "w") as wheel:
        for name in names:
            digest = base64.urlsafe_b64encode(hashlib.sha256(contents[name]).digest())
            record.append(f"{name},sha256={digest.rstrip(b'=').decode()},{len(contents[name])}")
            _add(wheel, name, contents[name])
        record.append(f"{folder}/RECORD,,")
        _add(wheel, f"{folder}/RECORD", ("\n".join(record) + "\n").encode())


def _add(wheel: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _MOMENT)
    entry.create_system = 3
    entry.external_attr = 0o100644 << 16
    # Stored: what zlib makes of the same bytes is another thing in each Python.
    wheel.writestr(entry, content, zipfile.ZIP_STORED)


def main(arguments: argparse.Namespace) -> int:
    project = tomllib.loads(arguments.pyproject.read_text("utf-8"))
    locks = {path.stem: path.read_text("utf-8") for path in arguments.lock}
    version = project["project"]["version"]
    folder = f"{PACKAGE}-{version}.dist-info"
    contents = {}
    for word in arguments.file:
        place, _, path = word.partition("=")
        contents[f"{PACKAGE}/{place}"] = user_path(path).read_bytes()
    contents |= {
        f"{folder}/METADATA": metadata(project, locks).encode(),
        f"{folder}/WHEEL": (
            b"Wheel-Version: 1.0\nGenerator: rules_quantize\nRoot-Is-Purelib: true\n"
            b"Tag: py3-none-any\n"
        ),
        f"{folder}/entry_points.txt": (
            f"[console_scripts]\nrqz = {PACKAGE}.__main__:command\n".encode()
        ),
        f"{folder}/licenses/LICENSE": arguments.licence.read_bytes(),
    }
    with whole_file(arguments.wheel) as file:
        write_wheel(file, contents, folder)
    return 0


if __name__ == "__main__":
    run(parser(), main)
