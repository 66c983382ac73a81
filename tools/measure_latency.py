"""Command: measures a quantized model against its float master on this host."""

import argparse
import hashlib
import json
import os
from pathlib import Path

from tools.command_line import EXIT_GATE_FAILED, new_parser, run, user_path, whole_file
from tools.errors import InputError

_EXAMPLES = """\
  measure_latency --float_model=face.tflite --quantized_model=face_int8.tflite
  measure_latency --float_model=face.tflite --quantized_model=face_int8.tflite \\
      --min_speedup=1.2 --min_fps=200 --threads=1 --output=latency.json

Both models run in turns in one process. A gate fails when even the favourable end of the
95% interval of the rounds' median is beyond it; a value that the noise of this machine
leaves undecided passes, and is shown with its interval.
"""

LATENCY_SCHEMA_VERSION = 1


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "measure_latency",
        "Measures a quantized model against its float master, and holds it to its targets.",
        _EXAMPLES,
    )
    result.add_argument("--float_model", required=True, type=user_path, help="a float .tflite")
    result.add_argument("--quantized_model", required=True, type=user_path, help="the artifact")
    result.add_argument("--device", default="host", help="where to measure (default: %(default)s)")
    result.add_argument("--threads", type=int, default=1, help="of the interpreter")
    result.add_argument("--rounds", type=int, default=11, help="at least 9 (default: %(default)s)")
    result.add_argument("--min_fps", type=float, help="inferences a second to reach")
    result.add_argument("--min_speedup", type=float, help="times as fast as the float model")
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


def _open(path: Path, threads: int):
    from tools.graph.flatbuffer import read_bytes

    return invoker(read_bytes(path), str(path), threads)


def _speed(times, sha256: str) -> dict:
    import numpy as np

    p50, p90 = np.percentile(times, [50, 90])
    return {
        "fps": round(1000 / p50, 2),
        "p50_ms": round(float(p50), 5),
        "p90_ms": round(float(p90), 5),
        "sha256": sha256,
    }


def _output(arguments: argparse.Namespace) -> Path | None:
    folder = os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR")
    if arguments.output or not folder:
        return arguments.output
    return Path(folder, "latency.json")


def main(arguments: argparse.Namespace) -> int:
    from tools.latency.device import describe_host, pin_to_cpus, usable_cpus
    from tools.latency.interleaved import LEAST_ROUNDS, compare, median_interval

    if arguments.device != "host":
        raise InputError(f"no device {arguments.device}; host is the only one known")
    if arguments.rounds < LEAST_ROUNDS:
        raise InputError(f"--rounds={arguments.rounds}: give at least {LEAST_ROUNDS}")
    if not 1 <= arguments.threads <= len(usable_cpus()):
        raise InputError(
            f"--threads={arguments.threads}: this process may use {len(usable_cpus())} processors"
        )
    pinned = pin_to_cpus(arguments.threads)
    invoke_float, float_sha256 = _open(arguments.float_model, arguments.threads)
    invoke_artifact, artifact_sha256 = _open(arguments.quantized_model, arguments.threads)
    measured = compare(invoke_float, invoke_artifact, arguments.rounds)

    import numpy as np

    gates = []
    for name, rounds, threshold in (
        ("min_fps", measured.round_fps, arguments.min_fps),
        ("min_speedup", measured.round_speedups, arguments.min_speedup),
    ):
        if threshold is not None:
            low, high = median_interval(rounds)
            gates.append(
                {
                    "high": round(high, 4),
                    "low": round(low, 4),
                    "name": name,
                    "passed": bool(high >= threshold),
                    "threshold": threshold,
                    "value": round(float(np.median(rounds)), 4),
                }
            )
    low, high = median_interval(measured.round_speedups)
    report = {
        "artifact": _speed(measured.artifact_ms, artifact_sha256),
        "device": describe_host(arguments.threads, pinned),
        "float_master": _speed(measured.float_ms, float_sha256),
        "gates": gates,
        "invokes_per_round": measured.float_ms.shape[1],
        "kind": "rules_quantize.latency",
        "passed": all(gate["passed"] for gate in gates),
        "rounds": arguments.rounds,
        "schema_version": LATENCY_SCHEMA_VERSION,
        "speedup": round(float(np.median(measured.round_speedups)), 4),
        "speedup_high": round(high, 4),
        "speedup_low": round(low, 4),
    }
    output = _output(arguments)
    if output:
        with whole_file(output, "w") as file:
            file.write(json.dumps(report, indent=2, sort_keys=True) + "\n")
    _print(report)
    return 0 if report["passed"] else EXIT_GATE_FAILED


def _print(report: dict) -> None:
    device = report["device"]
    print(
        f"{device['cpu']}, {device['threads']} thread(s), {report['rounds']} rounds of "
        f"{report['invokes_per_round']} runs each"
    )
    print(f"{'':14}{'p50 ms':>10}{'p90 ms':>10}{'FPS':>10}")
    for title, key in (("float master", "float_master"), ("artifact", "artifact")):
        speed = report[key]
        print(f"{title:14}{speed['p50_ms']:>10.3f}{speed['p90_ms']:>10.3f}{speed['fps']:>10.1f}")
    print(
        f"speedup {report['speedup']:.3f} (95% interval {report['speedup_low']:.3f} to "
        f"{report['speedup_high']:.3f})"
    )
    for gate in report["gates"]:
        word = "passed" if gate["passed"] else "FAILED"
        print(
            f"{word}: {gate['name']} {gate['threshold']:g}, measured {gate['value']:g} "
            f"({gate['low']:g} to {gate['high']:g})"
        )


if __name__ == "__main__":
    run(parser(), main)
