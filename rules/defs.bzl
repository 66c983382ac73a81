"""All that a BUILD file loads.

    load("@rules_quantize//rules:defs.bzl", "detection", "float_model", "quantized_model")
"""

load("//rules/private:float_model.bzl", _float_model = "float_model")
load("//rules/private:quantized_model.bzl", "quantized_model_rule")
load(
    "//rules/private:quantized_model_programs.bzl",
    "fps_test",
    "register_model",
    "similarity_test",
)
load(
    ":providers.bzl",
    _FloatModelInfo = "FloatModelInfo",
    _QuantizedModelInfo = "QuantizedModelInfo",
)

FloatModelInfo = _FloatModelInfo
QuantizedModelInfo = _QuantizedModelInfo

def detection(boxes, scores, anchors, keypoints = 0, min_score = 0.5):
    """Says that a model is a single-shot detector, and how its outputs are decoded.

    Args:
      boxes: name of the output with box offsets and keypoints, [1, anchors, 4 + 2 * keypoints].
      scores: name of the output with one logit an anchor, [1, anchors, 1].
      anchors: from `ssd_anchors`.
      keypoints: how many keypoints follow a box.
      min_score: score, after the sigmoid, from which a box counts.

    Returns:
      A string for `float_model(task = ...)`.
    """
    return json.encode({
        "anchors": anchors,
        "boxes": boxes,
        "keypoints": keypoints,
        "min_score": min_score,
        "scores": scores,
        "type": "detection",
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

def float_model(name, src, input_mean = 127.5, input_std = 127.5, **kwargs):
    """Makes the float master of a .tflite file: fp32, dense, with a signature.

    Args:
      name: the target. It builds NAME.tflite.
      src: the float model as it is distributed; fp16 and sparse weights are expanded.
      input_mean: subtracted from each pixel (0 to 255).
      input_std: what the difference is divided by.
      **kwargs: input_resize ("letterbox", "stretch" or "center_crop"), task (see
        `detection`), and what every rule takes.
    """
    _float_model(
        name = name,
        src = src,
        input_mean = str(input_mean),
        input_std = str(input_std),
        **kwargs
    )

def quantized_model(
        name,
        model,
        scheme,
        test_data,
        version,
        calibration_data = None,
        tolerance = 0.05,
        worst_tolerance = None,
        max_size = None,
        min_size_reduction = None,
        smaller_than_source = False,
        max_score_error = None,
        max_box_error = None,
        min_sqnr = None,
        min_fps = {},
        min_speedup = None,
        threads = 1,
        registered_model = None,
        tags = [],
        visibility = None,
        **kwargs):
    """Quantizes a float model into an artifact that is held to its gates.

    Targets:
      NAME: builds NAME.tflite, NAME.report.json and NAME.recipe.json. The build fails
        when similarity or size is beyond a gate; the report is there all the same.
      NAME_similarity_test: the same gates as a test.
      NAME_fps_test: measures float master and artifact on the host. Made when min_fps
        or min_speedup is given.
      NAME.register: `bazel run` measures, and records the artifact in the registry.

    Args:
      name: the target.
      model: a float_model.
      scheme: "int8", "dynamic", "float16" or "weight_only_int8".
      test_data: held-out samples: a filegroup or directory of images, .npy or .npz.
      version: version of the artifact, as the team counts them.
      calibration_data: representative dataset in the same forms; int8 needs it.
      tolerance: how far each output's mean cosine similarity may fall below 1. A number,
        or a dict by output name, in which "*" stands for the outputs not named.
      worst_tolerance: the same for the worst sample.
      max_size: bytes of the artifact.
      min_size_reduction: fraction by which it must be smaller than the float master.
      smaller_than_source: whether it must be smaller than the file that the float
        master was made from.
      max_score_error: mean difference of the best score, after the sigmoid (detectors).
      max_box_error: mean difference of a box's corners in input pixels (detectors).
      min_sqnr: decibels, for every output.
      min_fps: inferences a second by device; "host" is the machine that runs the test.
      min_speedup: how many times as fast as the float master.
      threads: of the interpreter that measures.
      registered_model: name in the registry. The default is the float model's name.
      tags: for every target.
      visibility: for every target.
      **kwargs: what every rule takes.
    """
    for device in min_fps:
        if device != "host":
            fail("{}: min_fps names the device {}; \"host\" is the only one known".format(
                name,
                device,
            ))
    if scheme == "int8" and not calibration_data:
        fail("{}: scheme int8 needs calibration_data".format(name))
    quantized_model_rule(
        name = name,
        model = model,
        calibration_data = calibration_data,
        gates = json.encode({
            "max_box_error_px": max_box_error,
            "max_score_error": max_score_error,
            "max_size": max_size,
            "min_size_reduction": min_size_reduction,
            "min_sqnr_db": min_sqnr,
            "smaller_than_source": smaller_than_source,
            "tolerance": tolerance,
            "worst_tolerance": worst_tolerance,
        }),
        scheme = scheme,
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
    if min_fps or min_speedup:
        fps_test(
            name = name + "_fps_test",
            size = "medium",
            min_fps = str(min_fps.get("host", "")),
            min_speedup = str(min_speedup or ""),
            model = ":" + name,
            # Nothing else runs beside a measurement, and an old one says nothing
            # about this machine now.
            tags = tags + ["exclusive", "external", "local", "no-cache", "no-remote"],
            threads = threads,
            visibility = visibility,
        )
    register_model(
        name = name + ".register",
        model = ":" + name,
        registered_model = registered_model or model.split(":")[-1].split("/")[-1],
        tags = tags,
        threads = threads,
        visibility = visibility,
    )
