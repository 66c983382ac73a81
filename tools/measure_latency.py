"""Command: measures a quantized model against its float master, on this host or a device."""

import argparse
import dataclasses
import hashlib
import math
import os
from pathlib import Path
from typing import cast

from tools.command_line import (
    EXIT_GATE_FAILED,
    EXIT_INCONCLUSIVE,
    new_parser,
    output_path,
    run,
    user_path,
)
from tools.documents.document import from_json, to_json, write_document
from tools.documents.latency import (
    DelegateUse,
    DelegateUses,
    Device,
    Latency,
    LatencyGate,
    Speed,
    VerdictWord,
)
from tools.errors import InputError
from tools.latency.backend import Round
from tools.latency.device_flags import add_device_flags, device_options
from tools.latency.gate_flags import add_speed_gate_flags
from tools.latency.measurement import (
    ARTIFACT,
    FLOAT_MASTER,
    gates_of,
    measure_and_decide,
    values_of,
)

_EXAMPLES = """\
  measure_latency --float_model=face.tflite --quantized_model=face_int8.tflite
  measure_latency --float_model=face.tflite --quantized_model=face_int8.tflite \\
      --min_speedup=1.2 --min_fps=200 --threads=1 --output=latency.json

What the delegate takes and the arena are judged first; where they miss, nothing is measured.
Then both models run in turns. A gate passes when the whole interval of the rounds' median is
on its right side and fails when the whole of it is on the wrong one; until then more
rounds are measured, up to --most_rounds. Exit status: 0 passed, 1 failed, 2 bad input,
3 inconclusive, 4 no device, 5 the device failed.
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "measure_latency",
        "Measures a quantized model against its float master, and holds it to its targets.",
        _EXAMPLES,
    )
    result.add_argument("--float_model", required=True, type=user_path, help="a float .tflite")
    result.add_argument("--quantized_model", required=True, type=user_path, help="the artifact")
    add_device_flags(result)
    result.add_argument("--device_name", help="how reports name it (default: by itself)")
    result.add_argument("--rounds", type=int, default=11, help="at least 9 (default: %(default)s)")
    result.add_argument(
        "--most_rounds", type=int, default=60, help="while undecided (default: %(default)s)"
    )
    add_speed_gate_flags(result)
    result.add_argument(
        "--allow_inconclusive",
        action="store_true",
        help="let a gate that stays undecided pass with a warning",
    )
    result.add_argument("--output", type=output_path, help="JSON file for the measurement")
    return result


def _arena_mb(path: Path) -> float:
    from tools.graph.flatbuffer import read_model
    from tools.latency.arena import arena_bytes

    return round(arena_bytes(read_model(path)) / 2**20, 4)


def _speed(rounds, path: Path) -> Speed:
    import numpy as np

    from tools.graph.flatbuffer import read_bytes

    def over_rounds(name: str, digits: int):
        values = np.array([getattr(one, name) for one in rounds])
        values = values[np.isfinite(values)]
        return round(float(np.median(values)), digits) if values.size else None

    p50 = over_rounds("p50_ms", 5)
    return Speed(
        arena_mb=_arena_mb(path),
        first_inference_ms=over_rounds("first_inference_ms", 3),
        fps=round(1000 / p50, 2) if p50 else None,
        load_ms=over_rounds("load_ms", 3),
        memory_mb=over_rounds("memory_mb", 2),
        p50_ms=p50,
        p90_ms=over_rounds("p90_ms", 5),
        p95_ms=over_rounds("p95_ms", 5),
        sha256=hashlib.sha256(read_bytes(path)).hexdigest(),
    )


def _output(arguments: argparse.Namespace) -> Path | None:
    folder = os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR")
    if arguments.output or not folder:
        return arguments.output
    return Path(folder, "latency.json")


def main(arguments: argparse.Namespace) -> int:
    from tools.latency.decision import LEAST_ROUNDS, Verdict, judge
    from tools.latency.devices import open_backend

    if arguments.rounds < LEAST_ROUNDS:
        raise InputError("flag.value", f"--rounds={arguments.rounds}: give at least {LEAST_ROUNDS}")
    gates = gates_of(vars(arguments))
    rounds: list[Round] = []
    models = arguments.float_model, arguments.quantized_model
    with open_backend(arguments.device, models, device_options(arguments)) as backend:
        uses = [
            from_json(DelegateUse, use, "device") if use else None for use in backend.delegate_use()
        ]
        counted = _counted_gates(arguments, uses[ARTIFACT])
        if any(gate.verdict == Verdict.FAIL for gate in counted):
            judged = [judge(gate, [], 1) for gate in gates]
        else:
            looks = arguments.rounds, arguments.most_rounds
            judged, rounds = measure_and_decide(backend, gates, *looks)
        device = from_json(Device, backend.describe(), "device")
    if arguments.device_name:
        device = dataclasses.replace(device, name=arguments.device_name)
    held = counted + [_gate(one, arguments.allow_inconclusive) for one in judged]
    report = _report((arguments.float_model, arguments.quantized_model), rounds, held, device, uses)
    output = _output(arguments)
    if output:
        write_document(output, report)
    _print(report)
    if report.passed:
        return 0
    return EXIT_GATE_FAILED if report.verdict == Verdict.FAIL else EXIT_INCONCLUSIVE


def _counted_gates(arguments: argparse.Namespace, use: DelegateUse | None) -> list[LatencyGate]:
    """Judges what is known of the artifact before it is measured."""
    fallback = use.fallback if use else None
    values = {
        "max_partitions": use.partitions if use else None,
        "max_fallback": None if fallback is None else sum(fallback.values()),
        "max_arena_mb": _arena_mb(arguments.quantized_model),
    }
    found = []
    for name, value in values.items():
        threshold = getattr(arguments, name)
        if threshold is None:
            continue
        verdict: VerdictWord = (
            "INCONCLUSIVE" if value is None else "PASS" if value <= threshold else "FAIL"
        )
        undecided = verdict == "INCONCLUSIVE" and arguments.allow_inconclusive
        passed = verdict == "PASS" or undecided
        found.append(LatencyGate(value, value, name, passed, threshold, value, verdict))
    return found


def _gate(judged, allow_inconclusive: bool) -> LatencyGate:
    """Gives what a judgement found."""
    from tools.latency.decision import Verdict

    def number(value: float) -> float | None:
        return round(value, 4) if math.isfinite(value) else None

    undecided = judged.verdict is Verdict.INCONCLUSIVE
    return LatencyGate(
        high=number(judged.high),
        low=number(judged.low),
        name=judged.gate.name,
        passed=judged.verdict is Verdict.PASS or (undecided and allow_inconclusive),
        threshold=judged.gate.threshold,
        value=number(judged.value),
        verdict=cast(VerdictWord, str(judged.verdict)),
    )


def _report(
    models: tuple[Path, Path],
    rounds,
    gates: list[LatencyGate],
    device: Device,
    uses: list[DelegateUse | None],
) -> Latency:
    """Puts the measurement together; `models` and `uses` are in the order of the backend."""
    import numpy as np

    from tools.latency.decision import WRONG_VERDICTS, Verdict, median_bounds, overall

    # As the gate was judged; without a gate on it, at the usual 95%.
    speedups = values_of(rounds)["min_speedup"]
    speedups = speedups[np.isfinite(speedups)]
    speedup = low = high = None
    if speedups.size:
        speedup = round(float(np.median(speedups)), 4)
        low, high = (round(bound, 4) for bound in median_bounds(speedups, 0.025))
    return Latency(
        artifact=_speed([one.runs[ARTIFACT] for one in rounds], models[ARTIFACT]),
        delegate_use=DelegateUses(uses[ARTIFACT], uses[FLOAT_MASTER]),
        device=device,
        disturbed_rounds=sum(bool(one.note) for one in rounds),
        float_master=_speed([one.runs[FLOAT_MASTER] for one in rounds], models[FLOAT_MASTER]),
        gates=tuple(gates),
        invokes_per_round=int(np.median([one.runs[ARTIFACT].runs for one in rounds] or [0])),
        passed=all(gate.passed for gate in gates),
        rounds=len(rounds),
        speedup=speedup,
        speedup_high=high,
        speedup_low=low,
        verdict=cast(VerdictWord, str(overall([Verdict(gate.verdict) for gate in gates]))),
        wrong_verdicts_at_most=WRONG_VERDICTS,
    )


def _number(value, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _print(report: Latency) -> None:
    from tools.latency.delegate_use import advice

    print(f"{report.device.cpu}, {report.device.threads} thread(s)", end=", ")
    if report.rounds:
        print(f"{report.rounds} rounds of {report.invokes_per_round} runs each")
        _print_table(report)
    else:
        print("nothing measured")
    for name, use in (
        ("artifact", report.delegate_use.artifact),
        ("float master", report.delegate_use.float_master),
    ):
        if use and advice(to_json(use)):
            print(f"{name}: {advice(to_json(use))}")
    for gate in report.gates:
        _print_gate(gate, bool(report.rounds))


def _print_table(report: Latency) -> None:
    columns = (
        ("p50 ms", "p50_ms", 3),
        ("p90 ms", "p90_ms", 3),
        ("p95 ms", "p95_ms", 3),
        ("FPS", "fps", 1),
        ("load ms", "load_ms", 1),
        ("first ms", "first_inference_ms", 2),
        ("MB", "memory_mb", 1),
        ("arena MB", "arena_mb", 2),
    )
    print(f"{'':14}" + "".join(f"{title:>10}" for title, _, _ in columns))
    for title, speed in (("float master", report.float_master), ("artifact", report.artifact)):
        numbers = (_number(getattr(speed, name), digits) for _, name, digits in columns)
        print(f"{title:14}" + "".join(f"{number:>10}" for number in numbers))
    print(
        f"speedup {_number(report.speedup, 3)} (95% interval "
        f"{_number(report.speedup_low, 3)} to {_number(report.speedup_high, 3)})"
    )
    if report.disturbed_rounds:
        print(
            f"in {report.disturbed_rounds} of {report.rounds} rounds the device was "
            "disturbed, and measuring again did not help"
        )


def _print_gate(gate: LatencyGate, measured: bool) -> None:
    word = {"PASS": "passed", "FAIL": "FAILED"}.get(gate.verdict, "INCONCLUSIVE")
    value, low, high = gate.value, gate.low, gate.high
    if low is None:
        where = "the device does not tell it" if measured else "not measured, as another gate fails"
    elif value is None:
        where = f"between {low:g} and {high:g}; the device tells no more of it"
    elif low == high:
        where = f"it is {value:g}"
    else:
        where = f"measured {value:g} ({low:g} to {high:g})"
    print(f"{word}: {gate.name} {gate.threshold:g}, {where}")
    if word == "INCONCLUSIVE" and value is not None:
        print(
            "  the interval holds the threshold: measure on a quieter device, with more "
            "--most_rounds, or set a threshold further from what the model does"
        )


if __name__ == "__main__":
    run(parser(), main)
