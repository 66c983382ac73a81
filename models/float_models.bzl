"""float_models: MediaPipe's models, and how their outputs are decoded."""

load(
    "//rules:defs.bzl",
    "detection",
    "float_model",
    "landmarks",
    "segmentation",
    "ssd_anchors",
)

def _palm(file):
    return _zero_to_one(file, detection(
        anchors = ssd_anchors(input_size = [192, 192], strides = [8, 16, 16, 16]),
        boxes = "Identity",
        keypoints = 7,
        scores = "Identity_1",
    ))

def _hand(file):
    return _zero_to_one(file, landmarks(
        count = 21,
        crop_size = [224, 224],
        points = "Identity",
        presence = "Identity_1",
        world = "Identity_3",
    ))

# MediaPipe's graphs take pixels as -1 to 1, the default, or as 0 to 1.
def _zero_to_one(file, task):
    return dict(file = file, input_mean = 0, input_std = 255, task = task)

_MODELS = {
    "face_full_range": dict(
        file = "face_detection_full_range_sparse",
        task = detection(
            anchors = ssd_anchors(
                input_size = [192, 192],
                interpolated_scale_aspect_ratio = 0.0,
                strides = [4],
            ),
            boxes = "Identity",
            keypoints = 6,
            scores = "Identity_1",
        ),
    ),
    "face_landmark": _zero_to_one("face_landmark", landmarks(
        count = 468,
        crop_size = [192, 192],
        points = "conv2d_21",
        presence = "conv2d_31",
        presence_logits = True,
    )),
    "hand_landmark_full": _hand("hand_landmark_full"),
    "hand_landmark_lite": _hand("hand_landmark_lite"),
    "iris_landmark": _zero_to_one("iris_landmark", [
        landmarks(
            name = "eye",
            count = 71,
            crop_size = [64, 64],
            points = "output_eyes_contours_and_brows",
        ),
        landmarks(
            name = "iris",
            count = 5,
            crop_size = [64, 64],
            points = "output_iris",
        ),
    ]),
    "palm_full": _palm("palm_detection_full"),
    "palm_lite": _palm("palm_detection_lite"),
    "pose": dict(
        file = "pose_detection",
        task = detection(
            anchors = ssd_anchors(input_size = [224, 224], strides = [8, 16, 32, 32, 32]),
            boxes = "Identity",
            keypoints = 4,
            scores = "Identity_1",
        ),
    ),
    "pose_landmark_full": _zero_to_one("pose_landmark_full", [
        landmarks(
            count = 39,
            crop_size = [256, 256],
            points = "Identity",
            presence = "Identity_1",
            values = 5,
            world = "Identity_4",
        ),
        segmentation(logits = True, mask = "Identity_2", presence = "Identity_1"),
    ]),
    "selfie_segmentation": _zero_to_one("selfie_segmentation", segmentation(
        mask = "activation_10",
    )),
}

def float_models(name):
    """Declares a float_model for each of MediaPipe's models but `face`.

    Args:
      name: all of them.
    """
    for model, arguments in _MODELS.items():
        arguments = dict(arguments)
        file = arguments.pop("file")
        float_model(
            name = model,
            src = "@mediapipe_models//:{}.tflite".format(file),
            **arguments
        )
    native.filegroup(
        name = name,
        srcs = [":" + model for model in _MODELS],
    )
