"""The gates as flags of a command: one each, in the terms of a BUILD file."""

import argparse
from typing import Any

from tools.command_line import user_path
from tools.documents.metrics import GATED_METRICS
from tools.errors import InputError
from tools.report import read_json
from tools.similarity.gates import DEFAULTS, GATES, metric_of

# What a BUILD file calls them: an attribute has no unit.
_ATTRIBUTES = {"max_box_error_px": "max_box_error", "min_sqnr_db": "min_sqnr"}
_HELP = {
    "tolerance": "how far an output's mean cosine similarity may fall below 1",
    "worst_tolerance": "the same for the worst sample",
    "p5_tolerance": "the same for the 5th percentile of the samples",
    "max_scale_error": "how much longer or shorter an output may be, 0.1 is by 10%%",
    "max_degradation": "METRIC=NUMBER: how much worse than the float model's own",
    "percent_max_degradation": "METRIC=NUMBER: the same in percent",
    "min_layer_correlation": "smallest correlation of a layer with the float model's, -1 to 1",
    "max_size": "bytes of the artifact",
    "min_size_reduction": "how much smaller than the float master, 0.7 is by 70%%",
    "smaller_than_source": "the artifact must be smaller than --source_model",
    "oldest_runtime": "version of TensorFlow Lite that the artifact must run on, such as 2.7.0",
    "min_positives": "samples in which the float model must see something",
}
_ONE_NUMBER = ("max_size", "min_layer_correlation", "min_positives", "min_size_reduction")


def _number(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() and "." not in text else value


def _threshold(text: str) -> tuple[str, float]:
    """Reads NUMBER, or NAME=NUMBER; "*" is every name."""
    name, _, number = text.rpartition("=")
    try:
        return name or "*", _number(number)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number, nor NAME=NUMBER") from None


def _held(gate: str) -> str:
    """Says what a gate holds, from its metric."""
    metric = GATED_METRICS[metric_of(gate)]
    bound = "at least" if gate.startswith("min_") else "at most"
    tasks = f" ({', '.join(metric.tasks)})" if metric.tasks else ""
    return f"{metric.label}{metric.unit and ',' + metric.unit}, {bound}{tasks}"


def add_gate_flags(parser: argparse.ArgumentParser) -> None:
    """Adds a flag for every gate, and --gates for a file of them."""
    group = parser.add_argument_group("gates", "see docs/gates.md")
    group.add_argument(
        "--gates", type=user_path, help="JSON: thresholds by name; flags go before it"
    )
    for gate in GATES:
        flag = f"--{_ATTRIBUTES.get(gate, gate)}"
        default = f" (default: {DEFAULTS[gate]})" if gate in DEFAULTS else ""
        text = (_HELP.get(gate) or _held(gate)) + default
        if gate == "smaller_than_source":
            group.add_argument(flag, dest=gate, action="store_true", default=None, help=text)
        elif gate == "oldest_runtime":
            group.add_argument(flag, dest=gate, metavar="VERSION", help=text)
        else:
            group.add_argument(
                flag,
                dest=gate,
                action="append",
                type=_threshold,
                metavar="NUMBER" if gate in _ONE_NUMBER else "[NAME=]NUMBER",
                help=text,
            )


def _setting(gate: str, given: list[tuple[str, float]]) -> Any:
    by_name = dict(given)
    if gate in ("max_degradation", "percent_max_degradation"):
        result: dict[str, dict[str, float]] = {}
        for name, number in given:
            metric, _, of = name.partition("=")
            if metric == "*":
                raise InputError(f"--{gate} wants METRIC=NUMBER, or METRIC=NAME=NUMBER")
            result.setdefault(metric, {})[of or "*"] = number
        return result
    if gate in _ONE_NUMBER and set(by_name) != {"*"}:
        raise InputError(f"--{gate} is of the whole model; give a number")
    return by_name["*"] if set(by_name) == {"*"} else by_name


def gates_of_flags(arguments: argparse.Namespace) -> dict[str, Any]:
    """Gives the thresholds that a command line asks for.

    Args:
      arguments: with the flags of `add_gate_flags`.

    Returns:
      Thresholds by the names in `tools.similarity.gates.GATES`: of the flags, else of the
      file, else the defaults.

    Raises:
      InputError: when the file is no object, or a flag means nothing.
    """
    settings: dict[str, Any] = dict(DEFAULTS)
    if arguments.gates:
        document = read_json(arguments.gates)
        if not isinstance(document, dict):
            raise InputError(f"{arguments.gates}: not an object of thresholds by name")
        settings |= document
    for gate in GATES:
        given = getattr(arguments, gate)
        if given is not None:
            settings[gate] = _setting(gate, given) if isinstance(given, list) else given
    return settings
