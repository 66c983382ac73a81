"""Command: measures a model, or two against each other, on this host or a device."""

import argparse
import sys

from tools.command_line import new_parser, output_path, run, user_path
from tools.documents.json_file import write_json
from tools.errors import InputError
from tools.latency.device_flags import add_device_flags, device_options

_EXAMPLES = """\
  benchmark_model --model=face_int8.tflite
  benchmark_model --model=a.tflite --against=b.tflite --threads=2 --output=a_b.json
  benchmark_model --model=a.tflite --against=b.tflite --device=adb \\
      --benchmark_binary=android_aarch64_benchmark_model
  benchmark_model --model=face_int8.tflite --per_op

Each number is the median over rounds, with its 95% interval. With --against the models take
turns, and the ratio says how many times as fast --model is. --per_op shows the operators that
cost most, from a profile beside the rounds.
"""

_ROWS = (
    ("p50 ms", "p50_ms"),
    ("p90 ms", "p90_ms"),
    ("p95 ms", "p95_ms"),
    ("load ms", "load_ms"),
    ("first inference ms", "first_inference_ms"),
    ("memory MB", "memory_mb"),
)

_SHOWN_OPERATORS = 12


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "benchmark_model", "Measures how fast models are, and what memory they take.", _EXAMPLES
    )
    result.add_argument("--model", required=True, type=user_path, help="a .tflite")
    result.add_argument("--against", type=user_path, help="a .tflite to compare it with")
    add_device_flags(result)
    result.add_argument("--rounds", type=int, default=15, help="at least 9 (default: %(default)s)")
    result.add_argument("--per_op", action="store_true", help="show the operators that cost most")
    result.add_argument("--output", type=output_path, help="JSON file for the measurement")
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
    from tools.graph.flatbuffer import read_model
    from tools.latency.arena import arena_bytes
    from tools.latency.decision import LEAST_ROUNDS
    from tools.latency.devices import open_backend
    from tools.latency.slowdown import profiles_of, slowdown_warning

    if arguments.rounds < LEAST_ROUNDS:
        raise InputError("flag.value", f"--rounds={arguments.rounds}: give at least {LEAST_ROUNDS}")
    models = {"model": arguments.model}
    if arguments.against:
        models["against"] = arguments.against
    arenas = [arena_bytes(read_model(path)) for path in models.values()]
    options = device_options(arguments)
    with open_backend(arguments.device, list(models.values()), options) as backend:
        use = backend.delegate_use()
        operators = backend.operator_times() if arguments.per_op else [None] * len(models)
        rounds = [backend.measure_round(number) for number in range(arguments.rounds)]
        device = backend.describe()
        ratios = [one.runs[1].p50_ms / one.runs[0].p50_ms for one in rounds if arguments.against]
        ratio = interval(ratios)
        profiles = None
        if ratio and ratio["high"] < 1:
            profiles = operators if arguments.per_op else profiles_of(backend)
    report = {
        "device": device,
        "disturbed_rounds": sum(bool(one.note) for one in rounds),
        "kind": "rules_quantize.benchmark",
        "ratio": ratio,
        "rounds": len(rounds),
        "schema_version": 1,
    }
    for number, (side, path) in enumerate(models.items()):
        runs = [one.runs[number] for one in rounds]
        report[side] = {
            name: interval([getattr(one, name) for one in runs]) for _, name in _ROWS
        } | {
            "arena_mb": round(arenas[number] / 2**20, 4),
            "delegate_use": use[number],
            "file": path.name,
            "operators": operators[number],
        }
    if arguments.output:
        write_json(arguments.output, report)
    _print(report, list(models))
    if ratio and ratio["high"] < 1:
        slow = slowdown_warning(arguments.model, arguments.against, 1 / ratio["value"], profiles)
        print(slow, file=sys.stderr)
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
    arenas = (f"{report[side]['arena_mb']:.3f}" for side in sides)
    print(f"{'arena MB':20}" + "".join(f"{arena:>32}" for arena in arenas))
    if report["ratio"]:
        print(f"{sides[0]} is {_cell(report['ratio'])} times as fast as {sides[1]}")
    if report["disturbed_rounds"]:
        print(f"{report['disturbed_rounds']} of {report['rounds']} rounds were disturbed")
    for side in sides:
        use = report[side]["delegate_use"]
        if use and advice(use):
            print(f"{report[side]['file']}: {advice(use)}")
    for side in sides:
        if report[side]["operators"]:
            _print_operators(report[side]["file"], report[side]["operators"])


def _print_operators(title: str, operators: list[dict]) -> None:
    whole = sum(one["ms"] for one in operators) or 1
    print(f"{title}: {len(operators)} operators, {whole:.3f} ms; those that cost most:")
    order = sorted(range(len(operators)), key=lambda place: -operators[place]["ms"])
    for place in order[:_SHOWN_OPERATORS]:
        one = operators[place]
        where = one["name"] or ("in the delegate" if one["delegated"] else "")
        print(f"{one['ms']:10.3f} ms{one['ms'] / whole:7.1%}{place:6}  {one['kind']}  {where}")


if __name__ == "__main__":
    run(parser(), main)
