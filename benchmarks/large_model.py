"""Time and memory of each stage against a model's size, on generated models.

    large_model.py
    large_model.py --megabytes=10,100 --operators=100,3000 --json=sizes.json

Each row is measured in a process of its own: CPU seconds of a stage, and the largest
resident set over that of the same process before it read the model.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.generated_models import chain
from tools.command_line import new_parser, run, user_path, whole_file

_EXAMPLES = "  large_model --megabytes=10,50,100 --operators=100,1000,3000 --json=sizes.json"
STAGES = ("read", "float_master", "weight_only_int8", "dynamic", "float16", "int8")


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def parser() -> argparse.ArgumentParser:
    result = new_parser("large_model", "Measures the stages on generated models.", _EXAMPLES)
    result.add_argument("--megabytes", type=_numbers, default=[10, 50, 100], help="of weights")
    result.add_argument("--operators", type=_numbers, default=[100, 1000, 3000])
    result.add_argument("--stages", default=",".join(STAGES[:4]), help="of " + ", ".join(STAGES))
    result.add_argument("--json", type=user_path, help="file for the rows")
    # For the processes that this one starts.
    result.add_argument("--stage", help=argparse.SUPPRESS)
    result.add_argument("--input_model", type=Path, help=argparse.SUPPRESS)
    return result


def _resident() -> int:
    """Reads this process's resident set in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


class _Peak:
    """Watches the resident set; the kernel's own peak cannot be set back."""

    def __enter__(self):
        self.before = self.most = _resident()
        self.stop = threading.Event()
        self.watcher = threading.Thread(target=self._watch)
        self.watcher.start()
        return self

    def _watch(self) -> None:
        while not self.stop.wait(0.002):
            self.most = max(self.most, _resident())

    def __exit__(self, *_):
        self.stop.set()
        self.watcher.join()


def measure(path: Path, stage: str) -> dict:
    """Measures one stage in this process.

    Args:
      path: a float model.
      stage: one of STAGES.

    Returns:
      {"seconds": CPU time of the stage, "peak_bytes": the most that reading the file
      and the stage took above what the process took before, "bytes": of the result}.
    """
    import numpy as np

    # Imported beforehand, as far as it is not the model's doing.
    from ai_edge_litert import interpreter  # noqa: F401
    from litert_quantizer import quantizer  # noqa: F401

    from tools.graph.flatbuffer import parse_model, read_bytes
    from tools.graph.float_master import make_float_master
    from tools.graph.runtime import input_specifications
    from tools.quantization.pipeline import quantize
    from tools.quantization.settings import QuantizationSettings

    with _Peak() as peak:
        content = read_bytes(path)
        if stage not in ("read", "float_master"):
            content, _ = make_float_master(content)
        samples = None
        if stage == "int8":
            ((name, shape, _),) = input_specifications(content, "model")
            rng = np.random.default_rng(0)
            samples = [{name: rng.standard_normal(shape, np.float32)} for _ in range(2)]
        start = time.process_time()
        if stage == "read":
            parse_model(content)
            result = content
        elif stage == "float_master":
            result, _ = make_float_master(content)
        else:
            result = quantize(content, QuantizationSettings(stage), samples).model
        seconds = time.process_time() - start
    return {"bytes": len(result), "peak_bytes": peak.most - peak.before, "seconds": seconds}


def main(arguments: argparse.Namespace) -> int:
    if arguments.stage:
        print(json.dumps(measure(arguments.input_model, arguments.stage)))
        return 0
    rows = []
    print(f"{'file MB':>8} {'operators':>9}  {'stage':16} {'CPU s':>8} {'peak / file':>11}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        sizes = [(megabytes, 100) for megabytes in arguments.megabytes]
        sizes += [(0, operators) for operators in arguments.operators]
        for megabytes, operators in sizes:
            # Where operators are counted, weights are small: 32 channels.
            weights = megabytes * 10**6 or operators // 2 * 4096
            path.write_bytes(chain(operators, weights))
            size = path.stat().st_size
            for stage in arguments.stages.split(","):
                done = subprocess.run(
                    [sys.executable, __file__, f"--stage={stage}", f"--input_model={path}"],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                row = {"file_bytes": size, "operators": operators, "stage": stage}
                row |= json.loads(done.stdout)
                rows.append(row)
                ratio = row["peak_bytes"] / size
                print(
                    f"{size / 1e6:8.1f} {operators:9}  {stage:16} {row['seconds']:8.2f} "
                    f"{ratio:11.2f}",
                    flush=True,
                )
    if arguments.json:
        with whole_file(arguments.json, "w") as file:
            file.write(json.dumps(rows, indent=2, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    run(parser(), main)
