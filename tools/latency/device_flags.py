"""The flags that say which device a command measures on, and how."""

import argparse
import math

from tools.command_line import user_path
from tools.latency.backend import Options


def _seconds(text: str) -> float:
    seconds = float(text)
    if not math.isfinite(seconds) or seconds < 0:
        raise argparse.ArgumentTypeError(f"{text}: not a number of seconds")
    return seconds


def add_device_flags(parser: argparse.ArgumentParser) -> None:
    """Adds --device, --benchmark_binary, --delegate, --threads and --patience."""
    parser.add_argument(
        "--device",
        default="host",
        help="host, adb, adb:SERIAL, adb:NAME=VALUE,... (any device with these properties) or "
        "command:TEMPLATE (default: %(default)s)",
    )
    parser.add_argument(
        "--benchmark_binary", type=user_path, help="TFLite's benchmark_model for the device (adb)"
    )
    parser.add_argument(
        "--delegate",
        choices=("xnnpack", "gpu", "nnapi", "none"),
        default="xnnpack",
        help="what computes (default: %(default)s)",
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="of the interpreter (default: %(default)s)"
    )
    parser.add_argument(
        "--patience",
        type=_seconds,
        default=600.0,
        metavar="SECONDS",
        help="to wait for a device that another program holds (adb; default: %(default)g)",
    )


def device_options(arguments: argparse.Namespace) -> Options:
    """Reads those flags."""
    return Options(
        arguments.threads, arguments.delegate, arguments.benchmark_binary, arguments.patience
    )
