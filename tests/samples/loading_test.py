import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies
from PIL import Image, ImageOps

from tests.refused import refused
from tools.errors import InputError
from tools.samples import loading
from tools.samples.endings import IMAGE_ENDINGS, SAMPLE_ENDINGS
from tools.samples.loading import (
    InputSpec,
    Preprocessing,
    SampleSet,
    load_samples,
    overlapping,
)

FLOAT = np.dtype(np.float32)
RGB = InputSpec("image", (1, 4, 4, 3), FLOAT)
GREY = InputSpec("image", (1, 4, 4, 1), FLOAT)
PLAIN = Preprocessing(0, 1)
ENDINGS = ", ".join(sorted(SAMPLE_ENDINGS))


def load(*paths: Path, inputs=(RGB,), how: Preprocessing = PLAIN) -> SampleSet:
    return load_samples(list(paths), list(inputs), how)


def one(path: Path, inputs=(RGB,), how: Preprocessing = PLAIN) -> np.ndarray:
    """Reads the only array of the only sample, without the batch."""
    (sample,) = load(path, inputs=inputs, how=how)
    (values,) = sample.values()
    assert values.dtype == np.float32
    assert values.shape == inputs[0].shape
    return values[0]


def refusal(*paths: Path, inputs=(RGB,), how: Preprocessing = PLAIN) -> str:
    """Loads and reads what cannot be used. Returns the one line that says so."""
    with pytest.raises(InputError) as raised:
        list(load(*paths, inputs=inputs, how=how))
    message = str(raised.value)
    return message


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def save(path: Path, pixels: np.ndarray, **how) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **how)
    return path


# Images.


@pytest.mark.parametrize("ending", ["png", "bmp", "webp", "PNG", "Bmp"])
def test_pixels_arrive_as_they_are(tmp_path, ending):
    pixels = noise(4, 4)
    how = {"lossless": True} if ending == "webp" else {}
    path = save(tmp_path / f"a.{ending}", pixels, **how)
    np.testing.assert_array_equal(one(path), pixels)
    assert load(path).names == (f"a.{ending}",)


def test_a_jpeg_is_nearly_what_it_was(tmp_path):
    pixels = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    found = one(save(tmp_path / "a.jpeg", pixels))
    np.testing.assert_allclose(found, pixels[:4, :4], atol=4)


