"""Command: measures a quantized model against its float master on this host."""

import argparse
import hashlib
import json
import math
import os
from pathlib import Path

from tools.command_line import (
    EXIT_GATE_FAILED,
    EXIT_INCONCLUSIVE,
    new_parser,
    run,
    user_path,
    whole_file,
)
from tools.errors import InputError

_EXAMPLES = """\
  measure_latency --float_model=face.tflite --quantized_model=face_int8.tflite
  measure_latency --float_model=face.tflite --quantized_model=face_int8.tflite \\
      --min_speedup=1.2 --min_fps=200 --threads=1 --output=latency.json

Both models run in turns. A gate passes when the whole interval of the rounds' median is
on its right side and fails when the whole of it is on the wrong one; until then more
rounds are measured, up to --most_rounds. Exit status: 0 passed, 1 failed, 2 bad input,
3 inconclusive, 4 no device, 5 the device failed.
"""

LATENCY_SCHEMA_VERSION = 1

# Whether a smaller value is better, and what it is.
GATES = {
    "min_fps": (False, "inferences a second to reach"),
    "min_speedup": (False, "times as fast as the float model"),
    "max_p90_ms": (True, "milliseconds that nine in ten inferences stay under"),
    "max_load_ms": (True, "milliseconds to load the model"),
    "max_first_inference_ms": (True, "milliseconds of the first inference"),
    "max_memory_mb": (True, "resident memory that loading and running adds, in 2**20 bytes"),
}


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "measure_latency",
        "Measures a quantized model against its float master, and holds it to its targets.",
        _EXAMPLES,
    )
    result.add_argument("--float_model", required=True, type=user_path, help="a float .tflite")
    result.add_argument("--quantized_model", required=True, type=user_path, help="the artifact")
    result.add_argument(
        "--device", default="host", help="host, adb, adb:SERIAL or command:TEMPLATE"
    )
    result.add_argument("--device_name", help="how reports name it (default: by itself)")
    result.add_argument(
        "--benchmark_binary", type=user_path, help="TFLite's benchmark_model for the device"
    )
    result.add_argument(
        "--delegate",
        choices=("xnnpack", "gpu", "nnapi", "none"),
        default="xnnpack",
        help="what computes (default: %(default)s)",
    )
    result.add_argument("--threads", type=int, default=1, help="of the interpreter")
    result.add_argument("--rounds", type=int, default=11, help="at least 9 (default: %(default)s)")
    result.add_argument(
        "--most_rounds", type=int, default=60, help="while undecided (default: %(default)s)"
    )
    for name, (_, what) in GATES.items():
        result.add_argument(f"--{name}", type=float, help=what)
    result.add_argument(
        "--max_partitions", type=int, help="pieces that the delegate may cut the artifact into"
    )
    result.add_argument(
        "--max_fallback", type=int, help="operators of the artifact that it may leave"
    )
    result.add_argument(
        "--allow_inconclusive",
        action="store_true",
        help="let a gate that stays undecided pass with a warning",
    )
    result.add_argument("--output", type=user_path, help="JSON file for the measurement")
    return result


def invoker(content: bytes, where: str, threads: int):
    """Opens a model on inputs between zero and one.

    Args:
      content: a whole .tflite file.
      where: how messages name it.
      threads: of the interpreter.

    Returns:
      What runs it once, and the content's SHA-256 in hexadecimal.

    Raises:
      InputError: when it cannot be read or run.
    """
    import numpy as np

    from tools.graph.flatbuffer import parse_model
    from tools.quantization.calibration import open_interpreter

    parse_model(content, where)
    interpreter = open_interpreter(content, where, threads=threads)
    random = np.random.default_rng(0)
    for details in interpreter.get_input_details():
        values = random.random(details["shape"])
        if not np.issubdtype(details["dtype"], np.floating):
            values = values * np.iinfo(details["dtype"]).max
        interpreter.set_tensor(details["index"], values.astype(details["dtype"]))
    return interpreter.invoke, hashlib.sha256(content).hexdigest()


