"""The quantize_model command, as it is typed."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.model_files import model_path
from tests.random_models import random_image, run_model, tiny_model
from tests.tools.commands import refusal, run_command
from tools import quantize_model as command
from tools.graph.description import describe
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings, settings_text

SCHEMES = ("INT8", "FULL_INTEGER", "DYNAMIC", "FLOAT16", "WEIGHT_ONLY_INT8")


def save_image(path: Path, seed: int, size: tuple[int, int] = (16, 16)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """net.tflite, large enough to be worth quantizing, and images to calibrate with."""
    path = tmp_path_factory.mktemp("given")
    (path / "net.tflite").write_bytes(tiny_model(channels=64))
    for seed in range(3):
        save_image(path / "images" / f"{seed}.png", seed)
    return path


def flags(folder: Path, output: Path, scheme: str = "INT8", **others) -> list[str]:
    """The command's flags; `others` replace these, and None leaves one out."""
    values = {
        "input_model": folder / "net.tflite",
        "output_model": output / "net_q.tflite",
        "quantization_type": scheme,
        "calibration_data": folder / "images",
        "recipe_output": output / "recipe.json",
        "summary_output": output / "summary.json",
    } | others
    given = [f"--{name}={value}" for name, value in values.items() if value is not None]
    return [*given, "--make_dirs"]


@pytest.fixture(scope="module", params=SCHEMES)
def made(request, folder, tmp_path_factory) -> tuple[str, Path]:
    output = tmp_path_factory.mktemp("out") / request.param
    done = run_command(command, *flags(folder, output, request.param))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return request.param, output


def test_writes_the_three_files_and_nothing_else(made):
    _, output = made
    assert sorted(path.name for path in output.iterdir()) == [
        "net_q.tflite", "recipe.json", "summary.json",
    ]  # fmt: skip


def test_a_float_master_gives_the_same_artifact(folder, tmp_path):
    (tmp_path / "master.tflite").write_bytes(make_float_master(tiny_model(channels=64))[0])
    made = []
    for number, named in enumerate(
        ({}, {"input_model": None, "float_master": tmp_path / "master.tflite"})
    ):
        output = tmp_path / str(number)
        done = run_command(command, *flags(folder, output, **named))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        made.append({path.name: path.read_bytes() for path in output.iterdir()})
    assert made[0] == made[1]


def test_one_float_model_is_named(folder, tmp_path):
    given = flags(folder, tmp_path, input_model=None)
    assert "one of the arguments --input_model --float_master is required" in refusal(
        command, *given
    )
    both = [*flags(folder, tmp_path), f"--float_master={folder / 'net.tflite'}"]
    assert "--float_master: not allowed with argument --input_model" in refusal(command, *both)
    # It has no signature.
    source = [*given, f"--float_master={folder / 'net.tflite'}"]
    assert "net.tflite: no float master, making one would change it (added_signature); " in refusal(
        command, *source
    )
    assert not any(tmp_path.iterdir())


def test_artifact_is_smaller_and_close(made, folder):
    scheme, output = made
    original, artifact = (folder / "net.tflite").read_bytes(), output / "net_q.tflite"
    content = artifact.read_bytes()
    assert len(content) < len(original) * (0.55 if scheme == "FLOAT16" else 0.35)
    described = describe(content)
    assert described["inputs"] == [{"dtype": "float32", "name": "image", "shape": [1, 16, 16, 3]}]
    assert described["outputs"][0]["dtype"] == "float32"
    (expected,), (found,) = run_model(original), run_model(content)
    assert np.abs(found - expected).max() < 0.1 * np.ptp(expected)