def _in_quality_90(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return Image.open(file)


def test_images_as_they_are_after_they_were_saved_as_jpeg(tmp_path):
    pixels = noise(8, 12)
    save(tmp_path / "a.png", pixels)
    save(tmp_path / "b.png", pixels[..., 0])
    samples = load(tmp_path)
    saved = samples.saved_as_jpeg()
    assert saved.names == samples.names
    for number, shape in enumerate((pixels, pixels[..., 0])):
        # Pillow's own defaults, which are 4:2:0; resized after that.
        image = _in_quality_90(Image.fromarray(shape)).convert("RGB")
        shown = ImageOps.pad(image, (4, 4), Image.Resampling.BILINEAR, color=0)
        (values,) = saved[number].values()
        np.testing.assert_array_equal(values[0], np.asarray(shown, np.float32))
        assert not np.array_equal(values, next(iter(samples[number].values())))
    assert saved.digest == samples.saved_as_jpeg().digest


def test_images_of_other_modes_are_saved_in_colour(tmp_path):
    colours = Image.fromarray(noise(4, 4))
    for number, image in enumerate((colours.convert("CMYK"), colours.convert("P"))):
        image.save(tmp_path / f"{number}.{'tif' if image.mode == 'CMYK' else 'png'}")
    transparent = colours.copy()
    transparent.putalpha(128)
    transparent.save(tmp_path / "transparent.png")
    for sample in load(tmp_path).saved_as_jpeg():
        assert sample["image"].shape == RGB.shape


def test_an_image_that_jpeg_cannot_hold_stays_as_it_is(tmp_path):
    save(tmp_path / "long.png", noise(1, 65501))
    samples = load(tmp_path)
    assert samples.saved_as_jpeg().digest == samples.digest


def test_arrays_are_not_saved_as_jpeg(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((1, 4, 4, 3), np.float32))
    assert load(tmp_path).saved_as_jpeg() is None
    save(tmp_path / "b.png", noise(4, 4))
    assert load(tmp_path).saved_as_jpeg() is None


@pytest.mark.parametrize(("mean", "std"), [(127.5, 127.5), (0, 255), (128, -1)])
def test_mean_and_std(tmp_path, mean, std):
    pixels = noise(4, 4)
    found = one(save(tmp_path / "a.png", pixels), how=Preprocessing(mean, std))
    expected = (pixels.astype(np.float32) - np.float32(mean)) / np.float32(std)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        (0, 0, "an input std of 0 divides by zero; give --input_std=127.5 or the like"),
        (0, np.nan, "an input mean of 0 and std of nan: give numbers"),
        (np.inf, 1, "an input mean of inf and std of 1: give numbers"),
    ],
)
def test_mean_and_std_that_cannot_be(tmp_path, mean, std, message):
    path = save(tmp_path / "a.png", noise(4, 4))
    assert refusal(path, how=Preprocessing(mean, std)) == message


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    """The camera's note of how it was held (EXIF 2.3, 4.6.4, tag 274) is followed."""
    shown = noise(4, 4)
    stored = {
        1: shown,
        2: shown[:, ::-1],
        3: shown[::-1, ::-1],
        4: shown[::-1],
        5: shown.transpose(1, 0, 2),
        6: np.rot90(shown, 1),
        7: shown[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(shown, -1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    path = save(tmp_path / "a.png", np.ascontiguousarray(stored), exif=exif)
    np.testing.assert_array_equal(one(path), shown)


def test_grey_becomes_three_equal_channels(tmp_path):
    pixels = noise(4, 4)[..., 0]
    found = one(save(tmp_path / "a.png", pixels))
    np.testing.assert_array_equal(found, np.repeat(pixels[..., None], 3, axis=-1))


def test_colour_becomes_grey_by_luminance(tmp_path):
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:2, :, 0] = 255
    pixels[2:, :, 1] = 255
    found = one(save(tmp_path / "a.png", pixels), inputs=(GREY,))
    # ITU-R 601: 0.299 and 0.587.
    np.testing.assert_array_equal(found[..., 0], np.repeat([76, 76, 150, 150], 4).reshape(4, 4))


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    pixels = (np.arange(16, dtype=np.uint16).reshape(4, 4) * 4369).astype(np.uint16)
    path = save(tmp_path / "a.png", pixels)
    with Image.open(path) as image:
        assert image.mode.startswith("I")
    np.testing.assert_array_equal(one(path, inputs=(GREY,))[..., 0], pixels >> 8)
    assert one(path)[3, 3].tolist() == [255, 255, 255]


def test_what_is_transparent_is_black(tmp_path):
    pixels = np.dstack([noise(4, 4), np.full((4, 4), 255, np.uint8)])
    pixels[1, 2, 3] = 0
    pixels[3, 3] = (200, 100, 50, 128)
    found = one(save(tmp_path / "a.png", pixels))
    expected = pixels[..., :3].astype(np.float32)
    expected[1, 2] = 0
    np.testing.assert_array_equal(found[:3], expected[:3])
    np.testing.assert_allclose(found[3, 3], [100, 50, 25], atol=1)


def test_transparent_colour_of_a_palette_is_black(tmp_path):
    image = Image.fromarray(np.repeat(np.uint8([0, 1]), 8).reshape(4, 4), mode="P")
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.save(tmp_path / "a.png", transparency=0)
    found = one(tmp_path / "a.png")
    assert (found[:2] == 0).all()
    assert (found[2:] == [0, 255, 0]).all()


def test_black_and_white(tmp_path):
    pixels = np.eye(4, dtype=bool)
    found = one(save(tmp_path / "a.png", pixels))
    np.testing.assert_array_equal(found[..., 1], np.eye(4) * 255)


@pytest.mark.parametrize(
    ("resize", "edge"), [("letterbox", 0), ("stretch", 255), ("center_crop", 255)]
)
def test_a_wide_white_image(tmp_path, resize, edge):
    path = save(tmp_path / "a.png", np.full((8, 16, 3), 255, np.uint8))
    found = one(path, how=Preprocessing(0, 1, resize))
    assert (found[[0, 3]] == edge).all()
    assert (found[1:3] == 255).all()


@pytest.mark.parametrize(("resize", "expected"), [("letterbox", 0), ("center_crop", 255)])
def test_a_high_white_image(tmp_path, resize, expected):
    path = save(tmp_path / "a.png", np.full((16, 8, 3), 255, np.uint8))
    found = one(path, how=Preprocessing(0, 1, resize))
    assert (found[:, [0, 3]] == expected).all()
    assert (found[:, 1:3] == 255).all()


def test_center_crop_takes_the_middle(tmp_path):
    pixels = np.zeros((4, 12, 3), np.uint8)
    pixels[:, 4:8] = noise(4, 4)
    found = one(save(tmp_path / "a.png", pixels), how=Preprocessing(0, 1, "center_crop"))
    np.testing.assert_array_equal(found, pixels[:, 4:8])


def test_stretch_fills_another_aspect_ratio(tmp_path):
    pixels = np.repeat(np.uint8([0, 255]), 8)[None, :, None] * np.ones((4, 1, 3), np.uint8)
    wide = InputSpec("image", (1, 2, 8, 3), FLOAT)
    path = save(tmp_path / "a.png", pixels)
    found = one(path, inputs=(wide,), how=Preprocessing(0, 1, "stretch"))
    assert (found[:, :3] == 0).all()
    assert (found[:, 5:] == 255).all()


def test_letterbox_fills_with_black_before_it_is_normalised(tmp_path):
    path = save(tmp_path / "a.png", np.full((2, 8, 3), 255, np.uint8))
    found = one(path, how=Preprocessing(127.5, 127.5))
    assert set(found[0].ravel()) == {-1}
    assert set(found[2].ravel()) <= {-1, 1}


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "center_crop"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1), (5, 3), (64, 65)])
def test_every_size_becomes_the_input(tmp_path, resize, height, width):
    spec = InputSpec("image", (1, 6, 5, 3), FLOAT)
    path = save(tmp_path / "a.png", np.full((height, width, 3), 90, np.uint8))
    found = one(path, inputs=(spec,), how=Preprocessing(0, 1, resize))
    assert found.max() == 90


