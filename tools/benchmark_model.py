"""Command: measures a model, or two against each other, on this host or a device."""

import argparse
import json

from tools.command_line import new_parser, run, user_path, whole_file
from tools.errors import InputError

_EXAMPLES = """\
  benchmark_model --model=face_int8.tflite
  benchmark_model --model=a.tflite --against=b.tflite --threads=2 --output=a_b.json
  benchmark_model --model=a.tflite --against=b.tflite --device=adb \\
      --benchmark_binary=android_aarch64_benchmark_model

Each number is the median over rounds, with its 95% interval. With --against the models take
turns, and the ratio says how many times as fast --model is.
"""

_ROWS = (
    ("p50 ms", "p50_ms"),
    ("p90 ms", "p90_ms"),
    ("load ms", "load_ms"),
    ("first inference ms", "first_inference_ms"),
    ("memory MB", "memory_mb"),
)


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "benchmark_model", "Measures how fast models are, and what memory they take.", _EXAMPLES
    )
    result.add_argument("--model", required=True, type=user_path, help="a .tflite")
    result.add_argument("--against", type=user_path, help="a .tflite to compare it with")
    result.add_argument(
        "--device", default="host", help="host, adb, adb:SERIAL or command:TEMPLATE"
    )
    result.add_argument("--threads", type=int, default=1, help="of the interpreter")
    result.add_argument("--rounds", type=int, default=15, help="at least 9 (default: %(default)s)")
    result.add_argument(
        "--benchmark_binary", type=user_path, help="TFLite's benchmark_model for the device"
    )
    result.add_argument(
        "--delegate", choices=("xnnpack", "gpu", "nnapi", "none"), default="xnnpack"
    )
    result.add_argument("--output", type=user_path, help="JSON file for the measurement")
    return result


def interval(values) -> dict | None:
    """Median of rounds with its 95% interval.

    Args:
      values: one number a round; those that are not finite are left out.

    Returns:
      {"value", "low", "high"}, or None when fewer than 9 are left.
    """
    import numpy as np

    from tools.latency.decision import LEAST_ROUNDS, median_bounds

    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if values.size < LEAST_ROUNDS:
        return None
    low, high = median_bounds(values, 0.025)
    return {
        "high": round(high, 5),
        "low": round(low, 5),
        "value": round(float(np.median(values)), 5),
    }


def main(arguments: argparse.Namespace) -> int:
    from tools.latency.backend import Options, open_backend
    from tools.latency.decision import LEAST_ROUNDS

    if arguments.rounds < LEAST_ROUNDS:
        raise InputError(f"--rounds={arguments.rounds}: give at least {LEAST_ROUNDS}")
    options = Options(arguments.threads, arguments.delegate, arguments.benchmark_binary)
    other = arguments.against or arguments.model
    with open_backend(arguments.device, other, arguments.model, options) as backend:
        rounds = [backend.measure_round(number) for number in range(arguments.rounds)]
        device, use = backend.describe(), backend.delegate_use()
    sides = [("model", arguments.model, [one.artifact for one in rounds], use["artifact"])]
    if arguments.against:
        against = [one.float_master for one in rounds]
        sides.append(("against", arguments.against, against, use["float_master"]))
    report = {
        "device": device,
        "disturbed_rounds": sum(bool(one.note) for one in rounds),
        "kind": "rules_quantize.benchmark",
        "ratio": None,
        "rounds": len(rounds),
        "schema_version": 1,
    }
    for key, path, runs, taken in sides:
        report[key] = {
            name: interval([getattr(one, name) for one in runs]) for _, name in _ROWS
        } | {"delegate_use": taken, "file": path.name}
    if arguments.against:
        report["ratio"] = interval(
            [one.float_master.p50_ms / one.artifact.p50_ms for one in rounds]
        )
    if arguments.output:
        with whole_file(arguments.output, "w") as file:
            file.write(json.dumps(report, indent=2, sort_keys=True) + "\n")
    _print(report, [key for key, *_ in sides])
    return 0


def _cell(found: dict | None) -> str:
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})" if found else "-"


def _print(report: dict, sides: list[str]) -> None:
    from tools.latency.delegate_use import advice

    device = report["device"]
    print(f"{device['cpu']}, {device['threads']} thread(s), {report['rounds']} rounds")
    print(f"{'':20}" + "".join(f"{report[side]['file']:>32}" for side in sides))
    for title, name in _ROWS:
        print(f"{title:20}" + "".join(f"{_cell(report[side][name]):>32}" for side in sides))
    if report["ratio"]:
        print(f"{sides[0]} is {_cell(report['ratio'])} times as fast as {sides[1]}")
    if report["disturbed_rounds"]:
        print(f"{report['disturbed_rounds']} of {report['rounds']} rounds were disturbed")
    for side in sides:
        use = report[side]["delegate_use"]
        if use and advice(use):
            print(f"{report[side]['file']}: {use['partitions']} partitions; {advice(use)}")


if __name__ == "__main__":
    run(parser(), main)
