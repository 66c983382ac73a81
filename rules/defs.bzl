"""All that a BUILD file loads.

    load("@rules_quantize//rules:defs.bzl", "detection", "float_model", "quantized_model")
"""

load("//rules/private:browser_device.bzl", _browser_device = "browser_device")
load("//rules/private:converted_model.bzl", "converted_model")
load("//rules/private:device.bzl", "device_similarity_test")
load("//rules/private:float_model.bzl", _float_model = "float_model")
load("//rules/private:latency_device.bzl", _latency_device = "latency_device")
load("//rules/private:model_bundle.bzl", "model_bundle_rule")
load(
    "//rules/private:python_device.bzl",
    _emulated_device = "emulated_device",
    _python_device = "python_device",
)
load("//rules/private:quantized_model.bzl", "quantized_model_rule")
load(
    "//rules/private:quantized_model_programs.bzl",
    "fps_test",
    "register_all_models",
    "register_device_verdict",
    "register_model",
    "similarity_test",
)
load("//rules/private:task_bundle.bzl", "task_bundle_rule", _task_bundle_member = "task_bundle_member")
load("//rules/private:trained_model.bzl", "trained_model")
load("//rules/private:tune_model.bzl", "tune_model")
load(":gates.bzl", _quality_gates = "quality_gates", _speed_gates = "speed_gates")
load(
    ":providers.bzl",
    _FloatModelInfo = "FloatModelInfo",
    _QuantizedModelInfo = "QuantizedModelInfo",
)

FloatModelInfo = _FloatModelInfo
QuantizedModelInfo = _QuantizedModelInfo
browser_device = _browser_device
emulated_device = _emulated_device
latency_device = _latency_device
python_device = _python_device
quality_gates = _quality_gates
speed_gates = _speed_gates
task_bundle_member = _task_bundle_member

def detection(
        boxes,
        scores,
        anchors,
        keypoints = 0,
        min_score = 0.5,
        max_overlap = 0.3,
        name = "detection"):
    """Says that a model is a single-shot detector, and how its outputs are decoded.

    Args:
      boxes: name of the output with box offsets and keypoints, [1, anchors, 4 + 2 * keypoints].
      scores: name of the output with one logit an anchor, [1, anchors, 1].
      anchors: from `ssd_anchors`.
      keypoints: how many keypoints follow a box.
      min_score: score, after the sigmoid, from which a box counts.
      max_overlap: intersection over union above which two boxes show the same object.
      name: of the task, in the report and in gates.

    Returns:
      A string for `float_model(task = ...)`.
    """
    return json.encode({
        "anchors": anchors,
        "boxes": boxes,
        "keypoints": keypoints,
        "max_overlap": max_overlap,
        "min_score": min_score,
        "name": name,
        "scores": scores,
        "type": "detection",
    })

def landmarks(
        points,
        count,
        crop_size,
        dims = 3,
        values = None,
        normalized = False,
        presence = None,
        presence_logits = False,
        min_presence = 0.5,
        world = None,
        name = "landmarks"):
    """Says that a model finds points in a crop, and how its outputs are decoded.

    Args:
      points: name of the output with the points, `values` numbers each.
      count: how many points.
      crop_size: [width, height] of the input in pixels.
      dims: how many of a point's numbers are coordinates: 2 or 3.
      values: how many numbers the output has for a point (visibility may follow the
        coordinates). The default is `dims`.
      normalized: whether coordinates are shares of the crop; else they are its pixels.
      presence: name of the output that says whether the object is in the crop. Only where
        the float model says so are points compared. Without it every sample counts.
      presence_logits: whether a sigmoid is still to be applied to that output.
      min_presence: probability from which the object is there.
      world: name of the output with the points in space in metres, `dims` numbers each.
      name: of the task, in the report and in gates.

    Returns:
      A string for `float_model(task = ...)`.
    """
    return json.encode({
        "count": count,
        "crop_size": crop_size,
        "dims": dims,
        "min_presence": min_presence,
        "name": name,
        "normalized": normalized,
        "points": points,
        "presence": presence,
        "presence_logits": presence_logits,
        "type": "landmarks",
        "values": values,
        "world": world,
    })

