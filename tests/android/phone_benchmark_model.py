"""Stands for benchmark_model on a device that is no Android: it takes its flags, runs the
model with ai-edge-litert, prints its lines and writes its BenchmarkResult. Its table of
operators has those of the real graph; their times are equal shares.

What it does beyond that is in /phone/mode: "hang", "old" (knows no --result_file_path and no
--enable_op_profiling), or nothing. Its flags are added to /phone/flags.
"""

import struct
import sys
import time
from pathlib import Path

# That XNNPACK does not take.
_LEFT = {"GATHER", "LOG_SOFTMAX"}
_KNOWN = {
    "graph", "num_threads", "num_runs", "min_secs", "max_secs", "warmup_runs",
    "warmup_min_secs", "use_xnnpack", "report_peak_memory_footprint", "result_file_path",
    "enable_op_profiling", "input_layer", "input_layer_shape", "input_layer_value_range",
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


def print_operators(operators: list[dict], names: dict[int, str], whole_ms: float) -> None:
    """The table of --enable_op_profiling."""
    print("INFO: Operator-wise Profiling Info for Regular Benchmark Runs:")
    print("INFO: ============================== Run Order ==============================")
    columns = ("node type", "first", "avg ms", "%", "cdf%", "mem KB", "times called", "Name")
    print("INFO: " + "\t".join(f"[{column}]" for column in columns))
    each, share = whole_ms / len(operators), 100 / len(operators)
    for place, one in enumerate(operators):
        kind = "TfLiteXNNPackDelegate" if one["op_name"] == "DELEGATE" else one["op_name"]
        outputs = ", ".join(names.get(index, str(index)) for index in one["outputs"])
        row = (kind, f"{each:.3f}", f"{each:.3f}", f"{share:.3f}%", f"{share:.3f}%", "0.000", "1")
        print("INFO: \t " + "\t ".join(row) + f"\t[{outputs}]:{place}")


def give_inputs(interpreter, flags: dict[str, str]) -> None:
    """Draws inputs as benchmark_model does: whole numbers up to 99, or what is asked for."""
    import numpy as np

    ranges = {
        name: (int(low), int(high))
        for name, low, high in (
            one.split(",") for one in flags.get("input_layer_value_range", "").split(":") if one
        )
    }
    inputs = interpreter.get_input_details()
    if ranges and flags["input_layer"].split(",") != [one["name"] for one in inputs]:
        sys.exit("ERROR: input_layer names other inputs")
    random = np.random.default_rng(0)
    for details in inputs:
        low, high = ranges.get(details["name"], (0, 99))
        values = random.integers(low, high, details["shape"], endpoint=True)
        interpreter.set_tensor(details["index"], values.astype(details["dtype"]))


def main(words: list[str]) -> int:
    mode = Path("/phone/mode").read_text().strip() if Path("/phone/mode").exists() else ""
    known = _KNOWN - {"result_file_path", "enable_op_profiling"} if mode == "old" else _KNOWN
    with open("/phone/flags", "a") as log:
        log.write(" ".join(words) + "\n")
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
    give_inputs(interpreter, flags)
    load = (time.perf_counter() - start) * 1e6
    print(f"INFO: Initialized session in {load / 1e3}ms.")
    operators = interpreter._get_ops_details()
    names = {one["index"]: one["name"] for one in interpreter.get_tensor_details()}
    partitions = [one for one in operators if one["op_name"] == "DELEGATE"]
    left = [one for one in operators if one["op_name"] in _LEFT]
    nodes = len(operators) - len(partitions)
    print(
        f"VERBOSE: Replacing {nodes - len(left)} out of {nodes} node(s) with delegate "
        f"(TfLiteXNNPackDelegate) node, yielding {len(partitions)} partitions for subgraph 0."
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
    if "enable_op_profiling" in known and flags.get("enable_op_profiling") == "true":
        print_operators([*partitions, *left], names, mean / 1e3)
    if "result_file_path" in known and flags.get("result_file_path"):
        median = sorted(times)[len(times) // 2]
        p95 = sorted(times)[int(0.95 * (len(times) - 1))]
        numbers = {1: mean / 1e3, 5: median / 1e3, 7: p95 / 1e3, 8: load / 1e3, 9: warm[0] / 1e3}
        Path(flags["result_file_path"]).write_bytes(result(numbers, len(times)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
