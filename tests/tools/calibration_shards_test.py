"""Calibration in parts: the same artifact, and parts that do not depend on one another."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.random_models import tiny_model
from tests.tools.commands import refusal, run_command
from tools import calibrate_model, quantize_model, shard_samples

_IMAGES = 20


@pytest.fixture
def model(tmp_path):
    file = tmp_path / "net.tflite"
    file.write_bytes(tiny_model())
    return file


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    (folder / "inner").mkdir(parents=True)
    for number in range(_IMAGES):
        name = f"{'inner/' if number % 3 == 0 else ''}image_{number:02}.png"
        _image(folder / name, number)
    return folder


def _image(path, seed):
    values = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(values).save(path)


def _done(command, *flags):
    done = run_command(command, *flags)
    assert done.returncode == 0, done.stderr
    return done


def _sharded(images, folder, count):
    folder.mkdir(exist_ok=True)
    shards = [folder / str(number) for number in range(count)]
    _done(shard_samples, f"--samples={images}", *(f"--output={shard}" for shard in shards))
    return shards


def _calibrated(model, shard):
    output = shard.with_suffix(".npz")
    _done(
        calibrate_model,
        f"--input_model={model}",
        "--quantization_type=INT8",
        f"--calibration_data={shard}",
        f"--statistics_output={output}",
    )
    return output


def _quantized(model, images, output, statistics=()):
    return (
        f"--input_model={model}",
        "--quantization_type=INT8",
        f"--calibration_data={images}",
        *(f"--calibration_statistics={file}" for file in statistics),
        f"--output_model={output}",
        f"--summary_output={output}.json",
    )


def _contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_artifact_does_not_depend_on_the_number_of_shards(model, images, tmp_path):
    _done(quantize_model, *_quantized(model, images, tmp_path / "1.tflite"))
    for count in (3, 8):
        shards = _sharded(images, tmp_path / f"shards_{count}", count)
        statistics = [_calibrated(model, shard) for shard in reversed(shards)]
        output = tmp_path / f"{count}.tflite"
        _done(quantize_model, *_quantized(model, images, output, statistics))
        assert output.read_bytes() == (tmp_path / "1.tflite").read_bytes()
        summary = tmp_path / f"{count}.tflite.json"
        assert summary.read_text() == (tmp_path / "1.tflite.json").read_text()


def test_every_sample_is_in_one_shard_under_its_name(images, tmp_path):
    found = {}
    for shard in _sharded(images, tmp_path / "shards", 4):
        contents = _contents(shard)
        assert contents.pop(".shard") == b""
        assert contents
        assert not set(found) & set(contents)
        found |= contents
    assert found == _contents(images)


def test_one_more_sample_changes_one_shard(model, images, tmp_path):
    before = _sharded(images, tmp_path / "before", 5)
    _image(images / "one_more.png", 99)
    after = _sharded(images, tmp_path / "after", 5)
    pairs = list(zip(before, after, strict=True))
    changed = [one for one, other in pairs if _contents(one) != _contents(other)]
    assert len(changed) == 1
    # Statistics of a shard made without it are refused, not used.
    statistics = [_calibrated(model, shard) for shard in before]
    message = refusal(
        quantize_model, *_quantized(model, images, tmp_path / "new.tflite", statistics)
    )
    assert message.endswith("lack 1 of 21 calibration samples; calibrate again with all of them")
    assert not (tmp_path / "new.tflite").exists()


def test_a_shard_without_samples_is_calibrated_too(model, images, tmp_path):
    for path in list(images.rglob("*.png"))[1:]:
        path.unlink()
    shards = _sharded(images, tmp_path / "shards", 2)
    statistics = [_calibrated(model, shard) for shard in shards]
    with zipfile.ZipFile(statistics[0]) as one, zipfile.ZipFile(statistics[1]) as other:
        sizes = {len(archive.read("rows.npy")) for archive in (one, other)}
    assert len(sizes) == 2
    _done(quantize_model, *_quantized(model, images, tmp_path / "one.tflite", statistics))


def test_statistics_of_other_settings_are_refused(model, images, tmp_path):
    settings = {
        "kind": "rules_quantize.settings",
        "passes": {"relu_fusion": {"enabled": False}},
        "schema_version": 1,
        "scheme": "int8",
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    (shard,) = _sharded(images, tmp_path / "shards", 1)
    statistics = _calibrated(model, shard)
    flags = _quantized(model, images, tmp_path / "net_int8.tflite", [statistics])
    flags = [flag for flag in flags if "quantization_type" not in flag]
    message = refusal(quantize_model, *flags, f"--settings={tmp_path}/settings.json")
    assert message.endswith("statistics of another model; calibrate again")


def test_a_folder_that_is_not_there_cannot_be_shared_out(tmp_path):
    message = refusal(shard_samples, f"--samples={tmp_path}/none", f"--output={tmp_path}/0")
    assert message == f"{tmp_path}/none: no such folder"
