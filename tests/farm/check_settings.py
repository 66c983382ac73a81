#!/usr/bin/env python3
"""Builds, and holds to a gate, under the settings that a farm or a careful user chooses.

    tests/farm/check_settings.py

Everything runs as an ordinary user, who is made for it. Each setting has a target of its
own, so that its actions really run. Needs root on Debian; about three minutes.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.farm import loopback

_PACKAGE = "settings_check"
_BUILD = """\
load("//rules:defs.bzl", "quality_gates", "quantized_model")

filegroup(
    name = "names_with_spaces",
    srcs = glob(["test images/*.png"]),
)

[
    quantized_model(
        name = name,
        model = "//models:face",
        quality = quality_gates(max_size_bytes = 300000, tolerance = 0.001),
        scheme = "float16",
        test_data = data,
        version = "1",
    )
    for name, data in [
        ("closed_network", "//models:face_test"),
        ("no_runfile_links", "//models:face_test"),
        ("read_only", "//models:face_test"),
        ("spaces", ":names_with_spaces"),
        ("strict_environment", "//models:face_test"),
        ("temporary_folder", "//models:face_test"),
    ]
]
"""


def check_all(checkout: loopback.Checkout, folder: Path) -> None:
    def holds(name: str, *flags: str, **variables: str) -> None:
        """Builds a target and runs its gate."""
        target = f"//{_PACKAGE}:{name}"
        checkout.build(*flags, target, **variables)
        output = checkout.build(*flags, f"{target}_similarity_test", command="test", **variables)
        passed = f"{target}_similarity_test" in output and "PASSED" in output
        loopback.check(passed, f"{name}: builds and passes its gate {' '.join(flags)}")

    holds("closed_network", "--sandbox_default_allow_network=false")
    # What a shell may hold must not reach an action, strictly or not.
    junk = {"PYTHONPATH": "/nonexistent", "PYTHONHOME": "/nonexistent", "LANG": "tr_TR.UTF-8"}
    holds("strict_environment", "--incompatible_strict_action_env", **junk)
    holds("no_runfile_links", "--nobuild_runfile_links")
    elsewhere = folder / "temporary files"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    holds("temporary_folder", TMPDIR=str(elsewhere))
    # Bazel 4 takes spaces in files' names, but not in the path of a workspace.
    images = checkout.folder / _PACKAGE / "test images"
    images.mkdir()
    for image in sorted((checkout.path("bazel-bin") / "models/face_test").glob("*.png")):
        shutil.copy(image, images / image.name.replace("_", " number "))
    holds("spaces")
    loopback.run(["chmod", "-R", "a-w", checkout.folder])
    tried = checkout.folder / "new"
    as_user = ["setpriv", f"--reuid={checkout.user}", "--clear-groups", "sh", "-c"]
    denied = loopback.run([*as_user, f"touch '{tried}' 2>/dev/null || echo denied"])
    loopback.check("denied" in denied, "the user cannot write to the source tree")
    holds("read_only", "--symlink_prefix=/")


def body() -> None:
    if os.geteuid() != 0:
        raise loopback.FarmError("needs root, to make an ordinary user")
    python = loopback.readable_python()
    with tempfile.TemporaryDirectory(prefix="settings-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with loopback.user_named("rq-ordinary", folder / "home") as user:
            clone = folder / "home/rules_quantize"
            checkout = loopback.Checkout(clone, user, folder / "home", python)
            (clone / _PACKAGE).mkdir()
            (clone / _PACKAGE / "BUILD.bazel").write_text(_BUILD)
            try:
                check_all(checkout, folder)
            finally:
                checkout.remove()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(__doc__)
        sys.exit(0 if sys.argv[1] == "--help" else 2)
    loopback.main(body)
