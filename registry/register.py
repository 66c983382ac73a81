"""Records a quantized model, its figures and its origin in the model registry."""

import argparse
import sys

from registry.registering import add_registration_flags, register
from registry.store import add_patience_flag
from tools.command_line import EXIT_GATE_FAILED, new_parser, own_command, run

_EXAMPLES = """\
  bazel run //models:face_int8.register
  bazel run //registry:register -- --report=report.json --model=face_int8.tflite
  bazel run //registry:register -- --report=report.json --model=face_int8.tflite \\
      --recipe=recipe.json --float_model=face.tflite --registered_model=face \\
      --target=//models:face_int8
  bazel run //registry:register -- --report=report.json --model=face_int8.tflite \\
      --device_verdict=device_verdict.json
  MLFLOW_TRACKING_URI=https://mlflow.example.com bazel run //models:face_int8.register"""


def parser() -> argparse.ArgumentParser:
    """Makes the command line's parser."""
    result = new_parser(
        "register",
        "Records a quantized model in MLflow: a run with its figures, and a version of a "
        "registered model. The same artifact is one version, however often it is registered. "
        "Without MLFLOW_TRACKING_URI the records go to .mlflow/ in the workspace.",
        _EXAMPLES,
    )
    add_registration_flags(result)
    result.add_argument("--dry_run", action="store_true", help="print what would be written")
    add_patience_flag(result)
    return result


def main(arguments: argparse.Namespace) -> int:
    """Registers one artifact.

    Args:
      arguments: from `parser`.

    Returns:
      0, or EXIT_GATE_FAILED when a gate failed and no version was made.
    """
    registered = register(arguments, arguments.patience, arguments.dry_run, _own_command)
    print(registered.text)
    return 0 if arguments.dry_run or registered.passed else EXIT_GATE_FAILED


def _own_command() -> str:
    return own_command("register", *sys.argv[1:])


if __name__ == "__main__":
    run(parser(), main)
