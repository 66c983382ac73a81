"""What `bazel run //rules:lock` writes, keeps and refuses, with an index in a folder."""

import pytest

from rules.private.lock_environments import read_pip_settings, supported_pythons, uv_environment
from tests.locks.workspaces import PROJECT, Workspace, one_line
from tests.refused import refused

_ALL = """\
# wheels on linux x86_64: 3.11, 3.12, 3.13, 3.14
# wheels on linux aarch64: 3.11, 3.12, 3.13, 3.14
# wheels on macos arm64: 3.11, 3.12, 3.13, 3.14
"""


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


@pytest.fixture(name="once", scope="module")
def _once(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("locked"))
    result = workspace.lock()
    assert result.returncode == 0, result.stderr
    return workspace


@pytest.fixture
def locked(once, tmp_path):
    return once.copy(tmp_path)


def test_a_lock_for_each_group(locked):
    assert sorted(path.name for path in locked.path("x").parent.iterdir()) == [
        "tests.lock",
        "tools.lock",
    ]
    text = locked.path("tests").read_text()
    assert text.startswith(_ALL + "second==2.0 \\")
    assert f"--hash=sha256:{locked.hashes['second', '2.0']}" in text
    assert locked.hashes["second", "1.0"] not in text


def test_a_lock_says_for_which_pythons_there_are_wheels(workspace):
    workspace.publish("second", "3.0", "cp311-cp311-manylinux_2_28_x86_64")
    workspace.publish("second", "3.0", "cp313-cp313-manylinux_2_28_x86_64")
    # The stable ABI, from 3.12 on.
    workspace.publish("second", "3.0", "cp312-abi3-macosx_11_0_universal2")
    # Too new for what is promised.
    workspace.publish("second", "3.0", "cp311-cp311-manylinux_2_39_aarch64")
    assert workspace.lock().returncode == 0
    assert workspace.path("tests").read_text().splitlines()[:4] == [
        "# wheels on linux x86_64: 3.11, 3.13",
        "# wheels on linux aarch64: none",
        "# wheels on macos arm64: 3.12, 3.13, 3.14",
        "second==3.0 \\",
    ]
    assert workspace.path("tools").read_text().startswith(_ALL)


def test_a_package_may_need_what_only_one_platform_has(workspace):
    requires = ("second ; sys_platform == 'darwin'",)
    workspace.publish("first", "2.0", requires=requires)
    workspace.publish("second", "4.0", "cp313-cp313-macosx_11_0_arm64")
    assert workspace.lock("--group=tools").returncode == 0
    assert workspace.path("tools").read_text().splitlines()[:3] == [
        "# wheels on linux x86_64: 3.11, 3.12, 3.13, 3.14",
        "# wheels on linux aarch64: 3.11, 3.12, 3.13, 3.14",
        "# wheels on macos arm64: 3.13",
    ]


def test_what_needs_a_newer_python_than_the_first_is_not_locked(workspace):
    workspace.publish("second", "3.0", requires_python=">=3.12")
    assert workspace.lock().returncode == 0
    assert workspace.path("tests").read_text().startswith(_ALL + "second==2.0 \\")


@pytest.mark.parametrize("requires", ["", ">=3.11", ">=3.12,<3.12", "<3,>=2.7"])
def test_requires_python_must_have_two_ends(requires):
    with refused("environment.project"):
        supported_pythons({"project": {"requires-python": requires}})


def test_supported_pythons():
    project = {"project": {"requires-python": ">=3.11.4,<3.14"}}
    assert supported_pythons(project) == ["3.11", "3.12", "3.13"]


def test_locking_again_changes_nothing(locked):
    before = locked.path("tests").stat().st_mtime_ns
    locked.publish("second", "3.0")
    result = locked.lock()
    assert result.returncode == 0, result.stderr
    assert result.stdout == (
        "rules/locks/tests.lock: up to date\nrules/locks/tools.lock: up to date\n"
    )
    assert locked.path("tests").stat().st_mtime_ns == before