def test_summary(made, folder):
    scheme, output = made
    summary = json.loads((output / "summary.json").read_text())
    master, _ = make_float_master((folder / "net.tflite").read_bytes())
    is_int8 = scheme in ("INT8", "FULL_INTEGER")
    for key, content in (
        ("artifact", (output / "net_q.tflite").read_bytes()),
        ("float_master", master),
    ):
        assert summary[key] == {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    recipe = (output / "recipe.json").read_bytes()
    assert summary["recipe"] == {
        "entries": len(json.loads(recipe)),
        "sha256": hashlib.sha256(recipe).hexdigest(),
    }
    assert (summary["kind"], summary["schema_version"]) == ("rules_quantize.summary", 1)
    assert summary["scheme"] == ("int8" if is_int8 else scheme.lower())
    assert set(summary["tools"]) == {
        "ai-edge-litert", "litert-quantizer", "numpy", "pillow",
    }  # fmt: skip
    # What changes nothing is not told.
    assert (summary["calibration"] is None) == (scheme == "FLOAT16")
    if scheme != "FLOAT16":
        assert (summary["calibration"]["files"], summary["calibration"]["samples"]) == (3, 3)
        assert len(summary["calibration"]["digest"]) == 64
    assert [entry["name"] for entry in summary["passes"]][-1] == "compaction"


@pytest.mark.parametrize("scheme", ["DYNAMIC", "WEIGHT_ONLY_INT8"])
def test_calibration_data_corrects_weights_of_schemes_that_need_none(scheme, folder, tmp_path):
    images = tmp_path / "images"
    for seed in range(20):
        save_image(images / f"{seed}.png", seed)
    made, told = [], []
    for name, data in (("with", images), ("without", None)):
        output = tmp_path / name
        done = run_command(command, *flags(folder, output, scheme, calibration_data=data))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        made.append((output / "net_q.tflite").read_bytes())
        told.append(json.loads((output / "summary.json").read_text()))
    assert made[0] != made[1]
    (entry,) = [entry for entry in told[0]["passes"] if entry["name"] == "weight_correction"]
    assert entry["gain"]["after"] > entry["gain"]["before"]
    assert told[0]["calibration"]["samples"] == 20
    assert told[1]["calibration"] is None
    # With the pass turned off, the data are not read.
    off = tmp_path / "off.settings.json"
    choices = {"enabled": False}
    settings = QuantizationSettings(scheme, passes={"weight_correction": choices})
    off.write_text(settings_text(settings))
    given = flags(folder, tmp_path / "off", calibration_data=tmp_path / "none", settings=off)
    given = [flag for flag in given if not flag.startswith("--quantization_type")]
    assert run_command(command, *given).returncode == 0
    assert (tmp_path / "off" / "net_q.tflite").read_bytes() == made[1]


def test_full_integer_is_int8(folder, tmp_path):
    contents = []
    for scheme in ("INT8", "FULL_INTEGER"):
        run_command(command, *flags(folder, tmp_path / scheme, scheme))
        contents.append([path.read_bytes() for path in sorted((tmp_path / scheme).iterdir())])
    assert len(contents[0]) == 3
    assert contents[0] == contents[1]


def test_the_same_wherever_it_runs(folder, tmp_path):
    """Absolute paths or not, one calibration folder or its files: the same bytes."""
    run_command(command, *flags(folder, tmp_path / "one"), fresh=True)
    run_command(
        command,
        *flags(Path("."), Path("two"), calibration_data="images/2.png"),
        "--calibration_data=images/0.png",
        "--calibration_data=images/1.png",
        where=folder,
        fresh=True,
        BUILD_WORKING_DIRECTORY=str(folder),
    )
    for name in ("net_q.tflite", "recipe.json", "summary.json"):
        one, two = ((root / name).read_bytes() for root in (tmp_path / "one", folder / "two"))
        assert one == two


def test_what_a_person_reads(folder, tmp_path):
    given = flags(folder, tmp_path, recipe_output=None, summary_output=None)
    done = run_command(command, *given, fresh=True)
    assert done.returncode == 0
    assert done.stderr == ""
    size = (tmp_path / "net_q.tflite").stat().st_size
    lines = done.stdout.splitlines()
    assert lines[0] == f"{tmp_path}/net_q.tflite: int8, {size:,} bytes"
    assert "smaller than net.tflite (" in lines[1]
    names = [line.split(":")[0].strip() for line in lines[2:]]
    assert names == [
        "dead_channels",
        "relu_fusion",
        "narrow_convolutions",
        "equalization",
        "range_estimation",
        "bias_range",
        "pointwise",
        "layer_correction",
        "float16_constants",
        "compaction",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["net_q.tflite"]


def _summary_of(folder: Path, output: Path, *more: str) -> dict:
    done = run_command(command, *flags(folder, output), *more)
    assert done.returncode == 0, done.stderr
    return json.loads((output / "summary.json").read_text())


def test_mean_std_and_resize_are_used(folder, tmp_path):
    wide = tmp_path / "wide"
    save_image(wide / "images" / "a.png", 1, (16, 32))
    (wide / "net.tflite").write_bytes((folder / "net.tflite").read_bytes())
    digests = {
        _summary_of(wide, tmp_path / "out", *more)["calibration"]["digest"]
        for more in (
            [],
            ["--input_mean=0"],
            ["--input_std=255"],
            ["--input_resize=stretch"],
            ["--input_resize=center_crop"],
        )
    }
    assert len(digests) == 5
    default = _summary_of(wide, tmp_path / "out")["calibration"]["digest"]
    same = _summary_of(wide, tmp_path / "out", "--input_mean=127.5", "--input_std=127.5")
    assert same["calibration"]["digest"] == default


def test_arrays_calibrate_too(folder, tmp_path):
    many = np.concatenate([random_image((1, 16, 16, 3), seed) for seed in range(4)])
    np.save(tmp_path / "a.npy", many)
    np.savez(tmp_path / "a.npz", image=many)
    models = []
    for name in ("a.npy", "a.npz"):
        given = flags(folder, tmp_path / name[2:], calibration_data=tmp_path / name)
        assert run_command(command, *given).returncode == 0
        models.append((tmp_path / name[2:] / "net_q.tflite").read_bytes())
    master, _ = make_float_master((folder / "net.tflite").read_bytes())
    samples = [{"image": values[None]} for values in many]
    assert models == [quantize(master, QuantizationSettings("int8"), samples).model] * 2


def test_real_model(tmp_path):
    """Its metadata says how an image becomes its input."""
    save_image(tmp_path / "images" / "a.png", 1, (100, 80))
    given = flags(tmp_path, tmp_path / "out", input_model=model_path("face_detection_short_range"))
    done = run_command(command, *given)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    artifact = (tmp_path / "out" / "net_q.tflite").read_bytes()
    assert describe(artifact)["outputs"][0]["name"] == "regressors"


# What cannot be used.


def _no_model(given: Path) -> dict:
    (given / "text.tflite").write_bytes(b"not a model")
    return {"input_model": given / "text.tflite"}


def _truncated_model(given: Path) -> dict:
    (given / "cut.tflite").write_bytes(tiny_model(channels=64)[:20000])
    return {"input_model": given / "cut.tflite"}


def _quantized_model(given: Path) -> dict:
    master, _ = make_float_master(tiny_model(channels=64))
    artifact = quantize(master, QuantizationSettings("dynamic"), None).model
    (given / "quantized.tflite").write_bytes(artifact)
    return {"input_model": given / "quantized.tflite"}


def test_artifact_that_is_no_smaller_than_the_file_that_was_given(tmp_path):
    master, _ = make_float_master(tiny_model(channels=64))
    half = quantize(master, QuantizationSettings("float16"), None).model
    (tmp_path / "net.tflite").write_bytes(half)
    given = flags(tmp_path, tmp_path, "FLOAT16", calibration_data=None, recipe_output=None)
    done = run_command(command, *given)
    assert done.returncode == 0
    assert "the artifact is no smaller than the file that was given" in done.stderr


def _small_model(given: Path) -> dict:
    (given / "small.tflite").write_bytes(tiny_model(channels=1))
    return {"input_model": given / "small.tflite"}


def _model_of_unknown_operators(given: Path) -> dict:
    model = parse_model(tiny_model(channels=64))
    for code in model.schema.operatorCodes[1:]:
        code.builtinCode, code.deprecatedBuiltinCode = 32, 32
        code.customCode = "MyTransform"
    (given / "custom.tflite").write_bytes(model_bytes(model))
    return {"input_model": given / "custom.tflite"}


def _missing_model(given: Path) -> dict:
    return {"input_model": given / "none.tflite"}


def _unknown_type(given: Path) -> dict:
    return {"quantization_type": "INT3"}


def _no_data(given: Path) -> dict:
    return {"calibration_data": None}


def _empty_folder(given: Path) -> dict:
    (given / "empty").mkdir()
    return {"calibration_data": given / "empty"}


def _missing_folder(given: Path) -> dict:
    return {"calibration_data": given / "none"}


def _broken_image(given: Path) -> dict:
    save_image(given / "broken" / "a.png", 1)
    (given / "broken" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return {"calibration_data": given / "broken"}


def _wrong_shape(given: Path) -> dict:
    np.save(given / "wrong.npy", np.zeros((16, 16, 4), np.float32))
    return {"calibration_data": given / "wrong.npy"}


def _wrong_names(given: Path) -> dict:
    np.savez(given / "wrong.npz", picture=np.zeros((16, 16, 3), np.float32))
    return {"calibration_data": given / "wrong.npz"}


def _no_numbers(given: Path) -> dict:
    np.save(given / "nan.npy", np.full((2, 16, 16, 3), np.nan))
    return {"calibration_data": given / "nan.npy"}


def _overflow(given: Path) -> dict:
    np.save(given / "large.npy", np.full((16, 16, 3), 3e38))
    return {"calibration_data": given / "large.npy"}


def _pattern_of_nothing(given: Path) -> dict:
    return {"keep_float": "atention"}


def _scheme_of_no_layer(given: Path) -> dict:
    return {"layers": "scores=int3"}


def _no_scheme(given: Path) -> dict:
    return {"quantization_type": None}


def _missing_settings(given: Path) -> dict:
    return {"settings": given / "none.json"}


def _broken_settings(given: Path) -> dict:
    (given / "s.json").write_text("{")
    return {"settings": given / "s.json"}


def _std_of_nought(given: Path) -> dict:
    return {"input_std": 0}


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (_no_model, "{given}/text.tflite: not a TFLite file (it does not carry the identifier"),
        (_truncated_model, "{given}/cut.tflite: the file is truncated or damaged; fetch it again"),
        (_quantized_model, "{given}/quantized.tflite: already quantized (tensor "),
        (_small_model, "{given}/small.tflite: int8 makes it larger ("),
        (_model_of_unknown_operators, "{given}/custom.tflite: the runtime cannot run this model: "),
        (_missing_model, "{given}/none.tflite: No such file or directory"),
        (_unknown_type, "no quantization type INT3; choose one of INT8, FULL_INTEGER, DYNAMIC, "),
        (_no_data, "{folder}/net.tflite: int8 needs a representative dataset; give --calibration"),
        (_empty_folder, "{given}/empty: no images or arrays in this folder (.bmp, "),
        (_missing_folder, "{given}/none: no such file or folder"),
        (_broken_image, "{given}/broken/b.png: not a readable image; remove it or save it again"),
        (_wrong_shape, "{given}/wrong.npy: shape [16, 16, 4] does not fit the input image, which "),
        (_wrong_names, "{given}/wrong.npz: its arrays are picture; the model's inputs are image, "),
        (_no_numbers, "{given}/nan.npy: sample nan.npy#0 holds NaN or infinite values for the "),
        (_overflow, "{folder}/net.tflite: tensor tensor_"),
        (_pattern_of_nothing, "{folder}/net.tflite: layers: atention matches none of "),
        (_scheme_of_no_layer, "no scheme int3 for a layer; choose one of int8, int4, int16x8, "),
        (_no_scheme, "nothing says how to quantize; give --quantization_type"),
        (_missing_settings, "{given}/none.json: No such file or directory"),
        (_broken_settings, "{given}/s.json: not JSON ("),
        (_std_of_nought, "an input std of 0 divides by zero; give --input_std=127.5 or the like"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_leaves_nothing(folder, tmp_path, prepare, message):
    given, output = tmp_path / "given", tmp_path / "out"
    given.mkdir()
    output.mkdir()
    (output / "net_q.tflite").write_bytes(b"the old one")
    line = refusal(command, *flags(folder, output, **prepare(given)))
    assert line.startswith(message.format(given=given, folder=folder))
    assert [path.read_bytes() for path in output.iterdir()] == [b"the old one"]


def _types(content: bytes) -> list[str]:
    described = describe(content)
    return [entry["dtype"] for entry in described["inputs"] + described["outputs"]]


def _made(output: Path) -> bytes:
    return (output / "net_q.tflite").read_bytes()


def test_layers_by_flags_and_by_file(folder, tmp_path):
    """The same choice, said in four ways, makes the same bytes."""
    text = tmp_path / "layers.txt"
    text.write_text('layer_params { layer_name: "scores" quantize: false }\n')
    first = tmp_path / "first"
    done = run_command(
        command,
        *flags(folder, first, keep_float="scores", settings_output=first / "all.json"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    summary = json.loads((first / "summary.json").read_text())
    assert {"name": "scores", "reason": "layers give it float: float"} in summary["float_tensors"]
    ways = {
        "layers": {"layers": "scores=float"},
        "text": {"settings": text},
        "settings": {"settings": first / "all.json", "quantization_type": None},
    }
    for name, how in ways.items():
        assert run_command(command, *flags(folder, tmp_path / name, **how)).returncode == 0
        assert _made(tmp_path / name) == _made(first)
    recipe = {"recipe": first / "recipe.json", "quantization_type": None}
    assert run_command(command, *flags(folder, tmp_path / "recipe", **recipe)).returncode == 0
    assert _made(tmp_path / "recipe") == _made(first)
    assert json.loads((tmp_path / "recipe" / "summary.json").read_text())["scheme"] == "recipe"
    plain = tmp_path / "plain"
    run_command(command, *flags(folder, plain))
    assert _made(plain) != _made(first)


def test_a_file_is_named_from_where_the_user_stands(folder, tmp_path):
    (tmp_path / "layers.txt").write_text('layer_params { layer_name: "sc" quantize: false }')
    where = {"BUILD_WORKING_DIRECTORY": str(tmp_path)}
    given = flags(folder, tmp_path / "out", recipe="layers.txt")
    assert run_command(command, *given, **where).returncode == 0


def test_input_takes_the_pixels_own_bytes(folder, tmp_path):
    """Step and zero are those of (pixel - mean) / std, whatever the samples hold."""
    given = flags(folder, tmp_path, input_type="uint8", input_mean=0, input_std=255)
    assert run_command(command, *given).returncode == 0
    assert _types(_made(tmp_path)) == ["uint8", "float32"]
    model = parse_model(_made(tmp_path))
    (subgraph,) = model.schema.subgraphs
    parameters = subgraph.tensors[subgraph.inputs[0]].quantization
    np.testing.assert_allclose(parameters.scale, [1 / 255], rtol=1e-6)
    assert list(parameters.zeroPoint) == [0]


@pytest.mark.parametrize("scheme", ["INT8", "DYNAMIC"])
def test_integers_in_and_out(scheme, folder, tmp_path):
    given = flags(folder, tmp_path, scheme, input_type="int8", output_type="int8")
    assert run_command(command, *given).returncode == 0
    assert _types(_made(tmp_path)) == ["int8", "int8"]


def test_sixteen_bits_come_with_a_warning(folder, tmp_path):
    done = run_command(command, *flags(folder, tmp_path, "INT16X8"))
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"quantize_model: warning: {folder}/net.tflite: 16-bit activations ha")
    (warning,) = json.loads((tmp_path / "summary.json").read_text())["warnings"]
    assert line.endswith(warning)


def test_one_settings_file_and_no_more(folder, tmp_path):
    done = run_command(command, *flags(folder, tmp_path, settings="a", recipe="b"))
    assert done.returncode == 2
    assert done.stderr == (
        "quantize_model: error: argument --recipe: not allowed with argument --settings "
        "(--help shows flags and examples)\n"
    )


@pytest.mark.parametrize(
    "more",
    [["--layers=scores"], ["--layers==float"], ["--input_type=int4"], ["--output_type=float"]],
)
def test_choices_that_cannot_be_read(folder, tmp_path, more):
    done = run_command(command, *flags(folder, tmp_path), *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "more", [["--input_resize=crop"], ["--input_std=wide"], ["--input_mod=a"], ["images"]]
)
def test_flags_that_cannot_be_read(folder, tmp_path, more):
    done = run_command(command, *flags(folder, tmp_path), *more)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("quantize_model: error: ")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
