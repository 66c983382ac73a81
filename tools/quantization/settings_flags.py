"""Flags that say how to quantize."""

import argparse

from tools.command_line import user_path


def _layer(text: str) -> tuple[str, str]:
    pattern, equals, scheme = text.rpartition("=")
    if not (pattern and equals and scheme):
        raise argparse.ArgumentTypeError(f"{text} is no REGEX=SCHEME")
    return pattern, scheme


def add_settings_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that `settings_of_flags` reads."""
    parser.add_argument(
        "--quantization_type",
        help="INT8 (also FULL_INTEGER), DYNAMIC, FLOAT16, WEIGHT_ONLY_INT8, WEIGHT_ONLY_INT4, "
        "MIXED, INT16X8, INT4, DYNAMIC_INT4, INT2, or BLOCKWISE_INT4_32, _64, _128, _256; may be "
        "left out where a settings file names it",
    )
    files = parser.add_mutually_exclusive_group()
    for flag, what in (
        ("--settings", "file that says how to quantize: settings JSON, layer_params, or a recipe"),
        ("--recipe", "the same; litert-quantizer's recipes are applied as they stand"),
    ):
        files.add_argument(flag, dest="settings", type=user_path, help=what)
    parser.add_argument(
        "--layers",
        action="append",
        type=_layer,
        default=[],
        metavar="REGEX=SCHEME",
        help="scheme of the operators that the pattern matches, such as weight_only_int4 or "
        "float; may be given several times, later ones go over earlier ones",
    )
    parser.add_argument(
        "--keep_float",
        action="append",
        default=[],
        metavar="REGEX",
        help="the same as --layers=REGEX=float, after those",
    )
    add_runs_on_flag(parser)
    for end in ("input", "output"):
        parser.add_argument(
            f"--{end}_type",
            choices=("float32", "int8", "uint8"),
            help=f"of the artifact's {end}s (default: float32)",
        )


def add_runs_on_flag(parser: argparse.ArgumentParser) -> None:
    """Adds --runs_on, a tuple; None where it is not given."""
    parser.add_argument(
        "--runs_on",
        type=lambda text: tuple(text.split(",")),
        metavar="PLACES",
        help="where the artifact runs: cpu, gpu or both, with a comma between; for the GPU it has "
        "only what LiteRT's GPU delegate takes (default: cpu,gpu)",
    )


def settings_of_flags(arguments: argparse.Namespace):
    """Reads the flags of `add_settings_flags`.

    Returns:
      A tools.quantization.settings.QuantizationSettings.

    Raises:
      InputError: when they contradict each other, or a file cannot be used.
    """
    from tools.quantization.settings_file import read_settings

    layers = arguments.layers + [(pattern, "float") for pattern in arguments.keep_float]
    return read_settings(
        arguments.settings,
        arguments.quantization_type,
        tuple(layers),
        arguments.input_type,
        arguments.output_type,
        arguments.runs_on,
    )
