"""Which Bazel bazelw runs, where it gets one from, and what it says."""

import stat

import pytest

from tests.bazelw.stand_ins import ROOT, Machine

BAZELW = ROOT / "bazelw"
LINUX_CHECKSUM = "22e7d3a188699982f661cf4687137ee52d1f24fec1ec893d91a6c4d791a75de8"
ARGUMENTS = ["--batch", "run", "//a:b", "--flag=a b", "--", "c d", "it's", '"', "*", "$HOME", "-x"]

# As curl does: nothing for a host that answers, a file where one is wanted.
CURL_ONLINE = """
while [ $# -gt 1 ]; do
    if [ "$1" = --output ] && [ "$2" != /dev/null ]; then
        printf '#!/bin/sh\\necho "fetched: $*"\\n' >"$2"
    fi
    shift
done
"""
# What curl exits with when a name does not resolve.
CURL_OFFLINE = "exit 6"


@pytest.fixture
def machine(tmp_path):
    """Linux on x86-64, with root and nothing to download from."""
    machine = Machine(tmp_path)
    machine.add("uname", 'case "$1" in -s) echo Linux ;; -m) echo x86_64 ;; esac')
    machine.add("id", "echo 0")
    machine.add("curl", CURL_OFFLINE)
    return machine


def install_by_apt(machine: Machine, name: str = "bazel") -> str:
    """Gives an apt-get's script that puts a program on PATH when it installs a package."""
    source = machine.add(name, folder=machine.home / "archive")
    return (
        'case "$*" in *" install "*)'
        f' printf "Unpacking\\n"; cat "{source}" >"{machine.programs / name}"'
        f' && chmod +x "{machine.programs / name}" ;; esac'
    )


def test_bazel_from_the_environment_comes_first(machine):
    machine.add("bazelisk")
    machine.add("bazel")
    chosen = machine.add("my bazel", folder=machine.home)
    result = machine.run(BAZELW, *ARGUMENTS, BAZEL=str(chosen))
    assert result.returncode == 0
    assert result.stderr == ""
    assert machine.calls("my bazel") == [ARGUMENTS]
    assert machine.calls("bazelisk") == machine.calls("bazel") == []


def test_a_name_that_is_no_program(machine):
    machine.add("bazel")
    result = machine.run(BAZELW, "info", BAZEL="/no/such/bazel")
    assert result.returncode == 1
    assert result.stderr == "bazelw: BAZEL=/no/such/bazel is not a program\n"
    assert machine.calls("bazel") == []


def test_bazelisk_comes_before_bazel(machine):
    machine.add("bazelisk")
    machine.add("bazel")
    result = machine.run(BAZELW, *ARGUMENTS)
    assert result.returncode == 0
    assert result.stderr == ""
    assert machine.calls("bazelisk") == [ARGUMENTS]
    assert machine.calls("bazel") == []


def test_bazel_on_the_path(machine):
    machine.add("bazel")
    machine.add("apt-get")
    assert machine.run(BAZELW, *ARGUMENTS).returncode == 0
    assert machine.calls("bazel") == [ARGUMENTS]
    assert machine.calls("apt-get") == machine.calls("curl") == []


def test_the_exit_code_is_bazels(machine):
    machine.add("bazel", "exit 37")
    assert machine.run(BAZELW, "test", "//...").returncode == 37


def test_the_package_is_installed_where_nothing_can_be_downloaded(machine):
    machine.add("apt-get", install_by_apt(machine))
    result = machine.run(BAZELW, *ARGUMENTS)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert result.stderr == (
        "bazelw: no Bazel found; installing the package bazel-bootstrap with apt-get\n"
    )
    update, install = machine.calls("apt-get")
    assert update[-1] == "update"
    assert install[-3:] == ["--yes", "--no-install-recommends", "bazel-bootstrap"]
    assert machine.calls("bazel") == [ARGUMENTS]


def test_apt_without_a_downloader(machine):
    (machine.programs / "curl").unlink()
    machine.add("apt-get", install_by_apt(machine))
    assert machine.run(BAZELW, "info").returncode == 0
    assert machine.calls("bazel") == [["info"]]


def one_reason(result) -> list[str]:
    """Checks that a run ended with the line that says what to install."""
    assert result.returncode == 1
    assert result.stdout == ""
    *lines, last = result.stderr.splitlines()
    assert last.startswith("bazelw: no Bazel: install bazelisk (https://")
    assert "apt-get install bazel-bootstrap" in last
    assert "BAZEL=/path/to/bazel" in last
    return lines


