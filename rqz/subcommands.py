"""What `rqz` can be told to do, and which program does it."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Subcommand:
    """A program of this project under a shorter name.

    Attributes:
      module: that holds its `parser` and `main`, such as "tools.quantize_model".
      summary: what it does, in one line.
      target: of the program, such as "//tools:quantize_model"; "" where Bazel starts none.
      positional: flags whose values may stand alone, in this order.
      aliases: shorter flags by those that they stand for.
      needs: the package that only this program imports, and the extra that installs it.
    """

    module: str
    summary: str
    target: str = ""
    positional: tuple[str, ...] = ()
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    needs: tuple[str, str] | None = None

    @property
    def file(self) -> str:
        """The program's file, from the folder that holds `tools` and `registry`."""
        return self.module.replace(".", "/") + ".py"


_BOTH = ("--float_model", "--quantized_model")
_MLFLOW = ("mlflow", "registry")
_TENSORFLOW = ("tensorflow", "tensorflow")


def _tool(program: str, summary: str, **more) -> Subcommand:
    return Subcommand(f"tools.{program}", summary, f"//tools:{program}", **more)


def _of_registry(name: str, summary: str, module: str = "") -> Subcommand:
    return Subcommand(f"registry.{module or name}", summary, f"//registry:{name}", needs=_MLFLOW)


# By what is typed after `rqz`, in the order in which help lists them.
SUBCOMMANDS: Mapping[str, Subcommand] = {
    "quantize": _tool(
        "quantize_model",
        "make a quantized model of a float .tflite or of a .task bundle",
        positional=("--input_model",),
        aliases={
            "--scheme": "--quantization_type",
            "--calibration": "--calibration_data",
            "--output": "--output_model",
        },
    ),
    "validate": _tool(
        "validate_quantized_model",
        "compare a quantized model with its float model, and judge it",
        positional=_BOTH,
        aliases={"--test": "--test_data", "--calibration": "--calibration_data"},
    ),
    "benchmark": _tool(
        "benchmark_model",
        "measure how fast a model is, alone or against another",
        positional=("--model", "--against"),
    ),
    "latency": _tool(
        "measure_latency",
        "hold a quantized model's speed to gates",
        positional=_BOTH,
    ),
    "tune": _tool(
        "tune_model",
        "search for the best settings that reach a goal",
        positional=("--float_model",),
        aliases={"--calibration": "--calibration_data", "--output": "--settings_output"},
        needs=("matplotlib", "tuning"),
    ),
    "layers": _tool(
        "layer_report",
        "show in which layers the error of a quantized model arises",
        positional=_BOTH,
        aliases={"--test": "--test_data"},
    ),
    "demo": _tool(
        "demo",
        "draw what a float detector and its quantized model find in a photograph",
        positional=("--image",),
    ),
    "convert": _tool(
        "convert_model",
        "make a float .tflite of a SavedModel or a Keras file",
        needs=_TENSORFLOW,
    ),
    "init": Subcommand(
        "rqz.new_workspace",
        "write a Bazel workspace for a model, with folders for its data",
    ),
    "completion": Subcommand(
        "rqz.completion",
        "print a script by which bash, zsh or fish completes subcommands and flags",
    ),
    "registry list": _of_registry(
        "list", "list the registered models, or the versions of one", "list_versions"
    ),
    "registry register": _of_registry("register", "record a quantized model as a version"),
    "registry fetch": _of_registry("fetch", "fetch the file of a version"),
    "registry compare": _of_registry("compare", "compare two versions"),
    "registry promote": _of_registry("promote", "point an alias at a version, by its policy"),
    "registry rollback": _of_registry("rollback", "point an alias back at the version before"),
    "registry history": _of_registry("history", "show how the aliases of a model moved"),
    "registry lineage": _of_registry("lineage", "show where a version comes from"),
    "registry verify": _of_registry("verify", "check files against their signed manifest"),
    "registry notify": _of_registry("notify", "run the policy's command for moves not told yet"),
    "registry upgrade": _of_registry("upgrade", "upgrade the tables of an older store"),
    "registry ui": _of_registry("ui", "start MLflow's pages on the registry"),
}


def find(words: list[str]) -> tuple[str, list[str]] | None:
    """Finds the subcommand at the start of a command line.

    Args:
      words: what was typed after `rqz`.

    Returns:
      Its name, which is one word or two, and the words after it; None where there is none.
    """
    for count in (2, 1):
        name = " ".join(words[:count])
        if len(words) >= count and name in SUBCOMMANDS:
            return name, words[count:]
    return None
