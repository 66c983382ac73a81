"""The C++ and the Kotlin selector, compiled and run on the table of test vectors.

Kotlin's check of a release runs on files that openssl signed.

Needs g++, openssl, java, and KOTLIN_COMPILER: the folder of npm's package kotlin-compiler.
"""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.selectors.vectors import FILE, expected_lines
from tools.documents.document import write_document
from tools.documents.release_manifest import ReleasedFile, ReleaseManifest

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]


def _output(*words) -> list[str]:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("standard", ["c++17", "c++20"])
def test_cpp(standard, tmp_path):
    program = tmp_path / "selector"
    source = _HERE / "run_test_vectors.cc"
    warnings = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-fsanitize=undefined")
    assert _output("g++", f"-std={standard}", *warnings, "-I", _ROOT, "-o", program, source) == []
    assert _output(program, FILE) == expected_lines()


@pytest.fixture(name="kotlin", scope="module")
def _kotlin(tmp_path_factory):
    """Compiles the Kotlin files; gives what runs a file's main()."""
    library = Path(os.environ["KOTLIN_COMPILER"], "lib")
    jar = tmp_path_factory.mktemp("kotlin") / "selector.jar"
    sources = _ROOT / "tools" / "bundle" / "selectors"
    _output(
        "java",
        "-cp",
        library / "kotlin-compiler.jar",
        "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler",
        "-kotlin-home",
        library.parent,
        "-Werror",
        "-d",
        jar,
        sources / "ModelSelector.kt",
        sources / "ReleaseCheck.kt",
        _HERE / "CheckRelease.kt",
        _HERE / "RunTestVectors.kt",
    )
    classes = f"{jar}:{library / 'kotlin-stdlib.jar'}"
    package = "rules_quantize.model_selector"
    return lambda name, *words: _output("java", "-cp", classes, f"{package}.{name}Kt", *words)


def test_kotlin(kotlin):
    assert kotlin("RunTestVectors", FILE) == expected_lines()


def _sign(manifest: Path, key: Path) -> None:
    words = ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", manifest]
    _output(*words, "-out", manifest.with_name("manifest.json.sig"))


def test_kotlin_checks_a_release(kotlin, tmp_path):
    for name in ("key", "other"):
        _output("openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / f"{name}.pem")
    public = tmp_path / "public.pem"
    _output("openssl", "pkey", "-in", tmp_path / "key.pem", "-pubout", "-out", public)
    model, manifest = tmp_path / "face.tflite", tmp_path / "manifest.json"
    model.write_bytes(b"an int8 model")
    file = ReleasedFile(13, model.name, hashlib.sha256(b"an int8 model").hexdigest())
    write_document(manifest, ReleaseManifest("production", (file,), 1000, "face", "int8", 3))
    _sign(manifest, tmp_path / "key.pem")

    def said(name="face", issued_ms=1000):
        (line,) = kotlin("CheckRelease", tmp_path, public, name, str(issued_ms))
        return line

    assert said() == "right"
    assert said("palm") == "it is of the model face"
    assert said(issued_ms=1001) == "version 3 is older than what is in use"
    model.write_bytes(b"an int8 mode")
    assert said() == "face.tflite has 12 bytes, released were 13"
    model.write_bytes(b"another model")
    assert said() == "face.tflite is not the file that was released"
    unsigned = "the manifest is not signed by the key that is trusted"
    _sign(manifest, tmp_path / "other.pem")
    assert said() == unsigned
    _sign(manifest, tmp_path / "key.pem")
    manifest.write_bytes(manifest.read_bytes().replace(b"1000", b"9000"))
    assert said() == unsigned
    manifest.write_text("{}")
    _sign(manifest, tmp_path / "key.pem")
    assert said() == "not the manifest of a release: of another kind"