@pytest.mark.parametrize(
    "content",
    [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\x00" * 40, b"GIF89a\x01\x00"],
)
def test_broken_image_is_named(tmp_path, content):
    save(tmp_path / "a.png", noise(4, 4))
    (tmp_path / "b.png").write_bytes(content)
    assert refusal(tmp_path) == (
        f"{tmp_path}/b.png: not a readable image; remove it or save it again"
    )


def test_truncated_images_are_named(tmp_path):
    for ending in ("png", "jpg", "bmp", "webp"):
        whole = save(tmp_path / f"whole.{ending}", noise(64, 64)).read_bytes()
        for share in (0.1, 0.5, 0.9):
            path = tmp_path / f"cut.{ending}"
            path.write_bytes(whole[: int(len(whole) * share)])
            assert refusal(path).startswith(f"{path}: not a readable image")


@pytest.mark.parametrize(
    "inputs",
    [
        (InputSpec("values", (1, 10), FLOAT),),
        (InputSpec("image", (1, 4, 4, 8), FLOAT),),
        (InputSpec("flags", (1, 4, 4, 3), np.dtype(bool)),),
        (RGB, InputSpec("mask", (1, 4, 4, 1), FLOAT)),
    ],
)
def test_image_for_a_model_that_takes_none(tmp_path, inputs):
    path = save(tmp_path / "a.png", noise(4, 4))
    message = refusal(path, inputs=inputs)
    assert message.startswith(f"{path}: an image cannot be the input of this model (")
    for spec in inputs:
        assert f"{spec.name} {list(spec.shape)}" in message


def test_data_for_a_model_without_inputs(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 4), np.float32))
    with refused("data.names", "has no input"):
        load(tmp_path / "a.npz", inputs=())


def test_pixels_are_remembered_up_to_a_bound(tmp_path, monkeypatch):
    bytes_of_one = 4 * 4 * 3
    monkeypatch.setattr(loading, "_REMEMBERED_BYTES", 2 * bytes_of_one)
    files = [save(tmp_path / f"{number}.png", noise(6, 6, number)) for number in range(3)]
    samples = load(*files)
    before = list(samples)
    for file in files:
        file.unlink()
    for number in (0, 1):
        assert np.array_equal(samples[number]["image"], before[number]["image"])
    with refused("file.missing", r"2\.png: .*\(No such file or directory\)$"):
        _ = samples[2]


def test_what_is_remembered_is_not_the_readers(tmp_path):
    samples = load(save(tmp_path / "a.png", noise(4, 4)))
    first = samples[0]["image"].copy()
    samples[0]["image"][:] = -1
    assert np.array_equal(samples[0]["image"], first)


# Arrays.

SPEC = InputSpec("values", (1, 2, 3), FLOAT)
ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_files_of_several_folders_are_named_with_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = [
        Path(folder) / "photos/cat/1.npy" for folder in (".", "bazel-out/k8-fastbuild/bin")
    ] + [Path("photos/dog/1.npy")]
    paths[1] = paths[1].with_name("2.npy")
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, ARRAY)
    named = load_samples(paths, (SPEC,), Preprocessing(9, 9), named_by_folder=True).names
    assert named == ("cat/1.npy", "cat/2.npy", "dog/1.npy")
    assert load_samples(paths, (SPEC,), Preprocessing(9, 9)).names == ("1.npy", "1.npy", "2.npy")
    alone = load_samples(paths[2:], (SPEC,), Preprocessing(9, 9), named_by_folder=True)
    assert alone.names == ("1.npy",)
    # As a program is given them, from where its user stands.
    typed = [path.absolute() for path in paths]
    assert load_samples(typed, (SPEC,), Preprocessing(9, 9), named_by_folder=True).names == named


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3), (1, 1, 2, 3)])
@pytest.mark.parametrize("ending", ["npy", "npz", "NPY", "NPZ"])
def test_one_sample(tmp_path, shape, ending):
    path = tmp_path / f"a.{ending}"
    with open(path, "wb") as file:
        if ending.lower() == "npy":
            np.save(file, ARRAY.reshape(shape))
        else:
            np.savez(file, values=ARRAY.reshape(shape))
    np.testing.assert_array_equal(one(path, inputs=(SPEC,), how=Preprocessing(9, 9)), ARRAY)
    assert load(path, inputs=(SPEC,)).names == (f"a.{ending}",)


