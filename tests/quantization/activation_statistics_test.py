import dataclasses
import io
import itertools
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from tests.random_models import float_models, random_image, tiny_model
from tests.refused import refused
from tools.graph.flatbuffer import TfliteModel, parse_model
from tools.graph.float_master import make_float_master
from tools.quantization.activation_statistics import (
    ActivationStatistics,
    Rows,
    merge_statistics,
    read_statistics,
    write_statistics,
)
from tools.quantization.calibration import computed_tensors, gather_statistics, no_statistics
from tools.quantization.equalization import equalize


@pytest.fixture(name="model", scope="module")
def tiny() -> TfliteModel:
    return parse_model(make_float_master(tiny_model())[0], "net.tflite")


def samples(count: int, size: int = 16) -> list[dict[str, np.ndarray]]:
    return [{"image": random_image((1, size, size, 3), seed)} for seed in range(count)]


def check_equal(one: ActivationStatistics, other: ActivationStatistics) -> None:
    assert list(one) == list(other)
    for index, found in one.items():
        for field in dataclasses.fields(found):
            values = (getattr(statistics[index], field.name) for statistics in (one, other))
            np.testing.assert_array_equal(*values)


def digests(start: int, stop: int) -> list[str]:
    return [f"sample {number}" for number in range(start, stop)]


def written(statistics: ActivationStatistics, model: TfliteModel, start: int = 0) -> bytes:
    file = io.BytesIO()
    write_statistics(statistics, model, digests(start, start + statistics.rows.samples), file)
    return file.getvalue()


@pytest.mark.parametrize("cuts", [[], [1], [64], [63, 65], [10, 20, 30, 100, 129]])
def test_shards_merge_to_the_bit(model, cuts):
    data = samples(130)
    whole = gather_statistics(model, data, means=True)
    bounds = [0, *cuts, len(data)]
    shards = [
        gather_statistics(model, data[start:stop], means=True)
        for start, stop in itertools.pairwise(bounds)
    ]
    check_equal(merge_statistics(shards), whole)
    files = [
        (str(start), io.BytesIO(written(shard, model, start)))
        for start, shard in zip(bounds, shards, strict=False)
    ]
    check_equal(read_statistics(files, model, digests(0, 130)), whole)


def test_samples_come_in_the_datasets_order_whatever_shard_has_them(model):
    data = samples(9)
    shards = [(gather_statistics(model, data[6:]), 6), (gather_statistics(model, data[:6]), 0)]
    files = [
        io.BytesIO(written(shard, model, start))
        for shard, start in [*shards, (no_statistics(model), 0)]
    ]
    order = [8, 0, 3, 3]
    found = read_statistics(
        [("s.npz", file) for file in files], model, [f"sample {number}" for number in order]
    )
    check_equal(found, gather_statistics(model, [data[number] for number in order]))


def test_a_sample_that_no_shard_has_is_refused(model):
    file = io.BytesIO(written(gather_statistics(model, samples(2)), model))
    with refused("statistics.incomplete", r"^s\.npz: .* lack 2 of 4 "):
        read_statistics([("s.npz", file)], model, digests(0, 4))


def test_a_digest_for_each_sample_is_needed(model):
    with pytest.raises(ValueError, match="a digest for each"):
        write_statistics(gather_statistics(model, samples(2)), model, ["one"], io.BytesIO())


@settings(max_examples=20, deadline=None, derandomize=True)
@given(float_models(), strategies.booleans())
def test_what_is_written_is_read(content, means):
    model = parse_model(make_float_master(content)[0])
    found = gather_statistics(model, samples(2, 6), means=means)
    file = written(found, model)
    check_equal(read_statistics([("file", io.BytesIO(file))], model, digests(0, 2)), found)
    again = gather_statistics(model, samples(2, 6), means=means)
    assert written(again, model) == file


def test_numpy_reads_the_file(model):
    found = gather_statistics(model, samples(3), tensors=computed_tensors(model)[1:3])
    with np.load(io.BytesIO(written(found, model))) as arrays:
        assert arrays["rows"].shape == (3, found.layout.width)
        assert '"format": "rules_quantize.activation_statistics.2"' in str(arrays["header"])


def test_statistics_of_another_model_are_refused(model):
    other = parse_model(make_float_master(tiny_model(seed=1))[0], "other.tflite")
    file = written(gather_statistics(model, samples(2)), model)
    with refused("statistics.other", "another model"):
        read_statistics([("s.npz", io.BytesIO(file))], other, digests(0, 2))


def test_parts_of_different_tensors_are_refused(model):
    tensors = computed_tensors(model)
    parts = [gather_statistics(model, samples(2), tensors=t) for t in (tensors, tensors[:2])]
    with pytest.raises(ValueError, match="different tensors"):
        merge_statistics(parts)
    files = [("s.npz", io.BytesIO(written(part, model))) for part in parts]
    with refused("statistics.other", "its tensors"):
        read_statistics(files, model, digests(0, 2))


def test_statistics_of_a_scaled_model_are_not_written(model):
    scaled = parse_model(make_float_master(tiny_model())[0])
    before, scales = gather_statistics(model, samples(2)), {}
    equalize(scaled, before, scales)
    derived = before.rescaled(scaled, scales)
    with pytest.raises(ValueError, match="as they were gathered"):
        write_statistics(derived, scaled, digests(0, 2), io.BytesIO())


@pytest.mark.parametrize("damage", ["no zip", "cut", "no rows", "short", "empty"])
def test_damaged_file_is_one_line(model, damage):
    file = written(gather_statistics(model, samples(2)), model)
    if damage == "no zip":
        file = b"text"
    elif damage == "cut":
        file = file[: len(file) // 2]
    elif damage != "empty":
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members = {name: content for name, content in members.items() if name != "rows.npy"} | (
            {"rows.npy": members["rows.npy"][:-8]} if damage == "short" else {}
        )
        changed = io.BytesIO()
        with zipfile.ZipFile(changed, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        file = changed.getvalue()
    else:
        file = b""
    with refused("statistics.damaged") as raised:
        read_statistics([("s.npz", io.BytesIO(file))], model, digests(0, 2))
    assert str(raised.value) == (
        "s.npz: no file of activation statistics, or a damaged one; calibrate again"
    )


def test_rows_are_read_as_they_were_written_in_any_order():
    values = np.random.default_rng(0).normal(size=(150, 7)).astype(np.float32)
    rows = Rows(7, 150)
    for number in np.random.default_rng(1).permutation(150):
        rows.write(int(number), values[number])
    np.testing.assert_array_equal(np.concatenate(list(rows.blocks())), values)
    np.testing.assert_array_equal(np.concatenate(list(rows.blocks(11))), values)
