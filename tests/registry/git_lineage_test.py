import git
import pytest

from registry.git_lineage import read_git_lineage


@pytest.fixture(name="repository")
def _repository(tmp_path, monkeypatch):
    # The user's own settings (signing, hooks, insteadOf) have no part in this.
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "a@example.com")
    with git.Repo.init(tmp_path / "workspace", initial_branch="trunk") as repository:
        yield repository


@pytest.fixture(name="committed")
def _committed(repository):
    file = repository.working_tree_dir + "/BUILD.bazel"
    with open(file, "w", encoding="utf-8") as output:
        output.write("# nothing yet\n")
    repository.index.add([file])
    repository.index.commit("Start")
    return repository


def test_no_repository_is_recorded_as_such(tmp_path):
    lineage = read_git_lineage(tmp_path)

    assert lineage.tags() == {"git_state": "no repository"}


def test_no_commit(repository):
    assert read_git_lineage(repository.working_tree_dir).tags() == {"git_state": "no commit"}


def test_clean(committed):
    lineage = read_git_lineage(committed.working_tree_dir)

    assert lineage.state == "clean"
    assert lineage.commit == committed.head.commit.hexsha
    assert lineage.branch == "trunk"
    assert lineage.remote is None
    assert lineage.tags()["git_dirty"] == "false"
    assert lineage.tags()["mlflow.source.git.commit"] == lineage.commit


def test_a_folder_inside_the_repository(committed, tmp_path):
    inside = tmp_path / "workspace" / "models"
    inside.mkdir()

    assert read_git_lineage(inside).commit == committed.head.commit.hexsha


def test_changed_file_is_dirty(committed, tmp_path):
    (tmp_path / "workspace" / "BUILD.bazel").write_text("# changed\n")

    assert read_git_lineage(committed.working_tree_dir).tags()["git_dirty"] == "true"


def test_untracked_file_is_dirty_for_a_glob_takes_it(committed, tmp_path):
    (tmp_path / "workspace" / "new.png").write_bytes(b"x")

    assert read_git_lineage(committed.working_tree_dir).state == "dirty"


def test_detached_head_has_no_branch(committed):
    committed.head.reference = committed.head.commit

    lineage = read_git_lineage(committed.working_tree_dir)
    assert lineage.branch is None
    assert lineage.state == "clean"
    assert "git_branch" not in lineage.tags()


def test_remote_without_its_credentials(committed):
    committed.create_remote("fork", "https://example.com/fork.git")
    committed.create_remote("origin", "https://me:secret@example.com/team/models.git")

    tags = read_git_lineage(committed.working_tree_dir).tags()
    assert tags["git_remote"] == "https://example.com/team/models.git"
    assert "secret" not in str(tags)


def test_git_is_not_installed(committed, monkeypatch):
    monkeypatch.setattr(git.Git, "GIT_PYTHON_GIT_EXECUTABLE", "/nonexistent/git")

    assert read_git_lineage(committed.working_tree_dir).state == "no git"