@pytest.mark.parametrize("shape", [(4, 2, 3), (4, 1, 2, 3)])
@pytest.mark.parametrize("compressed", [False, True])
def test_many_samples(tmp_path, shape, compressed):
    many = np.random.default_rng(0).random((4, 2, 3), np.float32)
    np.save(tmp_path / "a.npy", many.reshape(shape))
    (np.savez_compressed if compressed else np.savez)(
        tmp_path / "b.npz", values=many[::-1].reshape(shape)
    )
    samples = load(tmp_path, inputs=(SPEC,))
    assert len(samples) == 8
    assert samples.files == 2
    assert samples.names == (*(f"a.npy#{i}" for i in range(4)), *(f"b.npz#{i}" for i in range(4)))
    for number, expected in enumerate([*many, *many[::-1]]):
        np.testing.assert_array_equal(samples[number]["values"], expected[None])


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.uint8, bool, ">f4"])
def test_other_numbers_become_the_input_s(tmp_path, dtype):
    np.save(tmp_path / "a.npy", ARRAY.astype(dtype))
    expected = ARRAY.astype(dtype).astype(np.float32)
    np.testing.assert_array_equal(one(tmp_path / "a.npy", inputs=(SPEC,)), expected)


def test_column_major_array(tmp_path):
    np.save(tmp_path / "a.npy", np.asfortranarray(ARRAY))
    np.testing.assert_array_equal(one(tmp_path / "a.npy", inputs=(SPEC,)), ARRAY)


def test_several_inputs(tmp_path):
    left, right = InputSpec("left", (1, 2), FLOAT), InputSpec("right", (1, 3), FLOAT)
    np.savez(tmp_path / "a.npz", left=np.ones((5, 2)), right=np.arange(15).reshape(5, 3))
    samples = load(tmp_path, inputs=(left, right))
    assert len(samples) == 5
    np.testing.assert_array_equal(samples[4]["right"], [[12, 13, 14]])
    np.testing.assert_array_equal(samples[4]["left"], [[1, 1]])
    np.savez(tmp_path / "a.npz", left=np.ones((5, 2)), right=np.ones((4, 3)))
    assert refusal(tmp_path, inputs=(left, right)) == (
        f"{tmp_path}/a.npz: its arrays hold different numbers of samples: {{'left': 5, 'right': 4}}"
    )


@pytest.mark.parametrize("shape", [(3, 2), (4, 3, 2), (2, 4), (0, 2, 3), (6,), (), (2, 2, 2, 3)])
def test_wrong_shape_is_named(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.float32))
    assert refusal(tmp_path / "a.npy", inputs=(SPEC,)) == (
        f"{tmp_path}/a.npy: shape {list(shape)} does not fit the input values, which takes "
        "[1, 2, 3], or any number of [2, 3]"
    )


@pytest.mark.parametrize("names", [("value",), ("values", "more"), ()])
def test_wrong_names_are_listed(tmp_path, names):
    np.savez(tmp_path / "a.npz", **dict.fromkeys(names, ARRAY))
    assert refusal(tmp_path / "a.npz", inputs=(SPEC,)) == (
        f"{tmp_path}/a.npz: its arrays are {', '.join(sorted(names))}; the model's inputs are "
        "values, name them so"
    )


def test_npy_for_two_inputs_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", ARRAY)
    other = InputSpec("mask", (1, 2, 3), FLOAT)
    assert refusal(tmp_path / "a.npy", inputs=(SPEC, other)) == (
        f"{tmp_path}/a.npy: the model has 2 inputs; give a .npz file with one array for each: "
        "values, mask"
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_no_numbers(tmp_path, bad, recwarn):
    many = np.zeros((3, 2, 3))
    many[1, 0, 2] = bad
    np.save(tmp_path / "a.npy", many)
    samples = load(tmp_path / "a.npy", inputs=(SPEC,))
    assert not samples[0]["values"].any()
    assert refusal(tmp_path / "a.npy", inputs=(SPEC,)) == (
        f"{tmp_path}/a.npy: sample a.npy#1 holds NaN or infinite values for the input values; "
        "remove it"
    )
    assert not recwarn.list


def _npy(values) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def _npz(values) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, values=values)
    return stream.getvalue()


