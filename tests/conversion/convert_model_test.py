"""What comes out of a SavedModel and of Keras files, and how what does not is refused."""

import hashlib
import json
import zipfile

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from tests.tools.commands import refusal, run_command
from tools import convert_model
from tools.conversion.quiet_tensorflow import quiet
from tools.conversion.tflite_converter import convert
from tools.errors import InputError
from tools.graph.float_master import make_float_master

with quiet():
    import keras
    import tensorflow as tf
    import tf_keras


class _Functions(tf.Module):
    """Two functions, one of which TFLite has no operators for."""

    def __init__(self):
        super().__init__()
        self.weights = tf.Variable(tf.random.stateless_normal([8, 4], [1, 2]))

    @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32, name="features")])
    def score(self, features):
        return {"scores": features @ self.weights, "norm": tf.reduce_sum(features**2, axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.float32, name="image")])
    def lengths(self, image):
        return {"lengths": tf.strings.length(tf.strings.as_string(image))}

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.float32, name="image")])
    def brightness(self, image):
        return {"brightness": tf.reduce_mean(image, axis=[1, 2])}


def _network(library):
    layers = library.layers
    library.utils.set_random_seed(1)
    source = layers.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, 2, padding="same", use_bias=False)(source)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(layers.DepthwiseConv2D(3)(x))
    outputs = [layers.Dense(4, name="scores")(x), layers.Dense(2, name="box")(x)]
    return library.Model(source, outputs)


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "functions"
    module = _Functions()
    tf.saved_model.save(
        module,
        str(folder),
        signatures={
            "brightness": module.brightness,
            "lengths": module.lengths,
            "score": module.score,
        },
    )
    return folder


def _refusal(source, **how):
    with quiet(), pytest.raises(InputError) as caught:
        convert(source, **how)
    said = str(caught.value)
    assert said.startswith(str(source)), said
    assert "\n" not in said
    return said


def _run(model, **inputs):
    interpreter = Interpreter(model_content=model)
    runner = interpreter.get_signature_runner("serving_default")
    assert {name: tuple(i["shape"]) for name, i in runner.get_input_details().items()} == {
        name: values.shape for name, values in inputs.items()
    }
    return runner(**inputs)


def test_a_signature_by_name_computes_what_it_computes_in_tensorflow(saved_model):
    model = convert(saved_model, "score", batch=3).model
    features = np.random.default_rng(0).standard_normal((3, 8), np.float32)
    expected = tf.saved_model.load(str(saved_model)).signatures["score"](tf.constant(features))
    actual = _run(model, features=features)
    assert set(actual) == {"scores", "norm"}
    for name, values in actual.items():
        np.testing.assert_allclose(values, expected[name].numpy(), rtol=1e-5, atol=1e-5)


