import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest


def _version(pattern, path):
    return re.search(pattern, Path(path).read_text(), flags=re.MULTILINE)[1]


_VERSION = _version(r'^VERSION = "(.+)"$', "rules/version.bzl")

# What a release must have and must not, beside the files that make it.
_PACKED = ("models/BUILD.bazel", "rules/defs.bzl", "tests/BUILD.bazel", "tests/nightly.bzl",
           "tests/perf.bzl", "tools/bazel", "tools/graph/flatbuffer.py")  # fmt: skip
_LEFT_OUT = (".bazelrc", ".bcr/README.md", "bazelw", "benchmarks/qat.py", "docs/how-to/set_up.md",
             "tests/e2e/BUILD.bazel", "tests/extent.py")  # fmt: skip
_EXECUTABLE = ("bazelw", "tools/bazel")


def test_all_say_the_same_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", _VERSION)
    assert _version(r'^    version = "(.+)",$', "MODULE.bazel") == _VERSION
    assert _version(r'^version = "(.+)"$', "pyproject.toml") == _VERSION
    # The newest comes first.
    assert _version(r"^## ([^,\s]+)", "CHANGELOG.md") == _VERSION


def _run(*words, **variables):
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"} | variables
    environment = os.environ | settings
    return subprocess.run(words, capture_output=True, check=False, text=True, env=environment)


def _git(folder, *words):
    name = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    done = _run("git", "-C", folder, *name, *words)
    assert done.returncode == 0, done.stderr


@pytest.fixture(name="repository")
def _repository(tmp_path):
    """A small one, with what packs this one's releases."""
    folder = tmp_path / "repository"
    for name in (".ci/release_archive", ".gitattributes", "rules/version.bzl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, folder / name)
    for name in _PACKED + _LEFT_OUT:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(0o755 if name in _EXECUTABLE else 0o644)
    _git(tmp_path, "init", "--quiet", folder)
    _git(folder, "add", ".")
    _git(folder, "commit", "--quiet", "--message=a")
    return folder


def _packed(repository, folder, commit="HEAD", umask="022", **variables):
    folder.mkdir()
    script = f'umask {umask}; exec "$0" "$@"'
    words = (repository / ".ci/release_archive", commit, folder)
    done = _run("sh", "-c", script, *words, **variables)
    assert done.returncode == 0, done.stderr
    assert [Path(done.stdout.strip())] == list(folder.iterdir())
    return Path(done.stdout.strip())


def test_the_archive_is_what_the_registry_entry_names(repository, tmp_path):
    source = json.loads(Path(".bcr/source.template.json").read_text())
    packed = _packed(repository, tmp_path / "out")
    assert packed.name == source["url"].rpartition("/")[2].format(VERSION=_VERSION)
    prefix = source["strip_prefix"].format(VERSION=_VERSION)
    with tarfile.open(packed) as archive:
        modes = {one.name: one.mode for one in archive if one.isfile()}
    assert modes == {
        f"{prefix}/{name}": 0o755 if name in _EXECUTABLE else 0o644
        for name in (*_PACKED, "rules/version.bzl")
    }


def test_bytes_depend_on_the_commit_alone(repository, tmp_path):
    first = _packed(repository, tmp_path / "first").read_bytes()
    clone = tmp_path / "clone"
    _git(tmp_path, "clone", "--quiet", "--no-hardlinks", repository, clone)
    # Neither who packs and where, nor what is not committed.
    (clone / "rules/defs.bzl").write_text("changed")
    (clone / "rules/new.bzl").write_text("")
    again = _packed(clone, tmp_path / "again", umask="077", TZ="Asia/Tokyo").read_bytes()
    assert again == first
    _git(clone, "add", ".")
    _git(clone, "commit", "--quiet", "--message=b")
    assert _packed(clone, tmp_path / "changed").read_bytes() != first
    assert _packed(clone, tmp_path / "parent", commit="HEAD^").read_bytes() == first


def test_what_is_no_commit_is_refused(repository, tmp_path):
    done = _run(repository / ".ci/release_archive", "nothing", tmp_path)
    assert done.returncode != 0
    assert "nothing" in done.stderr
    assert list(tmp_path.iterdir()) == [repository]