def segmentation(
        mask,
        logits = False,
        threshold = 0.5,
        min_area = 0.001,
        presence = None,
        presence_logits = False,
        min_presence = 0.5,
        name = "segmentation"):
    """Says that a model gives a mask, and how it is decoded.

    Args:
      mask: name of the output, one number a pixel.
      logits: whether a sigmoid is still to be applied to it.
      threshold: probability from which a pixel belongs to the mask.
      min_area: share of all pixels from which a mask is one, and not noise.
      presence: name of the output that says whether the object is in the picture. Only
        where the float model says so are masks compared.
      presence_logits: whether a sigmoid is still to be applied to that output.
      min_presence: probability from which the object is there.
      name: of the task, in the report and in gates.

    Returns:
      A string for `float_model(task = ...)`.
    """
    return json.encode({
        "logits": logits,
        "mask": mask,
        "min_area": min_area,
        "min_presence": min_presence,
        "name": name,
        "presence": presence,
        "presence_logits": presence_logits,
        "threshold": threshold,
        "type": "segmentation",
    })

def classification(scores, labels = {}, classes = [], min_score = None, name = "classification"):
    """Says that a model is a classifier.

    Args:
      scores: name of the output, one number a class.
      labels: class number by the name of a test sample, with its folders or without, for the gates on accuracy; either
        none or one for every sample.
      classes: names of the classes in the order of their numbers, for test data with a folder
        of samples for each class: a sample's label is then the folder it lies in.
      min_score: value that the float model's best class must reach for it to have seen
        something. The default is any.
      name: of the task, in the report and in gates.

    Returns:
      A string for `float_model(task = ...)`.
    """
    return json.encode({
        "classes": classes,
        "labels": labels,
        "min_score": min_score,
        "name": name,
        "scores": scores,
        "type": "classification",
    })

def ssd_anchors(
        input_size,
        strides,
        min_scale = 0.1484375,
        max_scale = 0.75,
        aspect_ratios = [1.0],
        interpolated_scale_aspect_ratio = 1.0,
        anchor_offset = 0.5,
        fixed_anchor_size = True):
    """The anchors of a detector, by the options of MediaPipe's SsdAnchorsCalculator.

    Args:
      input_size: [width, height] in pixels.
      strides: pixels between anchors, one for each layer.
      min_scale: scale of the first layer's anchors.
      max_scale: scale of the last layer's.
      aspect_ratios: width by height.
      interpolated_scale_aspect_ratio: of the anchor between two layers; 0 leaves it out.
      anchor_offset: centre of an anchor in its cell, 0 to 1.
      fixed_anchor_size: whether every anchor is as large as the input.

    Returns:
      A dict for `detection(anchors = ...)`.
    """
    return {
        "anchor_offset": anchor_offset,
        "aspect_ratios": aspect_ratios,
        "fixed_anchor_size": fixed_anchor_size,
        "input_size": input_size,
        "interpolated_scale_aspect_ratio": interpolated_scale_aspect_ratio,
        "max_scale": max_scale,
        "min_scale": min_scale,
        "strides": strides,
    }

def _is_tensorflow_model(src):
    """Says by a label's name whether TensorFlow's converter has to read the file."""
    name = src.split(":")[-1].split("/")[-1].lower()
    ending = name.split(".")[-1]
    return ending in ("keras", "h5", "hdf5") or (ending != "tflite" and "saved_model" in name)

def float_model(
        name,
        src,
        input_mean = None,
        input_std = None,
        task = None,
        convert = None,
        signature = "",
        batch = 1,
        input_shapes = {},
        allow_select_tf_ops = False,
        **kwargs):
    """Makes the float master of a .tflite file, SavedModel or Keras model: fp32, dense, signed.

    A SavedModel or Keras file is first converted by TensorFlow (docs/how-to/convert.md), in a target
    NAME.converted.

    Args:
      name: the target. It builds NAME.tflite.
      src: the float model as it is distributed: a .tflite file, whose fp16 and sparse weights
        are expanded; a .keras or .h5 file; or a SavedModel, as a directory or a filegroup of
        all its files.
      input_mean: subtracted from each pixel (0 to 255). The default is what the model's
        metadata says, else 127.5.
      input_std: what the difference is divided by, likewise.
      task: what the outputs mean: `detection`, `landmarks`, `segmentation` or
        `classification`, or a list of them.
      convert: whether src is a SavedModel or Keras model. The default goes by its name: it
        ends with .keras or .h5, or has saved_model in it and does not end with .tflite.
      signature: which function of a SavedModel; the default is serving_default, or the only
        one.
      batch: what an open first dimension is fixed to, where src is converted.
      input_shapes: whole shape by input name, {"image": [1, 128, 128, 3]}, where src is
        converted and has other open dimensions.
      allow_select_tf_ops: whether operators that only TensorFlow's select runtime has may
        stay, where src is converted; the runtime of this project's actions has none of them.
      **kwargs: input_resize ("letterbox", "stretch" or "center_crop"), and what every
        rule takes.
    """
    if type(task) == type([]):
        task = "[" + ",".join(task) + "]"
    if _is_tensorflow_model(src) if convert == None else convert:
        converted_model(
            name = name + ".converted",
            src = src,
            allow_select_tf_ops = allow_select_tf_ops,
            batch = batch,
            input_shapes = {
                key: [str(size) for size in shape]
                for key, shape in input_shapes.items()
            },
            signature = signature,
            tags = kwargs.get("tags", []),
            testonly = kwargs.get("testonly", False),
            visibility = ["//visibility:private"],
        )
        src = ":" + name + ".converted"
    elif signature or input_shapes or allow_select_tf_ops or batch != 1:
        fail("{}: signature, batch, input_shapes and allow_select_tf_ops are for a SavedModel or a Keras file. The name of src, {}, is not that of one; if it is one, set convert = True".format(name, src))
    _float_model(
        name = name,
        src = src,
        input_mean = "" if input_mean == None else str(input_mean),
        input_std = "" if input_std == None else str(input_std),
        task = task,
        **kwargs
    )

