"""Extrapolating from a measured build."""

import gzip
import json

import pytest

from tests.refused import refused
from tools.farm import sizing

_ENVIRONMENT = [
    {"path": f"{root}/venv/lib/numpy.py", "digest": {"hash": "n", "sizeBytes": "1000"}}
    for root in ("external/env", "bin/tool.runfiles/env")
]


def _spawn(mnemonic, progress, samples=0, out=0, **more):
    images = [
        {"path": f"images/{n}.png", "digest": {"hash": f"i{n}", "sizeBytes": "20"}}
        for n in range(samples)
    ]
    return {
        "mnemonic": mnemonic,
        "progressMessage": progress,
        "inputs": _ENVIRONMENT + images,
        "actualOutputs": [{"path": progress, "digest": {"hash": "o", "sizeBytes": str(out)}}],
        **more,
    }


# A picture of a package, and what a shard found, are no samples.
_ENVIRONMENT += [
    {"path": "external/env/venv/lib/logo.png", "digest": {"hash": "l", "sizeBytes": "24"}},
    {"path": "bin/a.calibration/3.npz", "digest": {"hash": "s", "sizeBytes": "5"}},
]

_SPAWNS = [
    _spawn("FloatMaster", "master", out=400),
    _spawn("MakeSamples", "render", out=5000),
    _spawn("QuantizeModel", "quantize a", samples=10, out=100),
    _spawn("QuantizeModel", "quantize b", samples=10, out=300),
    _spawn("CompareModels", "compare", samples=5, out=50),
    _spawn("CompareModels", "compare hit", samples=5, out=50, remoteCacheHit=True),
    _spawn("TestRunner", "a test", out=7),
]
_SECONDS = {"master": 2, "render": 90, "quantize a": 1, "quantize b": 3, "compare": 1}


@pytest.fixture
def measured(tmp_path):
    """Writes a log and a profile; returns the flags that name them."""
    log, profile = tmp_path / "log.json", tmp_path / "profile.gz"
    log.write_text("\n".join(json.dumps(spawn) for spawn in _SPAWNS))
    events = [
        {"cat": "action processing", "name": name, "dur": seconds * 1e6}
        for name, seconds in _SECONDS.items()
    ]
    events += [{"name": "thread_name"}, {"cat": "gc notification", "name": "master", "dur": 1}]
    profile.write_bytes(gzip.compress(json.dumps({"traceEvents": events}).encode()))
    return [f"--execution_log={log}", f"--profile={profile}"]


def _main(*flags):
    return sizing.main(sizing.parser().parse_args(flags))


def test_extrapolates_by_models_schemes_and_samples(measured, tmp_path, capsys):
    document = tmp_path / "sizing.json"
    flags = ["--models=10", "--schemes=3", "--samples=100", "--workers=4"]
    assert _main(*measured, *flags, f"--json={document}") == 0
    found = json.loads(document.read_text())
    costs = {cost["mnemonic"]: cost for cost in found["actions"]}
    assert set(costs) == {"CompareModels", "FloatMaster", "MakeSamples", "QuantizeModel"}
    quantize = costs["QuantizeModel"]
    assert (quantize["actions"], quantize["seconds"], quantize["samples"]) == (2, 2.0, 10.0)
    assert (quantize["output_bytes"], quantize["sample_bytes"]) == (200.0, 200.0)
    # 10 masters; 30 artifacts, of which the log compared every second one.
    assert found["farm"]["actions"] == 10 + 30 + 15
    seconds = 10 * 2 + 30 * 2 * (100 / 10) + 15 * 1 * (100 / 5)
    assert found["farm"]["cpu_hours"] == pytest.approx(seconds / 3600)
    assert found["farm"]["wall_hours"] == pytest.approx(seconds / 3600 / 4)
    assert found["farm"]["artifact_bytes"] == 10 * 400 + 30 * 200 + 15 * 50
    assert found["farm"]["sample_bytes"] == 20 * 100 * 10
    # The environment is an input twice over and counts once.
    assert found["farm"]["environment_bytes"] == 4 * (1000 + 24)
    printed = capsys.readouterr().out
    assert "10 models x 3 schemes x 100 samples on 4 workers" in printed
    assert "55 actions" in printed


def test_twice_the_models_cost_twice_as_much(measured, tmp_path):
    sizes = []
    for models in (10, 20):
        document = tmp_path / f"{models}.json"
        _main(*measured, f"--models={models}", f"--json={document}")
        sizes.append(json.loads(document.read_text())["farm"])
    for name in ("actions", "cpu_hours", "artifact_bytes", "sample_bytes"):
        assert sizes[1][name] == pytest.approx(2 * sizes[0][name])


def test_a_build_from_a_cache_measures_nothing(measured, tmp_path):
    hits = [spawn | {"remoteCacheHit": True} for spawn in _SPAWNS]
    (tmp_path / "log.json").write_text("\n".join(json.dumps(spawn) for spawn in hits))
    with refused("build.incomplete", "no FloatMaster that ran"):
        _main(*measured)


def test_log_and_profile_of_two_builds(measured, tmp_path):
    (tmp_path / "profile.gz").write_text(json.dumps({"traceEvents": []}))
    with refused("build.incomplete", "is it of the same build"):
        _main(*measured)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\x1f\x8bcut", b'{"traceEvents": [1]}'])
def test_what_is_no_profile_is_refused(measured, tmp_path, content):
    (tmp_path / "profile.gz").write_bytes(content)
    with refused("document.kind", r"profile\.gz: "):
        _main(*measured)


@pytest.mark.parametrize("flag", ["--models=0", "--workers=-1", "--samples=many"])
def test_numbers_are_from_one_on(measured, flag):
    with pytest.raises(SystemExit):
        _main(*measured, flag)