def test_nothing_works(machine):
    assert one_reason(machine.run(BAZELW, "info")) == []


def test_only_root_installs_packages(machine):
    machine.add("id", "echo 1000")
    machine.add("apt-get")
    assert one_reason(machine.run(BAZELW, "info")) == []
    assert machine.calls("apt-get") == []


def test_apt_fails(machine):
    machine.add("apt-get", 'echo "Reading"; echo "E: Unable to locate package x" >&2; exit 100')
    lines = one_reason(machine.run(BAZELW, "info"))
    assert lines[-1] == "bazelw: apt-get failed: E: Unable to locate package x"
    assert len(machine.calls("apt-get")) == 1


def test_a_package_that_brings_no_bazel(machine):
    machine.add("apt-get")
    assert len(one_reason(machine.run(BAZELW, "info"))) == 1


def online(machine: Machine, checksum: str = LINUX_CHECKSUM) -> None:
    machine.add("curl", CURL_ONLINE)
    machine.add("sha256sum", f'echo "{checksum}  $1"')


def test_bazelisk_is_fetched_where_the_hosts_answer(machine):
    online(machine)
    machine.add("apt-get")
    result = machine.run(BAZELW, "info", "a b")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "fetched: info a b\n"
    cache = machine.home / ".cache" / "rules_quantize"
    assert result.stderr == f"bazelw: fetched bazelisk 1.28.1 into {cache}\n"
    (file,) = cache.iterdir()
    assert file.name == "bazelisk-1.28.1"
    assert file.stat().st_mode & stat.S_IXUSR
    probe, download = machine.calls("curl")
    assert probe[-1] == "https://releases.bazel.build"
    assert "--max-time" in probe
    assert download[-1].endswith("/download/v1.28.1/bazelisk-linux-amd64")
    assert machine.calls("apt-get") == []


def test_what_was_fetched_once_is_used_again(machine):
    online(machine)
    machine.run(BAZELW, "info", XDG_CACHE_HOME=str(machine.home / "cache"))
    machine.add("curl", CURL_OFFLINE)
    result = machine.run(BAZELW, "version", XDG_CACHE_HOME=str(machine.home / "cache"))
    assert result.stdout == "fetched: version\n"
    assert result.stderr == ""


def test_a_mirror_is_what_must_answer(machine):
    online(machine)
    machine.run(BAZELW, "info", BAZELISK_BASE_URL="https://mirror.example/bazel")
    assert machine.calls("curl")[0][-1] == "https://mirror.example/bazel"


def test_a_file_with_another_checksum_is_not_used(machine):
    online(machine, checksum="0" * 64)
    machine.add("apt-get", install_by_apt(machine))
    result = machine.run(BAZELW, "info")
    assert result.returncode == 0
    assert result.stdout == ""
    assert "another checksum; not using it" in result.stderr.splitlines()[0]
    assert list((machine.home / ".cache" / "rules_quantize").iterdir()) == []
    assert machine.calls("bazel") == [["info"]]


@pytest.mark.parametrize(
    ("system", "machine_name", "file"),
    [
        ("Linux", "aarch64", "bazelisk-linux-arm64"),
        ("Darwin", "arm64", "bazelisk-darwin-arm64"),
        ("Darwin", "x86_64", "bazelisk-darwin-amd64"),
    ],
)
def test_each_platform_has_its_file(machine, system, machine_name, file):
    online(machine)
    machine.add("uname", f'case "$1" in -s) echo {system} ;; -m) echo {machine_name} ;; esac')
    machine.run(BAZELW, "info")
    assert machine.calls("curl")[1][-1].endswith("/" + file)


def test_a_platform_that_bazelisk_is_not_made_for(machine):
    online(machine)
    machine.add("uname", 'case "$1" in -s) echo Linux ;; -m) echo s390x ;; esac')
    assert one_reason(machine.run(BAZELW, "info")) == []
    assert machine.calls("curl") == []


def test_wget_does_as_well(machine):
    online(machine)
    (machine.programs / "curl").unlink()
    machine.add(
        "wget",
        'for word; do case "$word" in --spider) exit 8 ;; --output-document=*)'
        ' printf "#!/bin/sh\\necho fetched\\n" >"${word#*=}" ;; esac; done',
    )
    result = machine.run(BAZELW, "info")
    assert result.stdout == "fetched\n"