# A browser or a device is no input of a test: an old result says nothing of it now. A device may
# be reached by the network.
_ON_DEVICE = ["external", "manual", "no-remote"]

# What an FPS test and its device have to themselves; an old result says nothing of a machine now.
_MEASURED = ["exclusive", "external", "local", "no-cache", "no-remote", "perf"]

def _as_one_target(name, samples, tags, testonly):
    """Gives a target for samples: a list of files, as glob() gives it, becomes a filegroup."""
    if type(samples) != "list":
        return samples
    native.filegroup(
        name = name,
        srcs = samples,
        tags = tags,
        testonly = testonly,
        visibility = ["//visibility:private"],
    )
    return ":" + name

def quantized_model(
        name,
        model,
        test_data,
        version,
        scheme = "",
        settings = None,
        keep_float = [],
        layers = {},
        input_type = "",
        output_type = "",
        runs_on = [],
        calibration_data = None,
        calibration_shards = 1,
        quality = None,
        speed = None,
        devices = [],
        optimise = "size",
        registered_model = None,
        tags = [],
        visibility = None,
        **kwargs):
    """Quantizes a float model into an artifact that is held to its gates.

    A select() may stand for any parameter but name, layers, speed, devices and tags.

    Targets:
      NAME: builds NAME.tflite, NAME.report.json and NAME.recipe.json. The build fails
        when similarity or size is beyond a gate; the report is there all the same.
      NAME_similarity_test: the same gates as a test, which prints the table of them.
      NAME_DEVICE_similarity_test: runs the artifact on one of `devices`, and holds its answers to
        the same gates on outputs and tasks, against the float master on the host. It is tagged
        manual and device_DEVICE, since it needs a browser, an emulator or a device.
      NAME_fps_test: measures float master and artifact on the host. Made when speed has a
        gate that is not of another device alone. All FPS tests are tagged perf.
      NAME_DEVICE_fps_test: the same on a latency_device that min_fps names. It is tagged
        manual and latency_device_DEVICE.
      NAME.tune: `bazel run` searches for settings that reach the gates, and writes
        NAME.settings.json beside the BUILD file. Made when calibration_data is given. It is
        tagged manual, so that `bazel build //...` fetches nothing for it.
      NAME.register: `bazel run` measures, and records the artifact in the registry. It is
        tagged manual too.
      NAME_DEVICE.tune: the same on a latency_device that min_fps names, tagged as its test.
      NAME_DEVICE.register: likewise; on one of `devices` it judges the artifact's answers there.

    Args:
      name: the target.
      model: a float_model.
      test_data: held-out samples, images, .npy or .npz: a filegroup, a directory, or a list of
        files such as `glob(["test/**"])`.
      version: version of the artifact, as the team counts them.
      scheme: how the model is quantized: "int8", "dynamic", "float16", "weight_only_int8"
        or another of docs/how-to/quantize_a_model.md. It may be left out where settings name it. "auto" is
        what NAME.settings.json beside the BUILD file says, which NAME.tune writes.
      settings: file that says how to quantize: settings JSON as NAME.tune writes it,
        layer_params, or a recipe of litert-quantizer. scheme, keep_float and layers go over
        it.
      keep_float: regular expressions; operators that one is found in stay float. It is
        searched in the names of an operator's outputs, each followed by ";". One that is
        found in none is an error, as in layers.
      layers: regular expression to the scheme of the operators that it is found in, such
        as "weight_only_int4"; later ones go over earlier ones, and all over scheme.
      input_type: of the artifact's inputs: "float32" (the default), "int8" or "uint8".
        An image's are the pixels' own bytes, where mean and standard deviation allow.
      output_type: of the artifact's outputs, likewise.
      runs_on: where the artifact runs, "cpu", "gpu" or both; the default is what settings say,
        or both. For "gpu" it has only forms of operators that LiteRT's GPU delegate takes;
        for ["cpu"] alone it may be smaller (docs/lab/size_and_speed.md).
      calibration_data: representative dataset in the same forms as test_data; schemes with
        ranges of activations (int8, int4, int16x8, mixed) need it, and all others but float16
        correct rounded weights by it (docs/explanation/schemes.md).
      calibration_shards: in how many parts it is calibrated, each an action that runs beside
        the others and is cached by itself (docs/explanation/calibration.md). The artifact's bytes do not
        depend on it.
      quality: `quality_gates(...)` on size and similarity. The default is `quality_gates()`.
      speed: `speed_gates(...)` for the FPS tests, and how NAME.tune and NAME.register
        measure. The default has no gate.
      devices: each a `browser_device`, `emulated_device` or `python_device`, where the artifact's
        answers are to be the same.
      optimise: what NAME.tune improves beyond the gates: "size", "speed" or "similarity".
      registered_model: name in the registry. The default is the float model's name.
      tags: for every target.
      visibility: for every target.
      **kwargs: what every rule takes.
    """
    for parameter, (value, reason) in {
        "devices": (devices, "they make targets; declare a quantized_model for each choice"),
        "layers": (layers, "Bazel keeps no order of such a dict; choose between settings files"),
        "speed": (speed, "its devices make targets; declare a quantized_model for each choice"),
        "tags": (tags, "Bazel reads them before it knows the configuration"),
    }.items():
        if type(value) == "select":
            fail("//{}:{}: {} cannot be a select(): {}".format(
                native.package_name(),
                name,
                parameter,
                reason,
            ))
    quality = quality_gates() if quality == None else quality
    speed = speed_gates() if speed == None else speed
    testonly = kwargs.get("testonly", False)
    calibration_data = _as_one_target(name + ".calibration_data", calibration_data, tags, testonly)
    test_data = _as_one_target(name + ".test_data", test_data, tags, testonly)
    settings_of_search = None
    if scheme == "auto" or type(scheme) == "select":
        # Before the first search there is none: the rule says then what makes it.
        found = native.glob([name + ".settings.json"], allow_empty = True)
        settings_of_search = found[0] if found else None
    quantized_model_rule(
        name = name,
        model = model,
        calibration_data = calibration_data,
        calibration_shards = calibration_shards,
        input_type = input_type,
        keep_float = keep_float,
        layers = ["{}={}".format(*layer) for layer in layers.items()],
        output_type = output_type,
        quality = quality,
        runs_on = runs_on,
        scheme = scheme,
        settings = settings,
        settings_of_search = settings_of_search,
        tags = tags,
        test_data = test_data,
        version = version,
        visibility = visibility,
        **kwargs
    )
    similarity_test(
        name = name + "_similarity_test",
        size = "small",
        model = ":" + name,
        tags = tags,
        visibility = visibility,
    )
    for device in devices:
        device_name = device.split(":")[-1]
        device_similarity_test(
            name = "{}_{}_similarity_test".format(name, device_name),
            size = "large",
            # A GPU that a processor stands in for takes seconds for a run.
            timeout = "eternal",
            device = device,
            model = ":" + name,
            tags = tags + ["device_" + device_name] + _ON_DEVICE,
            test_data = test_data,
            visibility = visibility,
        )
        register_device_verdict(
            name = "{}_{}.register".format(name, device_name),
            # As the test that it starts.
            testonly = True,
            judge = ":{}_{}_similarity_test".format(name, device_name),
            model = ":" + name,
            registered_model = registered_model,
            tags = tags + ["device_" + device_name, "manual"],
            visibility = visibility,
        )

    # (what targets are named after, device, gates on speed, tags); devices are only where
    # they are, and there one at a time.
    places = [(name, None, dict(speed.gates), tags)]
    for device, fps in speed.min_fps.items():
        if device == "host":
            places[0][2]["min_fps"] = fps
            continue
        device_name = device.split(":")[-1]
        device_tags = tags + ["latency_device_" + device_name, "manual"]
        of_device = dict(speed.gates, min_fps = fps)
        places.append(("{}_{}".format(name, device_name), device, of_device, device_tags))
    for prefix, device, gates, place_tags in places:
        if gates:
            fps_test(
                name = prefix + "_fps_test",
                size = "large" if device else "medium",
                allow_inconclusive = speed.allow_inconclusive,
                gates = gates,
                latency_device = device,
                model = ":" + name,
                tags = place_tags + ([] if device else speed.test_tags) + _MEASURED,
                threads = speed.threads,
                visibility = visibility,
            )

        # `bazel build //...` fetches and makes nothing that only these need: MLflow, the
        # search's packages, the page of layers.
        run_tags = place_tags + ([] if device else ["manual"])
        if calibration_data:
            tune_model(
                name = prefix + ".tune",
                artifact = name,
                calibration_data = calibration_data,
                latency_device = device,
                model = model,
                optimise = optimise,
                quality = quality,
                runs_on = runs_on,
                speed = {gate: gates[gate] for gate in ["min_fps", "min_speedup"] if gate in gates},
                tags = run_tags,
                threads = speed.threads,
                visibility = visibility,
            )
        register_model(
            name = prefix + ".register",
            latency_device = device,
            model = ":" + name,
            registered_model = registered_model,
            tags = run_tags,
            threads = speed.threads,
            visibility = visibility,
        )

