"""TensorFlow without its pages on the standard error, and the same on every run.

TensorFlow's C++ code writes to the process's standard error past Python: what it finds of
the machine, and each failed conversion once a pattern. A user reads one line instead.
"""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# A conversion needs no accelerator, and TensorFlow looks for one by itself. Keras 2 is what
# `tf.keras` means to the libraries that train with quantizers; Keras 3 goes by `keras`.
# oneDNN chooses other kernels on other machines, and with them other last digits.
ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_USE_LEGACY_KERAS": "1",
}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps the standard error of this process to itself, C++ code's as well.

    What an unexpected error was written beside it is shown after all. TensorFlow must be
    imported inside for the first time: its environment is set here.

    Yields:
      Nothing.
    """
    os.environ.update(ENVIRONMENT)
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)


def first_line(error: BaseException) -> str:
    """Finds the sentence of a library's error that says most in one line.

    Args:
      error: what the library raised, often of many lines.

    Returns:
      One line of at most 300 characters, without places in TensorFlow's own graph.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    chosen = next((line for line in lines if "error:" in line), lines[0] if lines else "")
    # loc(callsite(...)): error: what is wrong
    chosen = re.sub(r"^.*?\)\)?: (?:error: )?(?=\S)", "", chosen) if "loc(" in chosen else chosen
    return (chosen or type(error).__name__)[:300].rstrip(".")
