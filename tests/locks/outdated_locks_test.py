"""What `bazel run //rules:lock -- --outdated` finds, with an index in a folder and on a server."""

import base64
import contextlib
import http.server
import json
import shutil
import threading

import pytest

from rules.private.package_index import PackageIndex, read_page
from tests.locks.workspaces import PROJECT, Workspace, one_line
from tests.refused import refused


@pytest.fixture(name="once", scope="module")
def _once(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("locked"))
    assert workspace.lock().returncode == 0
    return workspace


@pytest.fixture
def locked(once, tmp_path):
    return once.copy(tmp_path)


def _outdated(workspace: Workspace, status: int, *flags: str) -> list[str]:
    result = workspace.lock("--outdated", *flags)
    assert result.returncode == status, result.stdout + result.stderr
    assert result.stderr == ""
    return result.stdout.splitlines()


def test_nothing_is_behind(locked):
    assert _outdated(locked, 0) == [
        f"rules/locks/{group}.lock: behind the index are 0 of the 1 packages that pyproject.toml "
        "names, and 0 of 0 others"
        for group in ("tests", "tools")
    ]


def test_an_upgrade_would_take_it(locked):
    before = locked.path("tests").read_text()
    locked.publish("second", "2.1")
    locked.publish("second", "3.0rc1")
    lines = _outdated(locked, 1)
    assert lines[0].startswith("rules/locks/tests.lock: behind the index are 1 of the 1 packages")
    command = "bazel run //rules:lock -- --upgrade --group=tests"
    assert lines[1] == f"  second 2.0: the newest is 2.1; `{command}` takes 2.1"
    assert locked.path("tests").read_text() == before
    assert locked.lock("--upgrade").returncode == 0
    _outdated(locked, 0)


def test_pyproject_limits_it(locked):
    locked.project.write_text(PROJECT.replace('"first"', '"first==1.0"'))
    locked.publish("first", "1.5")
    assert _outdated(locked, 1, "--group=tools")[1] == (
        "  first 1.0: the newest is 1.5; pyproject.toml asks for ==1.0, else 1.5 fits"
    )


def test_pyproject_holds_it(locked):
    held = '[tool.rules_quantize.held.tools]\nfirst = "the last that draws"\n'
    locked.project.write_text(PROJECT.replace('"first"', '"first==1.0"') + held)
    locked.publish("first", "1.5")
    assert _outdated(locked, 0, "--group=tools")[1] == (
        "  first 1.0: the newest is 1.5; held: the last that draws"
    )


def test_the_newest_needs_what_the_index_lacks(locked):
    locked.publish("first", "2.0", requires=("second==9",))
    line = _outdated(locked, 0, "--group=tools")[1]
    assert line.startswith("  first 1.0: the newest is 2.0; 2.0 cannot be locked: Because ")
    assert "second==9" in line
    assert "unsatisfiable" not in line


def test_one_older_than_the_newest_can_be_had(locked):
    locked.publish("first", "1.9")
    locked.publish("first", "2.0", requires=("second==9",))
    line = _outdated(locked, 1, "--group=tools")[1]
    command = "bazel run //rules:lock -- --upgrade --group=tools"
    assert f"the newest is 2.0; `{command}` takes 1.9; 2.0 cannot be" in line


def test_the_newest_needs_a_newer_python(locked):
    locked.publish("first", "2.0", requires_python=">=3.12")
    assert _outdated(locked, 0, "--group=tools")[1] == (
        "  first 1.0: the newest is 2.0; 2.0 cannot be locked: it needs Python >=3.12"
    )


def test_what_others_need_is_counted(locked):
    locked.publish("first", "1.1", requires=("second",))
    assert locked.lock("--upgrade").returncode == 0
    locked.publish("second", "2.5")
    (line,) = _outdated(locked, 0, "--group=tools")
    assert line.endswith("names, and 1 of 1 others")


def test_withdrawn_releases(locked):
    locked.publish("first", "0.9")
    locked.publish("first", "1.0", yanked="loses files")
    locked.publish("second", "2.5", yanked="")
    lines = _outdated(locked, 0)
    assert [line.strip() for line in lines if line.startswith("  ")] == [
        "first 1.0: this release was withdrawn: loses files"
    ]


def test_a_group_that_can_no_longer_be_locked(locked):
    locked.publish("first", "1.0", yanked="loses files")
    lines = _outdated(locked, 0, "--group=tools")
    assert lines[1] == (
        "  the group cannot be locked anew: Because first==1.0 was yanked (reason: loses files) "
        "and only first==1.0 is available"
    )
    assert lines[2] == "  first 1.0: this release was withdrawn: loses files"