def _register_target(model):
    if model.endswith(".register"):
        return model
    if ":" not in model and "/" in model:
        model += ":" + model.split("/")[-1]
    return model + ".register"

def register_all(name, models, tags = [], visibility = None, **kwargs):
    """Measures and registers a set of models with one `bazel run` and one start of MLflow.

    A model that fails does not keep the others from being registered. A table at the end says what
    came of each, and the exit status is not 0 where one failed.

    Args:
      name: the target.
      models: quantized_models, or their NAME.register and NAME_DEVICE.register. Those of
        `devices` are testonly, so that this must be as well.
      tags: beside manual.
      visibility: of the target.
      **kwargs: what every rule takes.
    """
    register_all_models(
        name = name,
        models = [_register_target(model) for model in models],
        tags = tags + ["manual"],
        visibility = visibility,
        **kwargs
    )

# What a member's own settings say of its float model; the others are of quantized_model.
_OF_FLOAT_MODEL = ["input_mean", "input_resize", "input_std", "task"]

def task_bundle(name, members = {}, src = None, tags = [], visibility = None, **kwargs):
    """Makes NAME.task, a bundle of MediaPipe Tasks, with quantized models in it.

    Models of MediaPipe's own are found by their members' names (docs/how-to/bundles.md). Where a
    model's metadata does not say how its input is normalised, its float_model's input_mean
    and input_std are written there.

    Args:
      name: the target.
      members: dict by name in the bundle, such as "hand_detector.tflite": a label (of a
        quantized_model, a float_model or any file), or a dict of arguments of
        quantized_model and float_model, by which the model of that name in `src` is
        quantized as the target NAME_hand_detector. A model in a bundle in the bundle is
        "inner.task/hand_detector.tflite".
      src: a .task bundle whose other members are taken over. Without it the bundle holds
        `members` alone.
      tags: for every target.
      visibility: for every target.
      **kwargs: what every rule takes.
    """
    targets = []
    for member, how in members.items():
        if type(how) != type({}):
            targets.append(how)
            continue
        if not src:
            fail("{}: {} is quantized as settings say, but there is no src to take it from".format(
                name,
                member,
            ))
        stem = name + "_" + member.replace("/", "_").replace(".tflite", "").replace(".task", "")
        task_bundle_member(
            name = stem + "_member",
            bundle = src,
            member = member,
            tags = tags,
            visibility = visibility,
        )
        float_model(
            name = stem + "_float",
            src = ":" + stem + "_member",
            tags = tags,
            visibility = visibility,
            **{key: how[key] for key in _OF_FLOAT_MODEL if key in how}
        )
        arguments = {"version": "0"}
        arguments.update({key: how[key] for key in how if key not in _OF_FLOAT_MODEL})
        quantized_model(
            name = stem,
            model = ":" + stem + "_float",
            tags = tags,
            visibility = visibility,
            **arguments
        )
        targets.append(":" + stem)
    task_bundle_rule(
        name = name,
        members = targets,
        names = members.keys(),
        src = src,
        tags = tags,
        visibility = visibility,
        **kwargs
    )

