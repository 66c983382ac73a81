"""Command: counts wrong verdicts of gates on speed, beside a process that takes a processor."""

import argparse
import json
import multiprocessing
import os
from pathlib import Path

from tools.command_line import new_parser, run, user_path, whole_file

_EXAMPLES = """\
  bazel run //benchmarks:gate_verdicts -- --float_model=face.tflite \\
      --quantized_model=face_int8.tflite
  bazel run //benchmarks:gate_verdicts -- --float_model=face.tflite \\
      --quantized_model=face_int8.tflite --hogs=0

The true value is the median over rounds of a first, longer measurement without the hogs.
Each repetition then measures anew, and judges gates 10% below and 10% above it.
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "gate_verdicts",
        "Counts wrong verdicts of gates set 10% below and above the true value.",
        _EXAMPLES,
    )
    result.add_argument("--float_model", type=user_path, required=True, help="a float .tflite")
    result.add_argument("--quantized_model", type=user_path, required=True, help="the artifact")
    result.add_argument("--repetitions", type=int, default=30, help="default: %(default)s")
    result.add_argument("--hogs", type=int, default=1, help="processes beside it, pinned with it")
    result.add_argument("--reference_rounds", type=int, default=40, help="for the true value")
    result.add_argument("--output", type=user_path, help="JSON file for the rates")
    return result


def _hog(cpus: set[int]) -> None:
    os.sched_setaffinity(0, cpus)
    while True:
        pass


def _column(rounds):
    import numpy as np

    fps = np.array([1000 / one.runs[1].p50_ms for one in rounds])
    ratio = np.array([one.runs[0].p50_ms / one.runs[1].p50_ms for one in rounds])
    return {"fps": fps, "speedup": ratio}


def _measured(float_model: Path, artifact: Path, rounds: list):
    from tools.latency.backend import Options
    from tools.latency.devices import open_backend

    with open_backend("host", [float_model, artifact], Options()) as backend:
        while True:
            count = yield
            while len(rounds) < count:
                rounds.append(backend.measure_round(len(rounds)))


def main(arguments: argparse.Namespace) -> int:
    import numpy as np

    from tools.latency.decision import Gate, Verdict, decide
    from tools.latency.device import pin_to_cpus

    # The hogs are in its way there.
    cpus = set(pin_to_cpus(1))
    models = arguments.float_model, arguments.quantized_model
    rounds = []
    source = _measured(*models, rounds)
    next(source)
    source.send(arguments.reference_rounds)
    source.close()
    true = {name: float(np.median(values)) for name, values in _column(rounds).items()}
    print("true: " + ", ".join(f"{name} {value:.4g}" for name, value in true.items()))
    hogs = [
        multiprocessing.Process(target=_hog, args=(cpus,), daemon=True)
        for _ in range(arguments.hogs)
    ]
    for hog in hogs:
        hog.start()
    gates = [
        Gate(f"{name}{side:+d}%", value * (1 + side / 100))
        for name, value in true.items()
        for side in (-10, 10)
    ]
    found = {gate.name: {str(verdict): 0 for verdict in Verdict} for gate in gates}
    disturbed = total = 0
    try:
        for number in range(arguments.repetitions):
            rounds = []
            source = _measured(*models, rounds)
            next(source)

            def measure(count, rounds=rounds, source=source):
                source.send(count)
                values = _column(rounds)
                return {gate.name: values[gate.name[:-4]] for gate in gates}

            for one in decide(gates, measure, 11):
                found[one.gate.name][str(one.verdict)] += 1
            source.close()
            total += len(rounds)
            disturbed += sum(bool(one.note) for one in rounds)
            print(f"{number + 1}: {len(rounds)} rounds", flush=True)
    finally:
        for hog in hogs:
            hog.kill()
    result = {
        "disturbed_rounds": disturbed,
        "hogs": arguments.hogs,
        "repetitions": arguments.repetitions,
        "rounds": total,
        "true": true,
        "verdicts": found,
    }
    print(f"{'gate':14}{'PASS':>6}{'FAIL':>6}{'INCONCLUSIVE':>14}")
    for name, counts in found.items():
        print(f"{name:14}{counts['PASS']:>6}{counts['FAIL']:>6}{counts['INCONCLUSIVE']:>14}")
    print(f"{disturbed} of {total} rounds stayed disturbed")
    if arguments.output:
        with whole_file(arguments.output, "w") as file:
            file.write(json.dumps(result, indent=2, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    run(parser(), main)
