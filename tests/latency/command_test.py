import shlex
from pathlib import Path

import pytest

from tests.random_models import ModelBuilder
from tests.refused import refused
from tools.latency.backend import Options
from tools.latency.devices import open_backend

_PRINTS = "count=9 first=1 curr=1 min=1 max=9 avg=2000 std=1 p5=1000 median=1500 p95=3000"


def opened(template: str, tmp_path: Path):
    models = [tmp_path / "float master.tflite", tmp_path / "artifact.tflite"]
    return open_backend("command:" + template, models, Options(threads=3))


def test_runs_the_command_for_each_model_in_turn(tmp_path):
    log = tmp_path / "log"
    template = f"echo {{model}} {{threads}} >>{shlex.quote(str(log))}; echo '{_PRINTS}'"
    with opened(template, tmp_path) as backend:
        first, second = backend.measure_round(0), backend.measure_round(1)
        assert backend.describe()["backend"] == "command"
    assert [one.p50_ms for one in (*first.runs, *second.runs)] == [1.5] * 4
    assert (first.runs[1].runs, first.runs[1].p95_ms) == (9, 3)
    names = [Path(line.rsplit(" ", 1)[0]).name for line in log.read_text().splitlines()]
    master, artifact = "float master.tflite", "artifact.tflite"
    assert names == [master, artifact, artifact, master]
    assert all(line.endswith(" 3") for line in log.read_text().splitlines())


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("bench", "says nowhere {model}"),
        (
            "bench {model} {cores}",
            "'cores' is unknown; {model}, {threads} and {flags} are filled in",
        ),
    ],
)
def test_templates_that_cannot_be_filled_in(template, message, tmp_path):
    with refused("device.setting") as raised:
        opened(template, tmp_path)
    assert str(raised.value).startswith(f"command:{template}: ")
    assert str(raised.value).endswith(message)


def test_a_command_that_fails(tmp_path):
    with (
        opened("echo busy >&2; exit 3 # {model}", tmp_path) as backend,
        refused("device.failed", r"ended with 3: busy$"),
    ):
        backend.measure_round(0)


def test_a_command_that_prints_something_else(tmp_path):
    with (
        opened("echo hello # {model}", tmp_path) as backend,
        refused("benchmark.output", "printed no measurement"),
    ):
        backend.measure_round(0)


_PROFILE = """\
Replacing 4 out of 5 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 2 partitions
=========== Run Order ===========
[node type]\t[avg ms]\t[times called]\t[Name]
TfLiteXNNPackDelegate\t2.5\t1\t[a]:5
LOG_SOFTMAX\t0.5\t1\t[tensor_1]:1
"""


def test_further_flags_profile_the_operators(tmp_path):
    """The runner has a table for those who ask, and only for them."""
    graph = ModelBuilder()
    image = graph.input((1, 8))
    content = graph.finish(graph.operator("LOG_SOFTMAX", [image], (1, 8)))
    for name in ("float master.tflite", "artifact.tflite"):
        (tmp_path / name).write_bytes(content)
    table = tmp_path / "table"
    table.write_text(_PROFILE)
    asked = f"echo {{flags}} | grep -q enable_op_profiling=true && cat {shlex.quote(str(table))}"
    with opened(f"{asked}; echo '{_PRINTS}' # {{model}}", tmp_path) as backend:
        use = backend.delegate_use()
        operators = backend.operator_times()
    assert use[0] == use[1]
    assert use[0] == {
        "delegated": 4, "fallback": {"LOG_SOFTMAX (float32)": 1}, "operators": 5, "partitions": 2,
    }  # fmt: skip
    assert [one["ms"] for one in operators[0]] == [2.5, 0.5]


def test_without_a_place_for_flags_there_is_no_profile(tmp_path):
    with opened(f"echo '{_PRINTS}' # {{model}}", tmp_path) as backend:
        assert backend.delegate_use() == [None, None]
        with refused("device.setting", r"say where they go: \{flags\}"):
            backend.operator_times()
