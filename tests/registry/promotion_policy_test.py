from pathlib import Path

import pytest

import registry
from registry.promotion_policy import read_policy
from tools.errors import InputError

_TEXT = """\
[aliases.production]
required_devices = ["host"]
max_size_bytes = 1000
tolerances = { cosine_mean = { min = 0.9 } }

[models.face.aliases.production]
max_size_bytes = 10

[models.face.aliases.canary]
max_regression = { fps = 0.5 }
"""


def _policy(folder, text, model="face", alias="production"):
    path = folder / "promotion.toml"
    path.write_text(text)
    return read_policy(path, model, alias)


def test_what_a_model_says_goes_before_what_all_say(tmp_path):
    policy = _policy(tmp_path, _TEXT)

    assert policy.required_devices == ("host",)
    assert policy.max_size_bytes == 10
    assert policy.tolerances == {"cosine_mean": (0.9, None)}
    assert _policy(tmp_path, _TEXT, "hand").max_size_bytes == 1000
    assert _policy(tmp_path, _TEXT, alias="canary").max_regression == {"fps": 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("aliases = 1", "aliases: a table is wanted"),
        ("[alias.production]", "unknown key 'alias'; known are aliases, models"),
        ("[aliases.staging]", r"no alias 'production' for face \(it has: staging\)"),
        ("[aliases.production]\nsize = 1", "unknown key 'size'"),
        ("[aliases.production]\nmax_size_bytes = -1", "a number of bytes is wanted"),
        ("[aliases.production]\nmax_size_bytes = true", "a number of bytes is wanted"),
        ("[aliases.production]\nrequired_devices = 'host'", "a list of names is wanted"),
        ("[aliases.production.tolerances]\nfps = 3", "min = NUMBER"),
        ("[aliases.production.tolerances]\nfps = {least = 3}", "unknown key 'least'"),
        ("[aliases.production.tolerances]\nfps = {min = 'a'}", "numbers are wanted"),
        ("[aliases.production.tolerances]\nfps = {min = nan}", "numbers are wanted"),
        ("[aliases.production.max_regression]\nfps = -0.1", "a share is wanted"),
        ("[models.face]\nproduction = 1", "unknown key 'production'"),
        ("[aliases", "not TOML"),
    ],
)
def test_a_policy_that_cannot_be_read(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as error:
        _policy(tmp_path, text)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("alias", ["staging", "production"])
def test_own_policy(alias):
    path = Path(registry.__file__).parent.parent / "models" / "promotion.toml"

    assert read_policy(path, "face", alias).required_devices == ("host",)