def _zip_of_text() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("values", "no array")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", b""),
        ("a.npy", b"some text"),
        ("a.npy", _npy(ARRAY)[:-1]),
        ("a.npy", _npy(ARRAY)[:40]),
        ("a.npy", _npz(ARRAY)),
        ("a.npy", _npy(ARRAY).replace(b"(2, 3)", b"(2, 3(")),
        ("a.npy", _npy(np.array([{"a": 1}], dtype=object))),
        ("a.npz", b""),
        ("a.npz", b"some text"),
        ("a.npz", _npy(ARRAY)),
        ("a.npz", _npz(ARRAY)[:100]),
        ("a.npz", b"PK\x03\x04" + b"\x00" * 60),
        ("a.npz", _npz(np.array([{"a": 1}], dtype=object))),
    ],
)
def test_what_is_no_array_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert refusal(tmp_path / name, inputs=(SPEC,)) == (
        f"{tmp_path}/{name}: not a readable array file; save it again with numpy, without "
        "pickled objects"
    )


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    strategies.sampled_from(["npy", "npz"]),
    strategies.lists(
        strategies.tuples(strategies.integers(0, 10**4), strategies.integers(0, 255)),
        min_size=1,
        max_size=4,
    ),
)
def test_damaged_array_file_is_refused_or_read(tmp_path_factory, ending, changes):
    content = bytearray(_npy(ARRAY) if ending == "npy" else _npz(ARRAY))
    for where, value in changes:
        content[where % len(content)] = value
    path = tmp_path_factory.getbasetemp() / f"damaged.{ending}"
    path.write_bytes(content)
    try:
        samples = list(load(path, inputs=(SPEC,)))
    except InputError:
        assert refusal(path, inputs=(SPEC,)).startswith(f"{path}: ")
    else:
        assert all(sample["values"].shape == (1, 2, 3) for sample in samples)


@pytest.mark.parametrize("values", [np.array(["a"] * 6), np.ones(6, complex), np.zeros(6, "M8[s]")])
def test_arrays_of_other_things(tmp_path, values):
    np.save(tmp_path / "a.npy", values.reshape(2, 3))
    assert refusal(tmp_path / "a.npy", inputs=(SPEC,)) == (
        f"{tmp_path}/a.npy: the values for the input values are no numbers"
    )


# Folders.


def test_empty_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("none here")
    (tmp_path / ".hidden.png").write_bytes(b"no image")
    (tmp_path / "a.heic").write_bytes(b"")
    assert refusal(tmp_path) == (
        f"{tmp_path}: no images or arrays in this folder ({ENDINGS}); it has 1 .heic, 1 .txt; "
        "add some"
    )
    (tmp_path / "none").mkdir()
    assert refusal(tmp_path / "none") == (
        f"{tmp_path}/none: no images or arrays in this folder ({ENDINGS}); add some"
    )


def test_files_that_are_not_read_are_counted_by_ending(tmp_path):
    save(tmp_path / "a.png", noise(4, 4))
    for name in ("b.heic", "c/d.HEIC", "c/e.txt", "README"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert load(tmp_path).notes == (
        f"{tmp_path}: 4 of 5 files are not read (2 .heic, 1 .txt, 1 without an ending); samples "
        f"are {ENDINGS}",
    )
    assert load(tmp_path / "a.png").notes == ()


def test_linked_folders_are_read(tmp_path):
    save(tmp_path / "elsewhere" / "b.png", noise(4, 4, 1))
    save(tmp_path / "data" / "a.png", noise(4, 4))
    (tmp_path / "data" / "class").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "c.png").symlink_to(tmp_path / "elsewhere" / "b.png")
    (tmp_path / "linked").symlink_to(tmp_path / "data")
    for folder in ("data", "linked"):
        assert load(tmp_path / folder).names == ("a.png", "c.png", "class/b.png")


def test_a_folder_that_links_back_ends(tmp_path):
    save(tmp_path / "data" / "a" / "a.png", noise(4, 4))
    (tmp_path / "data" / "a" / "up").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "a" / "self").symlink_to(tmp_path / "data" / "a")
    assert load(tmp_path / "data").names == ("a/a.png",)


def test_two_links_to_a_folder_are_both_read(tmp_path):
    save(tmp_path / "elsewhere" / "b.png", noise(4, 4, 1))
    for name in ("one", "two"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).symlink_to(tmp_path / "elsewhere")
    assert load(tmp_path / "data").names == ("one/b.png", "two/b.png")


