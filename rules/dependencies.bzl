"""The repositories that the rules use. Each is fetched when something first needs it."""

load("//rules/private:remote_coverage_tools.bzl", _remote_coverage_tools = "remote_coverage_tools")
load(":arm64_python.bzl", "arm64_python")
load(":bazel_version.bzl", "bazel_version")
load(":npm_packages.bzl", "npm_packages")
load(":python_env.bzl", "python_env")
load(":wheel_files.bzl", "wheel_files")

_MEDIAPIPE_WHEEL = {
    "platform": "manylinux_2_28_x86_64",
    "python_version": "3.11",
    "requirement": "mediapipe==0.10.21",
    "sha256": "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
}

_MEDIAPIPE_MODELS = [
    "face_detection/face_detection_full_range_sparse",
    "face_detection/face_detection_short_range",
    "face_landmark/face_landmark",
    "hand_landmark/hand_landmark_full",
    "hand_landmark/hand_landmark_lite",
    "iris_landmark/iris_landmark",
    "palm_detection/palm_detection_full",
    "palm_detection/palm_detection_lite",
    "pose_detection/pose_detection",
    "pose_landmark/pose_landmark_full",
    "selfie_segmentation/selfie_segmentation",
]

# Photographs that scikit-image carries, all free to use (docs/explanation/data.md).
_PHOTOGRAPHS = [
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "grass.png",
    "gravel.png",
    "rocket.jpg",
]

# What runs models in a browser: folder to name, version and SHA-256.
_LITERTJS = {
    "core": [
        "@litertjs/core",
        "2.5.3",
        "a97660833e9e7e1063c95e12016718881240b14f7438728a2f62785e912d30fd",
    ],
    "wasm-utils": [
        "@litertjs/wasm-utils",
        "2.5.3",
        "ce2a1f8379c067be49e59752e5a7f40db6be09f6e497f0f11e59f17b515366a7",
    ],
}

# MediaPipe's tasks in a browser, which artifacts are tried in.
_TASKS_VISION = {
    "tasks-vision": [
        "@mediapipe/tasks-vision",
        "1.1.0",
        "46fc3d3d13fa5de631915929d045be2f74bb32e909d7a5b3a322b28976f54165",
    ],
}

# Each for one part of the tools (docs/how-to/set_up.md); fetched when something there is built.
ENVIRONMENTS = [
    "litert",
    "mediapipe",
    "mediapipe_tasks",
    "registry",
    "servers",
    "tensorflow",
    "testing",
    "tuning",
]

# Environments whose packages programs lay over those of others: tests over what they test.
_OVER = {
    "servers": ["litert", "registry"],
    "testing": ["litert", "mediapipe", "mediapipe_tasks", "registry", "tensorflow", "tuning"],
}

def _check_environments(argument, environments):
    for name in environments:
        if name not in ENVIRONMENTS:
            fail("{}: there is no environment {}; there are {}".format(
                argument,
                name,
                ", ".join(ENVIRONMENTS),
            ))

def remote_coverage_tools():
    """Stands in for a repository that Bazel 4 to 6 want from GitHub for every test.

    It holds what merges the coverage of C++ and Java, of which there is none here.
    """
    _remote_coverage_tools()

def rules_quantize_dependencies(locks = {}, names = ENVIRONMENTS, python = "", pythons = {}):
    """Declares what the tools run in, and what `@rules_quantize//models` needs.

    These are Python environments, and what browser and emulated devices run models with.

    Nothing is fetched before it is needed.

    Args:
      locks: label of a lock of your own by the environment's name, such as
        {"registry": "//third_party:mlflow.lock"}. The others have the locks of these rules.
      names: which environments to declare. You may declare the others yourself: a
        repository rules_quantize_NAME that offers `env`, as `python_env` makes it.
      python: the interpreter, as an absolute path such as "/usr/bin/python3.12" or a name on
        PATH. By default it is the newest on PATH, of Python 3.11 to 3.14, for which an
        environment's packages have wheels. RULES_QUANTIZE_PYTHON comes before it.
      pythons: interpreter by the environment's name, such as {"mediapipe": "python3.12"},
        where one needs another than `python`.
    """
    _check_environments("locks", locks)
    _check_environments("pythons", pythons)
    bazel_version(name = "rules_quantize_bazel")
    npm_packages(name = "rules_quantize_litertjs", packages = _LITERTJS)
    npm_packages(name = "rules_quantize_tasks_vision", packages = _TASKS_VISION)
    lock = {
        name: locks.get(name) or Label("//rules/locks:{}.lock".format(name))
        for name in ENVIRONMENTS
    }
    arm64_python(
        name = "rules_quantize_arm64",
        lock = lock["litert"],
        packages = ["ai-edge-litert", "numpy"],
        python = pythons.get("litert", python),
    )
    for name in names:
        python_env(
            name = "rules_quantize_" + name,
            lock = lock[name],
            over = {lock[other]: pythons.get(other, python) for other in _OVER.get(name, [])},
            python = pythons.get(name, python),
        )
    _example_data(python)

def _example_data(python):
    """Declares what `//models` is made of and tested with: MediaPipe's models, and photographs.

    Args:
      python: the interpreter whose pip fetches them, as in `rules_quantize_dependencies`.
    """
    wheel_files(
        name = "mediapipe_models",
        python = python,
        files = dict({
            path.split("/")[-1] + ".tflite": "mediapipe/modules/" + path + ".tflite"
            for path in _MEDIAPIPE_MODELS
        }, LICENSE = "mediapipe-0.10.21.dist-info/LICENSE"),
        **_MEDIAPIPE_WHEEL
    )

    # Today's MediaPipe is linked with these and does not bring them.
    wheel_files(
        name = "mediapipe_gles",
        python = python,
        files = {
            "libEGL.so.1": "mediapipe.libs/libEGL-48f73270.so.1.1.0",
            "libGLESv2.so.2": "mediapipe.libs/libGLESv2-ed5eda4f.so.2.1.0",
            # Under the name by which the two others look for it.
            "libGLdispatch-64b28464.so.0.0.0": "mediapipe.libs/libGLdispatch-64b28464.so.0.0.0",
        },
        **_MEDIAPIPE_WHEEL
    )
    wheel_files(
        name = "scikit_image_photographs",
        requirement = "scikit-image==0.26.0",
        sha256 = "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
        platform = "manylinux_2_28_x86_64",
        python = python,
        python_version = "3.11",
        files = dict({
            name: "skimage/data/" + name
            for name in _PHOTOGRAPHS
        }, LICENSE = "scikit_image-0.26.0.dist-info/LICENSE.txt"),
    )
