from pathlib import Path

import pytest

import registry
from registry.catalog import Version
from registry.promotion_policy import AliasPolicy, judge, read_policy
from tests.refused import refused

_TEXT = """\
[aliases.production]
required_devices = ["host"]
max_size_bytes = 1000
oldest_runtime = "2.14"
tolerances = { cosine_mean = { min = 0.9 } }

[models.face.aliases.production]
max_size_bytes = 10

[models.face.aliases.canary]
max_regression = { speedup = 0.5 }
"""


def _policy(folder, text, model="face", alias="production"):
    path = folder / "promotion.toml"
    path.write_text(text)
    return read_policy(path, model, alias)


def test_what_a_model_says_goes_before_what_all_say(tmp_path):
    policy = _policy(tmp_path, _TEXT)

    assert policy.required_devices == {"host": None}
    assert policy.max_size_bytes == 10
    assert policy.oldest_runtime == "2.14"
    assert policy.tolerances == {"cosine_mean": (0.9, None)}
    assert _policy(tmp_path, _TEXT, "hand").max_size_bytes == 1000
    assert _policy(tmp_path, _TEXT, alias="canary").max_regression == {"speedup": 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("aliases = 1", "aliases: a table is wanted"),
        ("[alias.production]", "unknown key 'alias'; known are aliases, models"),
        ("[aliases.production]\nnotify = 3", "notify: a command is wanted"),
        ("[aliases.production]\nsize = 1", "unknown key 'size'"),
        ("[aliases.production]\nmax_size_bytes = -1", "a number of bytes is wanted"),
        ("[aliases.production]\nmax_size_bytes = true", "a number of bytes is wanted"),
        ("[aliases.production]\nrequired_devices = 'host'", "a list of names is wanted"),
        (
            "[aliases.production]\nrequired_devices = {a = 'speed'}",
            'a list is wanted of "similarity"',
        ),
        ("[aliases.production]\nrequired_devices = {a = []}", r"required_devices\.a: a list"),
        ("[aliases.production]\nrequired_devices = {a = ['fps']}", r"required_devices\.a: a list"),
        ("[aliases.production.tolerances]\nfps = 3", "min = NUMBER"),
        ("[aliases.production.tolerances]\nfps = {least = 3}", "unknown key 'least'"),
        ("[aliases.production.tolerances]\nfps = {min = 'a'}", "numbers are wanted"),
        ("[aliases.production.tolerances]\nfps = {min = nan}", "numbers are wanted"),
        ("[aliases.production.max_regression]\nspeedup = -0.1", "a share is wanted"),
        ("[aliases.production.max_regression]\nfps = 0.1", "two sessions.*name speedup"),
        (
            "[aliases.production.tolerances]\ncosine = {min = 1}",
            "did you mean cosine_p5 or cosine_min",
        ),
        ("[aliases.production.tolerances]\n'cosine_mean/a/b' = {min = 1}", "no such metric"),
        (
            "[aliases.production.tolerances]\n'task/recall' = {min = 1}",
            "of every task is 'recall', that of one 'task/NAME/recall'",
        ),
        ("[aliases.production.max_regression]\nlatency = 0.1", "did you mean latency_p"),
        ("[aliases.production.max_regression]\npositives = 0.1", "neither more nor less"),
        ("[models.face]\nproduction = 1", "unknown key 'production'"),
    ],
)
def test_a_policy_that_cannot_be_read(tmp_path, text, message):
    with refused("policy.field", message) as error:
        _policy(tmp_path, text)
    assert str(tmp_path) in str(error.value)


def test_an_alias_that_no_policy_knows(tmp_path):
    with refused("policy.alias", r"no alias 'production' for face \(it has: staging\)"):
        _policy(tmp_path, "[aliases.staging]")


def test_a_policy_that_is_no_toml(tmp_path):
    with refused("document.syntax", r"promotion\.toml: not TOML"):
        _policy(tmp_path, "[aliases")


def test_a_policy_of_no_version(tmp_path):
    with refused("runtime.version", "2.14 is no version"):
        _policy(tmp_path, "[aliases.production]\noldest_runtime = 2.14")


@pytest.mark.parametrize("alias", ["staging", "production"])
def test_own_policy(alias):
    path = Path(registry.__file__).parent.parent / "models" / "promotion.toml"

    assert read_policy(path, "face", alias).required_devices == {"host": None}


def _version(number, metrics, **tags):
    return Version("face", number, tags, (), 0, "", metrics)


def _failed(policy, candidate, holder=None):
    checks = judge(policy, candidate, holder)
    return [check.what for check in checks if not check.passed and check.what != "gates"]


def test_a_name_without_a_slash_stands_for_every_output_or_task():
    metrics = {
        "task/eye/landmark_error_px_mean": 0.2,
        "task/iris/landmark_error_px_mean": 0.6,
        "scale_error/a": 0.3,
        "scale_error/b": 0.1,
    }
    candidate = _version(1, metrics)
    bound = (None, 0.5)

    of_all = AliasPolicy(tolerances={"landmark_error_px_mean": bound})
    assert _failed(of_all, candidate) == ["task/iris/landmark_error_px_mean"]
    of_one = AliasPolicy(tolerances={"task/eye/landmark_error_px_mean": bound})
    assert _failed(of_one, candidate) == []
    outputs = AliasPolicy(tolerances={"scale_error": (None, 0.2)})
    assert _failed(outputs, candidate) == ["scale_error/a"]
    missing = AliasPolicy(tolerances={"task/mask/iou_mean": (0.5, None)})
    assert _failed(missing, candidate) == ["task/mask/iou_mean"]


@pytest.mark.parametrize(
    ("metric", "before", "after", "passed"),
    [
        ("task/iris/landmark_error_px_mean", 1.0, 1.2, False),
        ("task/iris/landmark_error_px_mean", 1.0, 0.8, True),
        ("task/mask/iou_mean", 0.8, 0.6, False),
        ("task/mask/iou_mean", 0.8, 0.9, True),
        ("layer_correlation_min", 0.9, 0.7, False),
        ("scale_error/a", 0.1, 0.2, False),
    ],
)
def test_regression_in_the_direction_of_the_metric(metric, before, after, passed):
    policy = AliasPolicy(max_regression={metric: 0.1})
    failed = _failed(policy, _version(2, {metric: after}), _version(1, {metric: before}))

    assert failed == ([] if passed else [metric])


@pytest.mark.parametrize(
    ("tags", "passed"),
    [
        ({"min_runtime": "2.7.0"}, True),
        ({"min_runtime": "2.14.0"}, True),
        ({"min_runtime": "2.16.1"}, False),
        ({"min_runtime": "2.7.0", "min_runtime_unknown": "MaxPool"}, False),
        ({}, False),
    ],
)
def test_oldest_runtime(tags, passed):
    failed = _failed(AliasPolicy(oldest_runtime="2.14"), _version(1, {}, **tags))

    assert failed == ([] if passed else ["min_runtime"])