def _speed(rounds, path: Path) -> dict:
    import numpy as np

    from tools.graph.flatbuffer import read_bytes

    def over_rounds(name: str, digits: int):
        values = np.array([getattr(one, name) for one in rounds])
        values = values[np.isfinite(values)]
        return round(float(np.median(values)), digits) if values.size else None

    p50 = over_rounds("p50_ms", 5)
    return {
        "first_inference_ms": over_rounds("first_inference_ms", 3),
        "fps": round(1000 / p50, 2) if p50 else None,
        "load_ms": over_rounds("load_ms", 3),
        "memory_mb": over_rounds("memory_mb", 2),
        "p50_ms": p50,
        "p90_ms": over_rounds("p90_ms", 5),
        "sha256": hashlib.sha256(read_bytes(path)).hexdigest(),
    }


def _values(rounds) -> dict:
    """One number a round for every gate, and the speedup."""
    import numpy as np

    def column(model: str, name: str):
        return np.array([getattr(getattr(one, model), name) for one in rounds])

    return {
        "min_fps": 1000 / column("artifact", "p50_ms"),
        "min_speedup": column("float_master", "p50_ms") / column("artifact", "p50_ms"),
        "max_p90_ms": column("artifact", "p90_ms"),
        "max_load_ms": column("artifact", "load_ms"),
        "max_first_inference_ms": column("artifact", "first_inference_ms"),
        "max_memory_mb": column("artifact", "memory_mb"),
    }


def _output(arguments: argparse.Namespace) -> Path | None:
    folder = os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR")
    if arguments.output or not folder:
        return arguments.output
    return Path(folder, "latency.json")


def main(arguments: argparse.Namespace) -> int:
    from tools.latency.backend import Options, open_backend
    from tools.latency.decision import LEAST_ROUNDS, Gate, Verdict, decide, overall

    if arguments.rounds < LEAST_ROUNDS:
        raise InputError(f"--rounds={arguments.rounds}: give at least {LEAST_ROUNDS}")
    gates = [
        Gate(name, getattr(arguments, name), smaller)
        for name, (smaller, _) in GATES.items()
        if getattr(arguments, name) is not None
    ]
    options = Options(arguments.threads, arguments.delegate, arguments.benchmark_binary)
    models = arguments.float_model, arguments.quantized_model
    rounds = []

    def measure(count: int) -> dict:
        while len(rounds) < count:
            rounds.append(backend.measure_round(len(rounds)))
        return _values(rounds)

    with open_backend(arguments.device, *models, options) as backend:
        judged = decide(gates, measure, arguments.rounds, arguments.most_rounds)
        device, delegate_use = backend.describe(), backend.delegate_use()
    if arguments.device_name:
        device["name"] = arguments.device_name
    report = _report(arguments, rounds, judged, device)
    report["delegate_use"] = delegate_use
    report["gates"] += _delegate_gates(arguments, delegate_use["artifact"])
    verdict = overall([Verdict(gate["verdict"]) for gate in report["gates"]])
    report["verdict"] = str(verdict)
    report["passed"] = all(gate["passed"] for gate in report["gates"])
    output = _output(arguments)
    if output:
        with whole_file(output, "w") as file:
            file.write(json.dumps(report, indent=2, sort_keys=True) + "\n")
    _print(report)
    if report["passed"]:
        return 0
    return EXIT_GATE_FAILED if verdict is Verdict.FAIL else EXIT_INCONCLUSIVE


def _delegate_gates(arguments: argparse.Namespace, use: dict | None) -> list[dict]:
    """What is counted, and has no interval."""
    found = []
    fallback = (use or {}).get("fallback")
    for name, threshold, value in (
        ("max_partitions", arguments.max_partitions, (use or {}).get("partitions")),
        ("max_fallback", arguments.max_fallback, fallback and sum(fallback.values())),
    ):
        if threshold is None:
            continue
        if name == "max_fallback" and fallback == {}:
            value = 0
        verdict = "INCONCLUSIVE" if value is None else "PASS" if value <= threshold else "FAIL"
        found.append(
            {
                "high": value,
                "low": value,
                "name": name,
                "passed": verdict == "PASS"
                or (verdict == "INCONCLUSIVE" and arguments.allow_inconclusive),
                "threshold": threshold,
                "value": value,
                "verdict": verdict,
            }
        )
    return found