def test_the_same_model_gives_the_same_bytes_wherever_it_lies(saved_model, tmp_path):
    elsewhere = tmp_path / "another place"
    elsewhere.mkdir()
    copy = elsewhere / "model"
    for file in saved_model.rglob("*"):
        if file.is_file():
            target = copy / file.relative_to(saved_model)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    digests = set()
    for seed, source in (("1", saved_model), ("2", copy)):
        output = tmp_path / f"{seed}.tflite"
        done = run_command(
            convert_model,
            f"--input_model={source}",
            f"--output_model={output}",
            "--signature=score",
            PYTHONHASHSEED=seed,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        lines = done.stdout.splitlines()
        assert lines[0].endswith(" bytes, from the signature score of a SavedModel model")
        assert "  input features [1, 8]" in lines
        assert "  output scores [1, 4]" in lines
        digests.add(hashlib.sha256(output.read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("library", "ending", "kind"),
    [
        (keras, ".keras", "Keras 3"),
        (keras, ".h5", "Keras 3"),
        (tf_keras, ".keras", "Keras 2"),
        (tf_keras, ".h5", "Keras 2"),
    ],
)
def test_files_of_both_keras_compute_what_the_model_predicts(library, ending, kind, tmp_path):
    network = _network(library)
    file = tmp_path / f"network{ending}"
    network.save(str(file))
    conversion = convert(file)
    assert conversion.summary == {
        "inputs": {"image": [1, 16, 16, 3]},
        "kind": kind,
        "outputs": {"box": [1, 2], "scores": [1, 4]},
        "signature": "serving_default",
        "tensorflow": tf.__version__,
    }
    # What the project's own chain starts with takes it.
    master, _ = make_float_master(conversion.model)
    image = np.random.default_rng(0).standard_normal((1, 16, 16, 3), np.float32)
    scores, box = (np.asarray(value) for value in network(image, training=False))
    actual = _run(master, image=image)
    np.testing.assert_allclose(actual["scores"], scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(actual["box"], box, rtol=1e-4, atol=1e-5)


def test_what_keras_exports_is_a_saved_model(tmp_path):
    network = _network(keras)
    network.export(str(tmp_path / "exported"), verbose=False)
    model = convert(tmp_path / "exported", batch=2).model
    image = np.random.default_rng(0).standard_normal((2, 16, 16, 3), np.float32)
    expected = [np.asarray(value) for value in network(image, training=False)]
    for actual in _run(model, image=image).values():
        (same,) = [value for value in expected if value.shape == actual.shape]
        np.testing.assert_allclose(actual, same, rtol=1e-4, atol=1e-5)


def test_a_command_that_refuses_says_one_line_and_leaves_nothing(saved_model, tmp_path):
    output = tmp_path / "refused.tflite"
    said = refusal(
        convert_model,
        f"--input_model={saved_model}",
        f"--output_model={output}",
        "--signature=lengths",
        "--input_shape=image=1,5,3",
    )
    assert "TFLite has no operator of its own for AsString, StringLength" in said
    assert "--allow_select_tf_ops" in said
    assert not output.exists()


def test_other_open_dimensions_take_a_stated_shape(saved_model):
    said = _refusal(saved_model, signature="brightness")
    assert "the input image takes [?, ?, 3]; state a shape for it" in said
    assert "--input_shape=image=1,1,3" in said
    said = _refusal(saved_model, signature="brightness", input_shapes={"image": (1, 5, 4)})
    assert "the shape [1, 5, 4] does not fit the input image, which takes [?, ?, 3]" in said
    said = _refusal(saved_model, signature="brightness", input_shapes={"picture": (1, 5, 3)})
    assert "a shape is given for picture; its inputs are image" in said
    model = convert(saved_model, "brightness", input_shapes={"image": (2, 5, 3)}).model
    image = np.ones((2, 5, 3), np.float32)
    assert _run(model, image=image)["brightness"].tolist() == [1, 1]


def test_operators_of_tensorflow_stay_only_where_allowed(saved_model):
    how = {"signature": "lengths", "input_shapes": {"image": (1, 5, 3)}}
    assert "AsString, StringLength" in _refusal(saved_model, **how)
    assert b"FlexAsString" in convert(saved_model, **how, select_tf_ops=True).model


def test_a_missing_signature_lists_those_there_are(saved_model, tmp_path):
    said = _refusal(saved_model, signature="detect")
    assert said.endswith("no signature detect; there are: brightness, lengths, score")
    said = _refusal(saved_model)
    assert said.endswith("name one of them: brightness, lengths, score")
    tf.saved_model.save(tf.Module(), str(tmp_path / "none"))
    assert "this SavedModel has no signature" in _refusal(tmp_path / "none")


def test_what_is_no_model_is_refused(saved_model, tmp_path):
    assert _refusal(tmp_path / "nothing").endswith("no such file or folder")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no SavedModel in this folder (it has no saved_model.pb)" in _refusal(empty)
    text = tmp_path / "model.txt"
    text.write_text("model")
    assert "nor a Keras file (.h5, .hdf5, .keras)" in _refusal(text)
    for ending in (".keras", ".h5"):
        file = tmp_path / f"damaged{ending}"
        file.write_bytes(b"not a model")
        assert "not a readable Keras file" in _refusal(file)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    content = (saved_model / "saved_model.pb").read_bytes()
    (damaged / "saved_model.pb").write_bytes(content[: len(content) // 2])
    assert "TensorFlow cannot load this SavedModel" in _refusal(damaged)


def test_keras_files_without_a_model_or_with_code_are_refused(tmp_path):
    weights = tmp_path / "only.weights.h5"
    _network(tf_keras).save_weights(str(weights))
    assert "it holds weights, but no model" in _refusal(weights)

    source = keras.layers.Input((4,))
    scaled = keras.Model(source, keras.layers.Lambda(lambda x: x * 2)(source))
    scaled.save(str(tmp_path / "lambda.keras"))
    said = _refusal(tmp_path / "lambda.keras")
    assert "Keras cannot load this model" in said
    assert said.endswith("are converted from a SavedModel: model.export(...)")

    _network(keras).save(str(tmp_path / "network.keras"))
    said = _refusal(tmp_path / "network.keras", signature="score")
    assert said.endswith("no signature score; a Keras file has one, serving_default")

    newer = tmp_path / "newer.keras"
    with zipfile.ZipFile(newer, "w") as file:
        file.writestr("metadata.json", json.dumps({"keras_version": "4.0.0"}))
    assert "written by Keras 4.0.0; Keras 2 and 3 are read" in _refusal(newer)
