"""sample_sets: calibration and test images for one of MediaPipe's models."""

load("//rules/private:sample_directory.bzl", "sample_directory")

# No photograph is in both sets (docs/data.md).
_PHOTOGRAPHS = {
    "calibration": ["brick.png", "chelsea.png", "coffee.png", "grass.png"],
    "test": ["astronaut.png", "gravel.png", "rocket.jpg"],
}

# A man at a camera, whom only the images of people show.
_PEOPLE = {
    "calibration": [],
    "test": ["camera.png"],
}

def sample_sets(
        name,
        model,
        samples,
        detector = None,
        landmarks = None,
        calibration = 200,
        test = 80,
        tags = []):
    """Makes MODEL_calibration and MODEL_test for a float_model, which sees its object in them.

    Args:
      name: both sets.
      model: name of a float_model in this package.
      samples: what is made: a value of `render_samples --samples`.
      detector: a float_model that finds what crops are cut out around.
      landmarks: a float_model that finds the eyes in a face.
      calibration: how many images the calibration set has.
      test: how many images the test set has.
      tags: for every target.
    """
    for chosen, count, seed in [("calibration", calibration, 1), ("test", test, 2)]:
        people = _PEOPLE[chosen] if samples.startswith("person") else []
        sample_directory(
            name = "{}_{}".format(model, chosen),
            arguments = [
                "--samples=" + samples,
                "--set=" + chosen,
                "--count={}".format(count),
                "--seed={}".format(seed),
            ],
            detector = detector,
            landmarks = landmarks,
            model = ":" + model,
            photographs = [
                "@scikit_image_photographs//:" + file
                for file in _PHOTOGRAPHS[chosen] + people
            ],
            tags = tags,
            tool = "//models/scenes:render_samples",
        )
    native.filegroup(
        name = name,
        srcs = [":{}_{}".format(model, chosen) for chosen in ["calibration", "test"]],
        tags = tags,
    )