def _report(arguments: argparse.Namespace, rounds, judged, device: dict) -> dict:
    import numpy as np

    from tools.latency.decision import WRONG_VERDICTS, Verdict, median_bounds
    from tools.latency.interleaved import median_interval

    # As the gate was judged; without a gate on it, at the usual 95%.
    speedups = _values(rounds)["min_speedup"]
    speedups = speedups[np.isfinite(speedups)]
    speedup = low = high = None
    if speedups.size:
        speedup = round(float(np.median(speedups)), 4)
        by_order, by_blocks = median_interval(speedups), median_bounds(speedups, 0.025)
        low = round(min(by_order[0], by_blocks[0]), 4)
        high = round(max(by_order[1], by_blocks[1]), 4)
    gates = []
    for one in judged:
        undecided = one.verdict is Verdict.INCONCLUSIVE
        numbers = {"high": one.high, "low": one.low, "value": one.value}
        gates.append(
            {
                "name": one.gate.name,
                "passed": one.verdict is Verdict.PASS
                or (undecided and arguments.allow_inconclusive),
                "threshold": one.gate.threshold,
                "verdict": str(one.verdict),
            }
            | {k: round(v, 4) if math.isfinite(v) else None for k, v in numbers.items()}
        )
    return {
        "artifact": _speed([one.artifact for one in rounds], arguments.quantized_model),
        "device": device,
        "disturbed_rounds": sum(bool(one.note) for one in rounds),
        "float_master": _speed([one.float_master for one in rounds], arguments.float_model),
        "gates": gates,
        "invokes_per_round": int(np.median([one.artifact.runs for one in rounds])),
        "kind": "rules_quantize.latency",
        "rounds": len(rounds),
        "schema_version": LATENCY_SCHEMA_VERSION,
        "speedup": speedup,
        "speedup_high": high,
        "speedup_low": low,
        "wrong_verdicts_at_most": WRONG_VERDICTS,
    }


def _number(value, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _print(report: dict) -> None:
    from tools.latency.delegate_use import advice

    device = report["device"]
    print(
        f"{device['cpu']}, {device['threads']} thread(s), {report['rounds']} rounds of "
        f"{report['invokes_per_round']} runs each"
    )
    columns = (
        ("p50 ms", "p50_ms", 3),
        ("p90 ms", "p90_ms", 3),
        ("FPS", "fps", 1),
        ("load ms", "load_ms", 1),
        ("first ms", "first_inference_ms", 2),
        ("MB", "memory_mb", 1),
    )
    print(f"{'':14}" + "".join(f"{title:>10}" for title, _, _ in columns))
    for title, key in (("float master", "float_master"), ("artifact", "artifact")):
        numbers = (_number(report[key][name], digits) for _, name, digits in columns)
        print(f"{title:14}" + "".join(f"{number:>10}" for number in numbers))
    print(
        f"speedup {_number(report['speedup'], 3)} (95% interval "
        f"{_number(report['speedup_low'], 3)} to {_number(report['speedup_high'], 3)})"
    )
    if report["disturbed_rounds"]:
        print(
            f"in {report['disturbed_rounds']} of {report['rounds']} rounds the device was "
            "disturbed, and measuring again did not help"
        )
    for name, use in sorted(report["delegate_use"].items()):
        if use and advice(use):
            print(f"{name.replace('_', ' ')}: {use['partitions']} partitions; {advice(use)}")
    for gate in report["gates"]:
        word = {"PASS": "passed", "FAIL": "FAILED"}.get(gate["verdict"], "INCONCLUSIVE")
        where = "no measurement"
        if gate["value"] is not None:
            where = f"measured {gate['value']:g} ({gate['low']:g} to {gate['high']:g})"
        print(f"{word}: {gate['name']} {gate['threshold']:g}, {where}")
        if word == "INCONCLUSIVE" and gate["value"] is not None:
            print(
                "  the interval holds the threshold: measure on a quieter device, with more "
                "--most_rounds, or set a threshold further from what the model does"
            )


if __name__ == "__main__":
    run(parser(), main)
