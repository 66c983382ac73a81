"""Bundles of variants: what is written, what a selector reads of it, what is refused."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any

import fastjsonschema
import pytest

from tests.random_models import ModelBuilder, tiny_model
from tests.refused import refused
from tests.tools.commands import refusal, run_command, with_instead
from tools import make_model_bundle as command
from tools.bundle.model_bundle import Variant, make_manifest, model_bundle_bytes
from tools.bundle.selectors.model_selector import Choice, Device, read_manifest, select
from tools.documents.model_bundle import Manifest, MeasuredFps
from tools.documents.schema import schema_of

_VARIANTS = [
    Variant("high", tiny_model(0), "float16", "1.0.0"),
    Variant("mid", tiny_model(1)),
    Variant("low", tiny_model(2)),
]
_HIGH = hashlib.sha256(_VARIANTS[0].content).hexdigest()


def figures(*rows: dict, **changes) -> dict:
    row = {"device_class": "flagship", "fps": 90.5, "sha256": _HIGH, "variant": "high"}
    document = {"figures": [row | one for one in rows or ({},)], "schema_version": 1}
    return {"kind": "rules_quantize.measured_fps"} | document | changes


def manifest(policy=None, requires=None, measured=None, variants=None, name="face", version="1"):
    return _manifest(policy, requires, measured, variants, name, version).to_json()


def _manifest(policy=None, requires=None, measured=None, variants=None, name="face", version="1"):
    return make_manifest(
        name,
        version,
        _VARIANTS if variants is None else variants,
        policy or {},
        requires or {},
        MeasuredFps.from_json(measured, "measured figures") if measured is not None else None,
    )


@pytest.fixture(scope="module")
def validate() -> Callable[[Any], Any]:
    # It knows draft 7; what the schema has of a later one is the name "$defs" alone.
    return fastjsonschema.compile(schema_of(Manifest))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"policy": {"min_fps": 30, "fallback": "mid"}},
        {"policy": {"choose": "fastest", "order": ["low", "mid", "high"]}},
        {
            "measured": figures(),
            "requires": {"high": {"abis": ["arm64-v8a"], "ram_mb": 4096, "min_runtime": "2.16"}},
        },
    ],
)
def test_what_is_written_fits_the_schema_and_the_selector(validate, given):
    document = manifest(**given)
    validate(document)
    content = model_bundle_bytes(_manifest(**given), _VARIANTS)
    assert model_bundle_bytes(Manifest.from_json(document, "m.json"), _VARIANTS) == content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["manifest.json", "high.tflite", "mid.tflite", "low.tflite"]
        read = read_manifest(archive.read("manifest.json"))
        for variant in read.variants:
            model = archive.read(variant.file)
            assert (variant.sha256, variant.size) == (hashlib.sha256(model).hexdigest(), len(model))
    order = given.get("policy", {}).get("order", ["high", "mid", "low"])
    assert [variant.name for variant in read.variants] == order
    assert document["variants"][0]["scheme"] == "float16"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("kind",), "rules_quantize.report"),
        (("name",), "../face"),
        (("schema_version",), 2),
        (("more",), 1),
        (("policy", "choose"), "best"),
        (("policy", "min_fps"), -1),
        (("policy", "order"), ["high", "high"]),
        (("variants",), []),
        (("variants", 0, "sha256"), "0" * 63),
        (("variants", 0, "fps"), {"flagship": 0}),
        (("variants", 0, "requires", "ram_mb"), "4"),
    ],
)
def test_schema_refuses_what_is_never_written(validate, place, value):
    document = manifest()
    validate(document)
    *way, last = place
    part = document
    for step in way:
        part = part[step]
    part[last] = value
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        validate(document)


def test_defaults_of_the_policy():
    assert manifest()["policy"] == {
        "choose": "fastest", "fallback": "low", "min_fps": 0, "order": ["high", "mid", "low"],
    }  # fmt: skip
    assert manifest({"min_fps": 30})["policy"]["choose"] == "first_fast_enough"
    high, *_ = manifest()["variants"]
    assert high["requires"] == {
        "abis": [], "api_level": 0, "delegates": [], "min_runtime": "1.5.0", "ram_mb": 0,
    }  # fmt: skip


def test_measured_figures_choose():
    document = manifest({"min_fps": 30, "fallback": "mid"}, measured=figures())
    read = read_manifest(json.dumps(document))
    assert select(read, Device(device_class="flagship")) == Choice("high", "fast_enough")
    assert select(read, Device()) == Choice("mid", "fallback")


_OTHER_SHAPE = ModelBuilder()
_OTHER_SHAPE = Variant(
    "other",
    _OTHER_SHAPE.finish(_OTHER_SHAPE.operator("RELU", [_OTHER_SHAPE.input((1, 4))], (1, 4))),
)


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        ({"variants": []}, "bundle.empty", "bundle: a bundle of no variants; give it some"),
        (
            {"variants": [Variant("a/b", tiny_model())]},
            "bundle.name",
            "variant 'a/b' is no name; give letters, ",
        ),
        ({"variants": [Variant("a", b"text")]}, "model.kind", "variant a: not a TFLite file"),
        (
            {"variants": [*_VARIANTS, Variant("HIGH", tiny_model())]},
            "bundle.name",
            "two variants of one name amo",
        ),
        (
            {"variants": [*_VARIANTS, _OTHER_SHAPE]},
            "model.interface",
            "other has inputs or outputs of other shapes ",
        ),
        ({"name": "../face"}, "bundle.name", "name '../face' is no name"),
        ({"version": ""}, "bundle.name", "version '' is no name"),
        (
            {"policy": {"fps": 3}},
            "bundle.field",
            "policy has no fps; there are choose, fallback, min_fps, order",
        ),
        (
            {"policy": {"min_fps": -1}},
            "bundle.policy",
            "the policy's min_fps is -1; give a number from 0",
        ),
        (
            {"policy": {"min_fps": True}},
            "bundle.policy",
            "the policy's min_fps is True; give a number from 0",
        ),
        (
            {"policy": {"choose": "best"}},
            "bundle.policy",
            "the policy's choose is 'best'; give first_fast_enough o",
        ),
        (
            {"policy": {"order": ["high"]}},
            "bundle.policy",
            "the policy's order is ['high']; give each variant once",
        ),
        (
            {"policy": {"fallback": "none"}},
            "bundle.policy",
            "the policy's fallback is 'none'; the variants are hig",
        ),
        ({"requires": {"hi": {}}}, "bundle.field", "requires has no hi; there are high, mid, low"),
        (
            {"requires": {"high": {"ram": 1}}},
            "bundle.field",
            "requires of high has no ram; there are abis, ",
        ),
        (
            {"requires": {"high": {"ram_mb": "4"}}},
            "bundle.field",
            "requires of high: ram_mb is '4'; give a whole ",
        ),
        (
            {"requires": {"high": {"abis": "x"}}},
            "bundle.field",
            "requires of high: abis is 'x'; give a list of na",
        ),
        (
            {"requires": {"high": {"min_runtime": "new"}}},
            "runtime.version",
            "min_runtime: 'new' is no version",
        ),
        ({"measured": []}, "document.kind", "measured figures: it is [], not an object"),
        (
            {"measured": figures(schema_version=2)},
            "document.version",
            "measured figures: schema_version is 2, not 1",
        ),
        (
            {"measured": figures({"mean": 1})},
            "document.field",
            "figures[0].mean is an unknown field; there are dev",
        ),
        (
            {"measured": figures({"variant": "best"})},
            "bundle.figures",
            "figures[0] is of the variant 'best'; there ",
        ),
        (
            {"measured": figures({"sha256": "0" * 64})},
            "bundle.figures",
            "figures[0] was measured on another high t",
        ),
        (
            {"measured": figures({"fps": 0})},
            "document.field",
            "figures[0].fps is 0, not a number above 0",
        ),
        (
            {"measured": figures({"fps": "9"})},
            "document.field",
            'figures[0].fps is "9", not a number',
        ),
        (
            {"measured": figures({"device_class": "a/b"})},
            "document.field",
            'figures[0].device_class is "a/b", not ',
        ),
        (
            {"measured": figures({}, {})},
            "bundle.figures",
            "figures[1] (high on flagship) is there twice",
        ),
    ],
)
def test_refusals(given, code, says):
    with refused(code, re.escape(says)):
        manifest(**given)


def test_command(tmp_path, validate):
    for variant in _VARIANTS:
        (tmp_path / f"{variant.name}.tflite").write_bytes(variant.content)
    (tmp_path / "tiers.json").write_text(json.dumps({"policy": {"min_fps": 30}}))
    (tmp_path / "fps.json").write_text(json.dumps(figures()))
    output = tmp_path / "face.zip"
    flags = [
        f"--output_bundle={output}", "--name=face", "--version=1.0.0",
        *(f"--variant={v.name}={tmp_path}/{v.name}.tflite" for v in _VARIANTS),
        f"--specification={tmp_path}/tiers.json",
    ]  # fmt: skip
    more = [f"--measured_fps={tmp_path}/fps.json", f"--manifest_output={tmp_path}/m.json"]
    done = run_command(command, *flags, *more)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    document = json.loads((tmp_path / "m.json").read_text())
    validate(document)
    assert document["variants"][0]["fps"] == {"flagship": 90.5}
    with zipfile.ZipFile(output) as archive:
        assert json.loads(archive.read("manifest.json")) == document
    output.unlink()
    assert refusal(command, *flags, "--variant=high").startswith("--variant=high: give NAME=VALUE")
    for flag, message in (
        ("--report=best=r.json", f"{output}: --report names best, which is no variant"),
        (f"--measured_fps={tmp_path}/tiers.json", f"{tmp_path}/tiers.json: kind is null, not"),
        (f"--specification={tmp_path}/fps.json", f"{tmp_path}/fps.json: not an object of policy"),
    ):
        assert refusal(command, *with_instead(flags, flag)).startswith(message)
        assert not output.exists()