def test_a_link_to_nothing_is_named(tmp_path):
    save(tmp_path / "a.png", noise(4, 4))
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    assert refusal(tmp_path) == f"{tmp_path}/b.png: cannot be read (No such file or directory)"


def test_hidden_folders_are_passed_over(tmp_path):
    save(tmp_path / ".data" / "a.png", noise(4, 4))
    save(tmp_path / ".data" / ".ipynb_checkpoints" / "a.png", noise(4, 4, 1))
    save(tmp_path / ".data" / "b" / ".thumbnails" / "c" / "a.png", noise(4, 4, 2))
    samples = load(tmp_path / ".data")
    assert samples.names == ("a.png",)
    assert samples.notes == ()


def test_all_images_that_cannot_be_read_are_counted(tmp_path):
    for number in range(3):
        save(tmp_path / f"{number}.png", noise(4, 4, number))
    (tmp_path / "1.png").write_bytes(b"no image")
    assert refusal(tmp_path) == (
        f"{tmp_path}/1.png: not a readable image; remove it or save it again"
    )
    (tmp_path / "2.png").write_bytes(b"")
    assert refusal(tmp_path) == (
        f"{tmp_path}/1.png: not a readable image; remove it or save it again; 1 other image of "
        "this set cannot be read either"
    )


# Models that take several rows or images at once.


def test_rows_become_batches(tmp_path):
    rows = np.arange(100 * 3, dtype=np.float32).reshape(100, 3)
    np.save(tmp_path / "a.npy", rows)
    samples = load(tmp_path / "a.npy", inputs=(InputSpec("rows", (8, 3), FLOAT),))
    assert len(samples) == 12
    for number, sample in enumerate(samples):
        np.testing.assert_array_equal(sample["rows"], rows[8 * number : 8 * number + 8])
    assert samples.notes == (
        f"{tmp_path}/a.npy: 4 rows at its end are not used; the model takes several at once",
    )


@pytest.mark.parametrize(("shape", "count"), [((8, 3), 1), ((5, 8, 3), 5), ((16, 3), 2)])
def test_whole_batches(tmp_path, shape, count):
    values = np.random.default_rng(0).random(shape, np.float32)
    np.savez(tmp_path / "a.npz", rows=values)
    samples = load(tmp_path / "a.npz", inputs=(InputSpec("rows", (8, 3), FLOAT),))
    assert samples.notes == ()
    found = np.stack([sample["rows"] for sample in samples])
    np.testing.assert_array_equal(found, values.reshape(count, 8, 3))


@pytest.mark.parametrize("shape", [(7, 3), (3,), (8, 4), (5, 7, 3)])
def test_too_few_rows_are_refused(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.float32))
    assert refusal(tmp_path / "a.npy", inputs=(InputSpec("rows", (8, 3), FLOAT),)) == (
        f"{tmp_path}/a.npy: shape {list(shape)} does not fit the input rows, which takes [8, 3], "
        "or any number of [3] from 8 on"
    )


def test_a_model_without_a_batch(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(5, dtype=np.float32))
    samples = load(tmp_path / "a.npy", inputs=(InputSpec("level", (), FLOAT),))
    assert [float(sample["level"]) for sample in samples] == [0, 1, 2, 3, 4]
    image = InputSpec("image", (4, 4, 3), FLOAT)
    path = save(tmp_path / "a.png", noise(4, 4))
    ((sample,),) = (list(load(path, inputs=(image,))),)
    np.testing.assert_array_equal(sample["image"], noise(4, 4))


def test_images_become_batches(tmp_path):
    for number in range(5):
        save(tmp_path / f"{number}.png", noise(4, 4, number))
    samples = load(tmp_path, inputs=(InputSpec("image", (2, 4, 4, 3), FLOAT),))
    assert samples.names == ("0.png..1.png", "2.png..3.png")
    assert samples.files == 4
    assert samples.are_images
    expected = np.stack([noise(4, 4, 2), noise(4, 4, 3)])
    np.testing.assert_array_equal(samples[1]["image"], expected)
    assert samples.notes == (
        f"{tmp_path}/4.png: 1 of 5 images are not used; the model takes 2 at once",
    )
    assert refusal(tmp_path / "0.png", inputs=(InputSpec("image", (2, 4, 4, 3), FLOAT),)) == (
        f"{tmp_path}/0.png: the input image takes 2 images at once, and there is 1; give at least 2"
    )


# Inputs of other types and layouts.


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
def test_pixels_are_whole_numbers_where_the_input_takes_them(tmp_path, dtype):
    path = save(tmp_path / "a.png", noise(4, 4))
    spec = InputSpec("image", (1, 4, 4, 3), np.dtype(dtype))
    (sample,) = load(path, inputs=(spec,), how=Preprocessing(127.5, 127.5))
    assert sample["image"].dtype == dtype
    np.testing.assert_array_equal(sample["image"][0], noise(4, 4))