def model_bundle(
        name,
        variants,
        version,
        policy = {},
        requires = {},
        measured_fps = None,
        **kwargs):
    """Makes NAME.zip: variants of one model, of which an app chooses one on the device.

    The app chooses with one of //tools/bundle/selectors, which it copies (docs/how-to/bundles.md).

    Args:
      name: the target, and the bundle's name.
      variants: dict from a name such as "high" to a quantized_model, a float_model or a
        .tflite file; the best first.
      version: of the bundle, as the team counts them.
      policy: dict: "min_fps", frames a second that are fast enough (0); "choose",
        "first_fast_enough" (the default where min_fps is given) or "fastest"; "fallback",
        the variant where no speed is known (the last); "order" of the variants (as given).
      requires: dict by variant of what a device must have: "abis" and "delegates" (lists,
        one of them is enough), "ram_mb", "api_level", and "min_runtime" where it is not what
        the operators ask for.
      measured_fps: JSON file of frames a second by class of device. Figures of other bytes
        than the bundle's are refused; no build measures them.
      **kwargs: what every rule takes.
    """
    model_bundle_rule(
        name = name,
        measured_fps = measured_fps,
        names = variants.keys(),
        specification = json.encode({"policy": policy, "requires": requires}),
        variants = variants.values(),
        version = version,
        **kwargs
    )

