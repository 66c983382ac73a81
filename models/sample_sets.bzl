"""sample_sets: what MediaPipe's models are calibrated and tested with (docs/explanation/data.md)."""

load("//rules/private:sample_directory.bzl", "sample_directory")
load("//tests:nightly.bzl", "NIGHTLY")

# Model to what is rendered, a value of `render_samples --samples`; crops are cut out around what
# the detector finds, and the landmarks find the eyes in a face.
_SAMPLES = {
    "face": dict(samples = "face_scenes"),
    "face_full_range": dict(samples = "far_face_scenes", tags = NIGHTLY),
    "face_landmark": dict(samples = "face_crops", detector = "face"),
    "hand_landmark_full": dict(samples = "hand_crops", detector = "palm_full", tags = NIGHTLY),
    "iris_landmark": dict(
        samples = "eye_crops",
        detector = "face",
        landmarks = "face_landmark",
        tags = NIGHTLY,
    ),
    "palm_full": dict(samples = "hand_scenes", tags = NIGHTLY),
    "pose": dict(samples = "person_scenes", tags = NIGHTLY),
    "pose_landmark_full": dict(samples = "person_crops", detector = "pose", tags = NIGHTLY),
    "selfie_segmentation": dict(samples = "selfies", calibration = 100, test = 40, tags = NIGHTLY),
}

# No photograph is in both sets. Only the images of people show the man at a camera.
_PHOTOGRAPHS = {
    "calibration": ["brick.png", "chelsea.png", "coffee.png", "grass.png"],
    "test": ["astronaut.png", "gravel.png", "rocket.jpg"],
}
_PEOPLE = {
    "calibration": [],
    "test": ["camera.png"],
}

def _sample_set(model, use, count, seed, samples, detector = None, landmarks = None, tags = []):
    people = _PEOPLE[use] if samples.startswith("person") else []
    sample_directory(
        name = "{}_{}".format(model, use),
        arguments = [
            "--samples=" + samples,
            "--set=" + use,
            "--count={}".format(count),
            "--seed={}".format(seed),
        ],
        detector = detector,
        landmarks = landmarks,
        model = model,
        photographs = ["@scikit_image_photographs//:" + file for file in _PHOTOGRAPHS[use] + people],
        tags = tags,
        tool = "//scenes:render_samples",
    )

def sample_sets(name):
    """Declares MODEL_calibration and MODEL_test: images in which the model sees its object.

    Args:
      name: all of them.
    """
    for model, row in _SAMPLES.items():
        row = dict(row)
        counts = {"calibration": row.pop("calibration", 200), "test": row.pop("test", 80)}
        for use, seed in [("calibration", 1), ("test", 2)]:
            _sample_set(model, use, counts[use], seed, **row)
    native.filegroup(
        name = name,
        srcs = [":{}_{}".format(model, use) for model in _SAMPLES for use in _PHOTOGRAPHS],
        tags = NIGHTLY,
    )