def test_signed_bytes_of_pixels_start_at_minus_128(tmp_path):
    path = save(tmp_path / "a.png", noise(4, 4))
    (sample,) = load(path, inputs=(InputSpec("image", (1, 4, 4, 3), np.dtype(np.int8)),))
    np.testing.assert_array_equal(sample["image"][0], noise(4, 4).astype(int) - 128)


def test_channels_may_come_first(tmp_path):
    path = save(tmp_path / "a.png", noise(4, 6))
    (sample,) = load(path, inputs=(InputSpec("image", (1, 3, 4, 6), FLOAT),))
    np.testing.assert_array_equal(sample["image"][0], noise(4, 6).transpose(2, 0, 1))


def test_mirror_images_are_found_where_channels_come_first(tmp_path):
    spec = InputSpec("image", (1, 3, 4, 6), FLOAT)
    one_path = save(tmp_path / "a.png", noise(4, 6))
    other = save(tmp_path / "b.png", np.ascontiguousarray(noise(4, 6)[:, ::-1]))
    one_set, other_set = load(one_path, inputs=(spec,)), load(other, inputs=(spec,))
    assert overlapping(one_set, other_set) == [("a.png", "b.png")]


@pytest.mark.parametrize(
    ("dtype", "value"), [(np.int32, 0.5), (np.uint8, 256), (np.uint8, -1), (bool, 2)]
)
def test_values_that_the_input_cannot_hold_are_refused(tmp_path, dtype, value):
    np.save(tmp_path / "a.npy", np.array([[1, 0, value]]))
    spec = InputSpec("values", (1, 3), np.dtype(dtype))
    assert refusal(tmp_path / "a.npy", inputs=(spec,)) == (
        f"{tmp_path}/a.npy: sample a.npy holds values that {np.dtype(dtype)} cannot, which the "
        "input values takes"
    )


def test_text(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[b"a", b"word"], [b"", b"b"]]))
    spec = InputSpec("text", (1, 2), np.dtype(np.bytes_))
    samples = load(tmp_path / "a.npy", inputs=(spec,))
    assert [sample["text"].tolist() for sample in samples] == [[[b"a", b"word"]], [[b"", b"b"]]]
    np.save(tmp_path / "a.npy", np.zeros((1, 2)))
    assert refusal(tmp_path / "a.npy", inputs=(spec,)) == (
        f"{tmp_path}/a.npy: the values for the input text are no text"
    )


def test_nothing_given():
    assert refusal() == "no calibration or test data; give images, .npy or .npz files"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.png", "no such file"),
        ("none", "no such file or folder"),
        ("notes.txt", f"not one of {ENDINGS}"),
    ],
)
def test_path_that_cannot_be(tmp_path, name, message):
    (tmp_path / "notes.txt").write_text("text")
    assert refusal(tmp_path / name) == f"{tmp_path / name}: {message}"


def _fill(folder: Path) -> Path:
    for number, name in enumerate(["b.png", "a/z.png", "a.png", "c/a.webp", "B.jpg"]):
        save(folder / name, noise(6, 6, number))
    np.save(folder / "a" / "many.npy", np.random.default_rng(1).random((3, 4, 4, 3)))
    (folder / "a" / "notes.txt").write_text("not a sample")
    (folder / "c" / ".a.webp.part").write_bytes(b"half")
    return folder


def test_folders_are_read_to_the_bottom_in_the_order_of_names(tmp_path):
    samples = load(_fill(tmp_path / "data"))
    assert samples.names == (
        "B.jpg", "a.png", "a/many.npy#0", "a/many.npy#1", "a/many.npy#2", "a/z.png", "b.png",
        "c/a.webp",
    )  # fmt: skip
    assert samples.files == 6
    assert len(samples) == len(list(samples)) == 8


def test_order_and_digest_do_not_depend_on_where_the_folder_lies(tmp_path):
    one_set, other = load(_fill(tmp_path / "z" / "data")), load(_fill(tmp_path / "a" / "other"))
    assert one_set.names == other.names
    assert one_set.digest == other.digest
    assert len(set(one_set.sample_digests)) == 8


def test_order_does_not_depend_on_the_order_of_paths(tmp_path):
    _fill(tmp_path)
    paths = [tmp_path / name for name in ("b.png", "a", "c", "a.png")]
    assert load(*paths).names == load(*reversed(paths)).names
    assert load(*paths).digest == load(*reversed(paths)).digest