def qat_model(
        name,
        model,
        train_data,
        calibration_data,
        test_data,
        version,
        function = "",
        epochs = 4,
        learning_rate = 0.001,
        float_epochs = 0,
        float_learning_rate = 0.003,
        batch_size = 64,
        seed = 0,
        scheme = "int8",
        input_mean = 127.5,
        input_std = 127.5,
        input_resize = "letterbox",
        task = None,
        registered_model = None,
        tags = [],
        **kwargs):
    """Trains a small Keras classifier with its quantizers in place, and quantizes what it learned.

    Training is an action like any other: on one thread, in a fixed order, cached. It is for
    models that train in minutes (docs/how-to/train_with_quantizers.md). The artifact is held to its gates against the
    float model of the same weights.

    Targets:
      NAME.trained: builds that float model; its output groups are summary and
        tensorflow_int8, the int8 model that TensorFlow makes of it.
      NAME_float: the float_model of it.
      NAME: a quantized_model of that, with all of its targets.

    Args:
      name: the quantized_model.
      model: a .keras or .h5 file of Keras 2, or a .py file, which imports nothing of the
        workspace.
      train_data: a directory with a folder of images for each class (or all their files), or
        an .npz file with the arrays images and labels.
      calibration_data: of the quantized_model.
      test_data: of the quantized_model.
      version: of the quantized_model.
      function: what builds the model, in a .py file.
      epochs: passes over the data with quantizers.
      learning_rate: at the start of them.
      float_epochs: passes in float before, for a model that is not trained yet.
      float_learning_rate: at the start of those.
      batch_size: images a step.
      seed: of the order of images, and of weights that are not trained yet.
      scheme: of the quantized_model.
      input_mean: subtracted from each pixel (0 to 255), in training and after.
      input_std: what the difference is divided by.
      input_resize: "letterbox", "stretch" or "center_crop".
      task: what the outputs mean, as for a float_model.
      registered_model: name in the registry. The default is this target's name.
      tags: for every target.
      **kwargs: what a quantized_model takes, `quality` and `speed` among them.
    """
    trained_model(
        name = name + ".trained",
        function = function,
        model = model,
        settings = {
            "batch_size": str(batch_size),
            "epochs": str(epochs),
            "float_epochs": str(float_epochs),
            "float_learning_rate": str(float_learning_rate),
            "input_mean": str(input_mean),
            "input_resize": input_resize,
            "input_std": str(input_std),
            "learning_rate": str(learning_rate),
            "seed": str(seed),
        },
        tags = tags,
        train_data = train_data,
        visibility = ["//visibility:private"],
    )
    float_model(
        name = name + "_float",
        src = ":" + name + ".trained",
        convert = False,
        input_mean = input_mean,
        input_resize = input_resize,
        input_std = input_std,
        tags = tags,
        task = task,
        visibility = kwargs.get("visibility"),
    )
    quantized_model(
        name = name,
        calibration_data = calibration_data,
        model = ":" + name + "_float",
        registered_model = registered_model or name,
        scheme = scheme,
        tags = tags,
        test_data = test_data,
        version = version,
        **kwargs
    )
