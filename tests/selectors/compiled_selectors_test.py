"""The C++ and the Kotlin selector, compiled and run on the table of test vectors.

Needs g++, java, and KOTLIN_COMPILER: the folder of npm's package kotlin-compiler.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.selectors.vectors import FILE, expected_lines

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


def test_kotlin(tmp_path):
    library = Path(os.environ["KOTLIN_COMPILER"], "lib")
    jar = tmp_path / "selector.jar"
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
        _ROOT / "tools" / "bundle" / "selectors" / "ModelSelector.kt",
        _HERE / "RunTestVectors.kt",
    )
    classes = f"{jar}:{library / 'kotlin-stdlib.jar'}"
    program = "rules_quantize.model_selector.RunTestVectorsKt"
    assert _output("java", "-cp", classes, program, FILE) == expected_lines()