def test_upgrade_takes_the_newest(locked):
    locked.publish("second", "3.0")
    result = locked.lock("--upgrade")
    assert result.stdout == "rules/locks/tests.lock: written\nrules/locks/tools.lock: up to date\n"
    assert locked.path("tests").read_text().startswith(_ALL + "second==3.0 ")


def test_check_names_what_is_stale_and_writes_nothing(locked):
    before = locked.path("tools").read_text()
    assert locked.lock("--check").returncode == 0
    locked.publish("first", "1.5")
    locked.project.write_text(PROJECT.replace('"first"', '"first>=1.5"'))
    result = locked.lock("--check")
    assert result.returncode == 1
    tests_line, tools_line = result.stdout.splitlines()
    assert tests_line == "rules/locks/tests.lock: up to date"
    assert tools_line.startswith("rules/locks/tools.lock: stale; lock again with `bazel run ")
    assert locked.path("tools").read_text() == before


def test_a_lock_that_is_missing_is_stale(workspace):
    assert workspace.lock("--check").returncode == 1
    assert not workspace.path("tests").exists()


def test_one_group_alone(workspace):
    assert workspace.lock("--group=tools").returncode == 0
    assert not workspace.path("tests").exists()


def test_no_such_group(workspace):
    line = one_line(workspace.lock("--group=nothing"))
    assert "no dependency group nothing" in line
    assert "'tests', 'tools'" in line


def test_nothing_satisfies_a_group(locked):
    before = locked.path("tools").read_text()
    locked.project.write_text(PROJECT.replace('"first"', '"first>=9"'))
    line = one_line(locked.lock())
    assert line.startswith("lock: error: group tools cannot be locked:")
    assert "first>=9" in line
    assert locked.path("tools").read_text() == before


def test_not_started_by_bazel_run(workspace):
    line = one_line(workspace.lock(BUILD_WORKSPACE_DIRECTORY=""))
    assert "bazel run //rules:lock" in line


def test_uvs_own_settings_come_before_pips(workspace):
    result = workspace.lock(
        PIP_INDEX_URL="file:///no/such/index", UV_DEFAULT_INDEX=workspace.index.as_uri()
    )
    assert result.returncode == 0, result.stderr


def test_pips_settings_by_precedence():
    listing = """\
:env:.cert='/env.pem'
:env:.disable-pip-version-check='1'
global.cert='/global.pem'
global.extra-index-url='https://one/simple https://two/simple'
global.index-url='https://global/simple'
install.index-url='https://install/simple'
freeze.timeout='10'
global.odd=unquoted words
"""
    settings = read_pip_settings(listing)
    assert settings["cert"] == "/env.pem"
    assert settings["index-url"] == "https://install/simple"
    assert "odd" not in settings
    assert "timeout" not in settings


def test_uv_reaches_the_index_as_pip_does():
    pip = {
        "cert": "/pip.pem",
        "extra-index-url": "https://other/simple",
        "find-links": "/wheels",
        "index-url": "https://mirror/simple",
        "proxy": "http://proxy:3128",
    }
    assert uv_environment(pip, {"A": "b"}) == {
        "A": "b",
        "HTTPS_PROXY": "http://proxy:3128",
        "HTTP_PROXY": "http://proxy:3128",
        "SSL_CERT_FILE": "/pip.pem",
        "UV_DEFAULT_INDEX": "https://mirror/simple",
        "UV_PYTHON_DOWNLOADS": "never",
    }


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_an_index_given_to_uv_is_kept(variable):
    own = {variable: "https://own/simple", "SSL_CERT_FILE": "/own.pem", "HTTPS_PROXY": "own"}
    result = uv_environment({"index-url": "https://mirror/simple", "cert": "/x", "proxy": "y"}, own)
    assert {key: result[key] for key in own} == own
    assert ("UV_DEFAULT_INDEX" in result) == (variable == "UV_DEFAULT_INDEX")
