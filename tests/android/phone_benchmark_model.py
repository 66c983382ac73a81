"""Stands for benchmark_model on a device that is no Android: it takes its flags, runs the
model with ai-edge-litert, prints its lines and writes its BenchmarkResult.

What it does beyond that is in /phone/mode: "hang", "old" (knows no --result_file_path), or
nothing.
"""

import struct
import sys
import time
from pathlib import Path

_KNOWN = {
    "graph", "num_threads", "num_runs", "min_secs", "max_secs", "warmup_runs",
    "warmup_min_secs", "use_xnnpack", "report_peak_memory_footprint", "result_file_path",
}  # fmt: skip


def timed(invoke, least: int, seconds: float) -> list[float]:
    """Microseconds of each inference."""
    found, start = [], time.perf_counter()
    while len(found) < least or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        invoke()
        found.append((time.perf_counter() - before) * 1e6)
    return found


def line(times: list[float]) -> str:
    ordered = sorted(times)

    def at(share: float) -> float:
        return ordered[int(share * (len(ordered) - 1))]

    mean = sum(times) / len(times)
    return (
        f"count={len(times)} first={times[0]:.0f} curr={times[-1]:.0f} min={ordered[0]:.0f} "
        f"max={ordered[-1]:.0f} avg={mean:.6g} std=1 p5={at(0.05):.0f} "
        f"median={at(0.5):.0f} p95={at(0.95):.0f}"
    )


def result(numbers: dict[int, float], runs: int) -> bytes:
    """A BenchmarkResult, written field by field."""
    latency = b"".join(
        bytes([number << 3 | 5]) + struct.pack("<f", value) for number, value in numbers.items()
    )
    count = bytes([2 << 3])
    while runs > 127:
        count, runs = count + bytes([runs & 127 | 128]), runs >> 7
    count += bytes([runs])
    return bytes([2 << 3 | 2, len(latency)]) + latency + bytes([4 << 3 | 2, len(count)]) + count


def main(words: list[str]) -> int:
    mode = Path("/phone/mode").read_text().strip() if Path("/phone/mode").exists() else ""
    known = _KNOWN - {"result_file_path"} if mode == "old" else _KNOWN
    flags = dict(word.lstrip("-").split("=", 1) for word in words)
    unknown = [f"--{name}={value}" for name, value in flags.items() if name not in known]
    if unknown:
        print("WARN: Unconsumed cmdline flags:", *unknown)
    if mode == "hang":
        time.sleep(600)
    from ai_edge_litert.interpreter import Interpreter

    start = time.perf_counter()
    interpreter = Interpreter(model_path=flags["graph"], num_threads=int(flags["num_threads"]))
    interpreter.allocate_tensors()
    load = (time.perf_counter() - start) * 1e6
    print(f"INFO: Initialized session in {load / 1e3}ms.")
    nodes = len(interpreter._get_ops_details()) - 1
    print(
        f"VERBOSE: Replacing {nodes} out of {nodes} node(s) with delegate "
        "(TfLiteXNNPackDelegate) node, yielding 1 partitions for subgraph 0."
    )
    warm = timed(interpreter.invoke, 1, float(flags["warmup_min_secs"]))
    print("INFO:", line(warm))
    times = timed(interpreter.invoke, int(flags["num_runs"]), float(flags["min_secs"]))
    print("INFO:", line(times))
    mean = sum(times) / len(times)
    print(
        f"INFO: Inference timings in us: Init: {load:.0f}, First inference: {warm[0]:.0f}, "
        f"Warmup (avg): {sum(warm) / len(warm):.6g}, Inference (avg): {mean:.6g}"
    )
    print("INFO: Memory footprint delta from the start of the tool (MB): init=7.1 overall=9.4")
    if "result_file_path" in known and flags.get("result_file_path"):
        median = sorted(times)[len(times) // 2]
        numbers = {1: mean / 1e3, 5: median / 1e3, 8: load / 1e3, 9: warm[0] / 1e3}
        Path(flags["result_file_path"]).write_bytes(result(numbers, len(times)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
