import json
import os
import re
import tarfile
from pathlib import Path

import pytest

from rules.private.write_release_archive import main, parser
from tools.errors import InputError


def _version(pattern, path):
    return re.search(pattern, Path(path).read_text(), flags=re.MULTILINE)[1]


_VERSION = _version(r'^VERSION = "(.+)"$', "rules/version.bzl")


def test_all_say_the_same_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", _VERSION)
    assert _version(r'^    version = "(.+)",$', "MODULE.bazel") == _VERSION
    assert _version(r'^version = "(.+)"$', "pyproject.toml") == _VERSION
    # The newest comes first.
    assert _version(r"^## ([^,\s]+)", "CHANGELOG.md") == _VERSION


def test_the_archive_is_what_the_registry_entry_names():
    source = json.loads(Path(".bcr/source.template.json").read_text())
    name = source["url"].rpartition("/")[2].format(VERSION=_VERSION)
    with tarfile.open(name) as archive:
        members = archive.getmembers()
    prefix = source["strip_prefix"].format(VERSION=_VERSION)
    assert {member.name.partition("/")[0] for member in members} == {prefix}
    assert f"{prefix}/rules/defs.bzl" in {member.name for member in members}
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {
        (0, 0, 0, "")
    }


def _write(folder, files):
    flags = [f"--file={name}={path}" for name, path in files.items()]
    output = folder / "made.tar.gz"
    main(parser().parse_args(["--folder=made-1", f"--output={output}", *flags]))
    return output


def test_bytes_depend_on_names_modes_and_contents_alone(tmp_path):
    made = []
    for folder, seconds in ((tmp_path / "a", 1), (tmp_path / "elsewhere", 10**9)):
        folder.mkdir()
        for name, mode in (("run", 0o700), ("text", 0o600)):
            (folder / name).write_text(name)
            (folder / name).chmod(mode)
            os.utime(folder / name, (seconds, seconds))
        names = ["run", "text"] if seconds == 1 else ["text", "run"]
        made.append(_write(folder, {f"below/{name}": folder / name for name in names}))
    assert made[0].read_bytes() == made[1].read_bytes()
    with tarfile.open(made[0]) as archive:
        assert [(one.name, one.mode) for one in archive] == [
            ("made-1/below/run", 0o755),
            ("made-1/below/text", 0o644),
        ]


def test_a_name_twice_is_refused(tmp_path):
    (tmp_path / "a").write_text("")
    flags = [f"--file=a={tmp_path}/a"] * 2
    output = tmp_path / "made.tar.gz"
    with pytest.raises(InputError, match="--file names a twice"):
        main(parser().parse_args(["--folder=made", f"--output={output}", *flags]))
    assert not output.exists()
