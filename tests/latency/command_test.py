import shlex
from pathlib import Path

import pytest

from tools.errors import DeviceFailedError, InputError
from tools.latency.backend import Options, open_backend

_PRINTS = "count=9 first=1 curr=1 min=1 max=9 avg=2000 std=1 p5=1000 median=1500 p95=3000"


def opened(template: str, tmp_path: Path):
    models = tmp_path / "float master.tflite", tmp_path / "artifact.tflite"
    return open_backend("command:" + template, *models, Options(threads=3))


def test_runs_the_command_for_each_model_in_turn(tmp_path):
    log = tmp_path / "log"
    template = f"echo {{model}} {{threads}} >>{shlex.quote(str(log))}; echo '{_PRINTS}'"
    with opened(template, tmp_path) as backend:
        first, second = backend.measure_round(0), backend.measure_round(1)
        assert backend.describe()["backend"] == "command"
    assert first == second or first.artifact.p50_ms == second.artifact.p50_ms == 1.5
    assert first.artifact.runs == 9
    names = [Path(line.rsplit(" ", 1)[0]).name for line in log.read_text().splitlines()]
    master, artifact = "float master.tflite", "artifact.tflite"
    assert names == [master, artifact, artifact, master]
    assert all(line.endswith(" 3") for line in log.read_text().splitlines())


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("bench", "says nowhere {model}"),
        ("bench {model} {cores}", "'cores' is unknown; {model} and {threads} are filled in"),
    ],
)
def test_templates_that_cannot_be_filled_in(template, message, tmp_path):
    with pytest.raises(InputError) as raised:
        opened(template, tmp_path)
    assert str(raised.value).startswith(f"command:{template}: ")
    assert str(raised.value).endswith(message)


def test_a_command_that_fails(tmp_path):
    with (
        opened("echo busy >&2; exit 3 # {model}", tmp_path) as backend,
        pytest.raises(DeviceFailedError, match=r"ended with 3: busy$"),
    ):
        backend.measure_round(0)


def test_a_command_that_prints_something_else(tmp_path):
    with (
        opened("echo hello # {model}", tmp_path) as backend,
        pytest.raises(InputError, match="benchmark_model printed no measurement"),
    ):
        backend.measure_round(0)