def test_digest_is_known(tmp_path):
    """Another version of the code must not tell an unchanged set from itself."""
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    save(tmp_path / "a.png", pixels)
    samples = load(tmp_path)
    content = b"image<f4(1, 4, 4, 3)" + pixels.astype("<f4").tobytes()
    assert samples.sample_digests == [hashlib.sha256(content).hexdigest()]
    assert samples.digest == hashlib.sha256(samples.sample_digests[0].encode()).hexdigest()


def test_digest_is_of_what_the_model_sees(tmp_path):
    pixels = noise(4, 4)
    save(tmp_path / "a" / "x.png", pixels)
    save(tmp_path / "b" / "y.bmp", pixels)
    digest = load(tmp_path / "a").digest
    assert load(tmp_path / "b").digest == digest
    assert load(tmp_path / "a", how=Preprocessing(1, 1)).digest != digest
    assert load(tmp_path / "a", inputs=(GREY,)).digest != digest
    pixels[0, 0, 0] ^= 1
    save(tmp_path / "b" / "y.bmp", pixels)
    assert load(tmp_path / "b").digest != digest


def test_files_are_read_when_they_are_asked_for(tmp_path):
    path = save(tmp_path / "a.png", noise(4, 4))
    samples = load(path)
    save(path, noise(4, 4, 1))
    assert np.array_equal(samples[0]["image"][0], noise(4, 4, 1))


def test_every_image_ending_is_one_that_pillow_reads():
    Image.init()
    assert set(Image.registered_extensions()) >= IMAGE_ENDINGS


# Overlap.


def test_copies_under_another_name_are_found(tmp_path):
    for number in range(4):
        save(tmp_path / "one" / f"{number}.png", noise(6, 6, number))
        save(tmp_path / "other" / f"{number}.png", noise(6, 6, 10 + number))
    one_set, other = tmp_path / "one", tmp_path / "other"
    assert overlapping(load(one_set), load(other)) == []
    save(other / "copy.bmp", noise(6, 6, 2))
    assert overlapping(load(one_set), load(other)) == [("2.png", "copy.bmp")]
    assert overlapping(load(other), load(one_set)) == [("copy.bmp", "2.png")]


def test_mirror_images_are_found(tmp_path):
    save(tmp_path / "one" / "a.png", noise(4, 4, 1))
    save(tmp_path / "other" / "b.png", np.ascontiguousarray(noise(4, 4, 1)[:, ::-1]))
    assert overlapping(load(tmp_path / "one"), load(tmp_path / "other")) == [("a.png", "b.png")]


def test_other_changes_are_not(tmp_path):
    pixels = noise(4, 4, 1)
    save(tmp_path / "one" / "a.png", pixels)
    changed = pixels.copy()
    changed[2, 2, 2] ^= 1
    others = {
        "flipped": pixels[::-1],
        "turned": np.rot90(pixels),
        "changed": changed,
        "channels": pixels[..., ::-1],
    }
    for name, values in others.items():
        save(tmp_path / "other" / f"{name}.png", np.ascontiguousarray(values))
    assert overlapping(load(tmp_path / "one"), load(tmp_path / "other")) == []


def test_copies_in_arrays_are_found(tmp_path):
    many = np.random.default_rng(0).random((5, 2, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", many)
    np.savez(tmp_path / "b.npz", values=many[[3, 0]])
    one_set, other = (load(tmp_path / name, inputs=(SPEC,)) for name in ("a.npy", "b.npz"))
    assert overlapping(one_set, other) == [("a.npy#3", "b.npz#0"), ("a.npy#0", "b.npz#1")]


def test_image_and_its_array_are_the_same_sample(tmp_path):
    pixels = noise(4, 4)
    save(tmp_path / "a.png", pixels)
    np.save(tmp_path / "b.npy", (pixels.astype(np.float32) - 127.5) / 127.5)
    how = Preprocessing(127.5, 127.5)
    one_set, other = load(tmp_path / "a.png", how=how), load(tmp_path / "b.npy", how=how)
    assert overlapping(one_set, other) == [("a.png", "b.npy")]


def test_array_file_of_many_samples_is_read_once(tmp_path, monkeypatch):
    values = np.arange(40 * 2 * 2 * 3, dtype=np.float32).reshape(40, 2, 2, 3)
    for name in ("a.npz", "b.npz"):
        np.savez_compressed(tmp_path / name, values=values)
    samples = load_samples(
        [tmp_path], [InputSpec("values", (1, 2, 2, 3), np.dtype(np.float32))], Preprocessing(0, 1)
    )
    opened, load = [], np.load
    monkeypatch.setattr(np, "load", lambda path, **how: opened.append(path) or load(path, **how))
    for number, sample in enumerate(samples):
        np.testing.assert_array_equal(sample["values"][0], values[number % 40])
    assert opened == [tmp_path / "a.npz", tmp_path / "b.npz"]
