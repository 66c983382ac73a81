from pathlib import Path

import pytest

from rules.private.document_rules import main, parser, reference
from tests.refused import refused

_PAGES = {"rules/defs.bzl": "What is loaded."}


def test_the_page_is_current():
    assert main(parser().parse_args(["--check", "--root=."])) == 0


def test_a_page_that_is_not_current_is_refused(tmp_path):
    for name in ("docs", "rules"):
        (tmp_path / name).symlink_to(Path(name).absolute())
    (tmp_path / "docs").unlink()
    (tmp_path / "docs/reference").mkdir(parents=True)
    (tmp_path / "docs/reference/rules.md").write_text("# An older one\n")
    with refused("page.stale", "write it with `bazel run //rules:document`"):
        main(parser().parse_args(["--check", f"--root={tmp_path}"]))
    assert main(parser().parse_args([f"--root={tmp_path}"])) == 0
    assert (tmp_path / "docs/reference/rules.md").read_text() == Path(
        "docs/reference/rules.md"
    ).read_text()


def _page(tmp_path, defs, **files):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/defs.bzl").write_text(defs)
    for name, text in files.items():
        (tmp_path / f"rules/{name}.bzl").write_text(text)
    return reference(tmp_path, _PAGES)


_RULE = """
_SHARED = {"_tool": attr.label(default = "//:tool"), "size": attr.int(default = 3, doc = "Of it.")}

model = rule(
    implementation = None,
    doc = "Makes it.",
    attrs = dict(_SHARED, kind = attr.string(mandatory = True, values = ["a|b"], doc = "Which.")),
)
"""


def test_a_rule_that_is_loaded_and_handed_on(tmp_path):
    page = _page(
        tmp_path, 'load(":model.bzl", _model = "model")\nmodel = _model\n', model=_RULE
    ).splitlines()
    assert "*rule*" in page
    assert "| `kind` | string | needed | Which. One of `a\\|b`. |" in page
    assert "| `size` | int | `3` | Of it. |" in page
    assert not any("_tool" in line for line in page)


def test_what_is_only_used_is_not_shown(tmp_path):
    defs = 'load("//rules:model.bzl", "model")\ndef macro(name):\n    """Does.\n\n    Args:\n'
    page = _page(
        tmp_path, defs + '      name: of it.\n    """\n    model(name = name)\n', model=_RULE
    )
    assert "### macro" in page
    assert "### model" not in page


_MACRO = '''
def macro(name, size = "small", **kwargs):
    """Makes two.

    Targets:
      NAME: the first.
      NAME.second: the second, of which
        there is more to say.

    Args:
      name: of the first.
      {size}: of both.
      **kwargs: the others.

    Returns:
      Nothing.
    """
'''


def test_a_macro(tmp_path):
    page = _page(tmp_path, _MACRO.format(size="size")).splitlines()
    assert "| `NAME.second` | the second, of which there is more to say. |" in page
    assert '| `size` | `"small"` | of both. |' in page
    assert "| `**kwargs` |  | the others. |" in page
    assert "Returns: Nothing." in page


@pytest.mark.parametrize(
    ("defs", "message"),
    [
        (_MACRO.format(size="weight"), "rules/defs.bzl: macro: size is not described"),
        ("def macro(name):\n    pass\n", "rules/defs.bzl: macro has no docstring"),
        (_RULE.replace('doc = "Of it."', ""), "rules/defs.bzl: model: size has no doc"),
        (_RULE.replace('doc = "Makes it."', 'doc = ""'), "rules/defs.bzl: model has no doc"),
        ('Info = provider(doc = "It.", fields = ["a"])', "rules/defs.bzl: Info: a has no doc"),
    ],
)
def test_what_is_public_must_be_documented(tmp_path, defs, message):
    with refused("page.incomplete") as raised:
        _page(tmp_path, defs)
    assert str(raised.value) == message
