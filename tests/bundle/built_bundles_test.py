"""What the rules have built: task bundles, and a model bundle."""

import hashlib
import os
import zipfile
from pathlib import Path

from tools.bundle.selectors.model_selector import Choice, Device, read_manifest, select
from tools.bundle.task_bundle import Member, read_task_bundle
from tools.graph.model_metadata import normalization

_RUNFILES = Path(os.environ.get("TEST_SRCDIR", "."), os.environ.get("TEST_WORKSPACE", "."))


def _bundle(name: str) -> list[Member]:
    return read_task_bundle((_RUNFILES / "tests" / "bundle" / name).read_bytes(), name)


def test_a_member_is_quantized_by_its_own_settings_and_the_others_stay():
    before, after = _bundle("face_bundle.task"), _bundle("face_bundle_float16.task")
    names = ["face_detector.tflite", "notes.txt"]
    assert [member.name for member in before] == names
    assert [member.name for member in after] == names
    assert after[1] == before[1]
    # A float model in a bundle is its own float master, and the same artifact comes out.
    artifact = (_RUNFILES / "models" / "face_float16.tflite").read_bytes()
    assert after[0].content == artifact
    assert normalization(after[0].content) == (127.5, 127.5)


def test_variants_of_the_face_detector():
    with zipfile.ZipFile(_RUNFILES / "models" / "face_tiers.zip") as archive:
        manifest = read_manifest(archive.read("manifest.json"))
        for variant in manifest.variants:
            content = archive.read(variant.file)
            assert hashlib.sha256(content).hexdigest() == variant.sha256
    assert [variant.name for variant in manifest.variants] == ["high", "mid", "low"]
    assert all(variant.min_runtime for variant in manifest.variants)
    phone = Device(ram_mb=8192, delegates=("gpu", "xnnpack"))
    assert select(manifest, phone) == Choice("mid", "fallback")
    assert select(manifest, Device()) == Choice("mid", "fallback")