def test_a_project_that_is_gone(locked):
    shutil.rmtree(locked.index / "first")
    lines = _outdated(locked, 0, "--group=tools")
    assert lines[1].startswith("  the group cannot be locked anew: Because first was not found")
    assert lines[2] == "  first 1.0: the index has no project of this name any more"


def test_a_project_that_has_another_name(locked):
    locked.publish("first", "1.0", status="archived: is now called third")
    assert _outdated(locked, 0, "--group=tools")[1] == (
        "  first 1.0: the project is archived: is now called third"
    )


def test_everything_as_json(locked, tmp_path):
    locked.publish("second", "2.1")
    _outdated(locked, 1, f"--json={tmp_path / 'outdated.json'}")
    document = json.loads((tmp_path / "outdated.json").read_text())
    assert document["index"] == locked.index.as_uri()
    tests, tools = document["locks"]
    assert (tests["group"], tests["lock"]) == ("tests", "rules/locks/tests.lock")
    assert tests["behind"] == {"direct": 1, "others": 0}
    (second,) = tests["packages"]
    assert second["name"] == "second"
    assert second["direct"] is True
    assert [second[key] for key in ("current", "newest", "upgrade", "limit")] == [
        "2.0",
        "2.1",
        "2.1",
        ">=2",
    ]
    assert tools["behind"] == {"direct": 0, "others": 0}


def test_json_without_outdated(locked, tmp_path):
    assert "--outdated" in one_line(locked.lock(f"--json={tmp_path / 'x.json'}"))


def test_no_lock_yet(tmp_path):
    assert "group tests has no lock yet" in one_line(Workspace(tmp_path).lock("--outdated"))


@pytest.mark.parametrize("index", ["http://127.0.0.1:1/simple", "file:///no/such/index"])
def test_the_index_cannot_be_reached(locked, index):
    line = one_line(locked.lock("--outdated", UV_DEFAULT_INDEX=index))
    assert f"the package index {index} cannot be reached" in line


@contextlib.contextmanager
def _server(pages: dict[str, tuple[int, str]]):
    """Serves pages by path; yields the address and the list of requests' headers."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.headers)
            status, text = pages.get(self.path, (404, ""))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}/simple", requests
        finally:
            server.shutdown()
            thread.join()


_JSON = json.dumps(
    {
        "files": [
            {"filename": "two_words-1.0.tar.gz", "upload-time": "2025-01-02T03:04:05Z"},
            {"filename": "two_words-1.0-py3-none-any.whl", "upload-time": "2025-01-03T03:04:05Z"},
            {"filename": "two_words-2.0-py3-none-any.whl", "requires-python": ">=3.12"},
            {"filename": "two_words-3.0-py3-none-any.whl", "yanked": "broken"},
            {"filename": "two-words-dev-9429.tar.gz"},
            {"filename": "two_words-1.0-py2.7.egg"},
        ],
        "project-status": {"status": "deprecated", "reason": "use three-words"},
    }
)


def test_a_server_answers_json():
    pages = {"/simple/two-words/": (200, _JSON)}
    with _server(pages) as (address, requests):
        index = PackageIndex(f"http://me:my%20word@{address}/")
        project = index.project("Two_Words")
        assert index.project("unknown") is None
    assert index.address == f"http://{address}"
    assert "json" in requests[0]["Accept"]
    user = base64.b64decode(requests[0]["Authorization"].removeprefix("Basic ")).decode()
    assert user == "me:my word"
    assert (project.status, project.reason) == ("deprecated", "use three-words")
    assert str(project.newest()) == "2.0"
    found = {str(version): release for version, release in project.releases.items()}
    assert sorted(found) == ["1.0", "2.0", "3.0"]
    assert (found["1.0"].files, found["1.0"].released) == (2, "2025-01-02")
    assert found["2.0"].requires_python == ">=3.12"
    assert found["3.0"].yanked == "broken"


@pytest.mark.parametrize(
    ("page", "message"),
    [((500, ""), "HTTP 500"), ((401, ""), "HTTP 401"), ((200, "{"), "cannot be reached")],
)
def test_a_server_that_gives_no_page(page, message):
    with (
        _server({"/simple/first/": page}) as (address, _),
        refused("environment.index", message) as failure,
    ):
        PackageIndex(f"http://secret:word@{address}").project("first")
    assert "word" not in str(failure.value)


def test_a_release_stands_while_one_of_its_files_does():
    files = [
        {"filename": "a-1.0.tar.gz", "yanked": True},
        {"filename": "a-1.0-py3-none-any.whl", "yanked": False},
        {"filename": "a-1.0-py2-none-any.whl", "yanked": "old"},
    ]
    for turn in range(3):
        page = json.dumps({"files": files[turn:] + files[:turn]})
        (release,) = read_page(page, "a").releases.values()
        assert release.yanked is None
