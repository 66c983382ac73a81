"""Reads what TFLite's benchmark_model says: its text, and the BenchmarkResult that it writes.

The text's times are in microseconds. Its last `count=` line is the measurement, the one
before it the warm-up; older builds print no percentiles, and equal samples are printed as
`count=N curr=X (all same)`. Off Android every line begins with `INFO: `.

LiteRT's own benchmark_model sums up in milliseconds, `Inference (avg): X ms (N runs)`, and names
its source file at the start of a line. `litert benchmark --android` of the package litert-cli
prints these lines alone, unless LITERT_VERBOSE=1 is set.
"""

import dataclasses
import functools
import math
import re

from tools.errors import InputError
from tools.latency.backend import RunStatistics

# Fields of tflite.tools.benchmark.BenchmarkResult by number: (name, type).
_FLOAT, _INT64, _INT32, _STRING = 2, 3, 5, 9
_MESSAGES = {
    "LatencyMetrics": {
        1: ("avg_ms", _FLOAT),
        2: ("min_ms", _FLOAT),
        3: ("max_ms", _FLOAT),
        4: ("stddev_ms", _FLOAT),
        5: ("median_ms", _FLOAT),
        6: ("p5_ms", _FLOAT),
        7: ("p95_ms", _FLOAT),
        8: ("init_ms", _FLOAT),
        9: ("first_inference_ms", _FLOAT),
        10: ("average_warm_up_ms", _FLOAT),
    },
    "MemoryMetrics": {
        1: ("init_footprint_kb", _INT64),
        2: ("overall_footprint_kb", _INT64),
        3: ("peak_mem_mb", _FLOAT),
    },
    "MiscMetrics": {
        1: ("model_size_mb", _FLOAT),
        2: ("num_runs", _INT32),
        3: ("num_warmup_runs", _INT32),
        4: ("model_throughput_in_mb_per_sec", _FLOAT),
    },
    "BenchmarkResult": {
        1: ("name", _STRING),
        2: ("latency_metrics", "LatencyMetrics"),
        3: ("memory_metrics", "MemoryMetrics"),
        4: ("misc_metrics", "MiscMetrics"),
    },
}


@dataclasses.dataclass(frozen=True)
class BenchmarkOutput:
    """What one run of benchmark_model measured. NaN is what it did not say.

    Attributes:
      average_ms: mean time of an inference in milliseconds.
      median_ms: median; the mean where an old build prints no percentiles.
      p95_ms: 95th percentile.
      load_ms: initialization.
      first_inference_ms: the first inference.
      memory_mb: resident memory that all of it added, in 2**20 bytes.
      runs: inferences measured.
    """

    average_ms: float
    median_ms: float
    p95_ms: float = math.nan
    load_ms: float = math.nan
    first_inference_ms: float = math.nan
    memory_mb: float = math.nan
    runs: int = 0

    def statistics(self) -> RunStatistics:
        """Gives what a round keeps of it; benchmark_model prints no 90th percentile."""
        return RunStatistics(
            p50_ms=self.median_ms,
            p95_ms=self.p95_ms,
            load_ms=self.load_ms,
            first_inference_ms=self.first_inference_ms,
            memory_mb=self.memory_mb,
            runs=self.runs,
        )


@dataclasses.dataclass(frozen=True)
class DelegateUse:
    """How much of a graph a delegate took.

    Attributes:
      partitions: into how many pieces.
      delegated_nodes: operators that it took, or None.
      all_nodes: operators in all, or None.
      whole: whether it took the whole graph.
    """

    partitions: int
    delegated_nodes: int | None
    all_nodes: int | None
    whole: bool


@functools.cache
def benchmark_result_class():
    """Makes the protobuf message class BenchmarkResult; its file is not in any package."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    package = "tflite.tools.benchmark"
    file = descriptor_pb2.FileDescriptorProto(
        name="benchmark_result.proto", package=package, syntax="proto2"
    )
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for number, (name, kind) in fields.items():
            field = described.field.add(name=name, number=number, label=1)
            if isinstance(kind, int):
                field.type = kind
            else:
                field.type, field.type_name = 11, f".{package}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(package + ".BenchmarkResult"))


def read_result(content: bytes, where: str) -> BenchmarkOutput:
    """Reads the file of --result_file_path.

    Args:
      content: a serialized BenchmarkResult.
      where: how messages name it.

    Raises:
      InputError: when it is none, or holds no latency.
    """
    from google.protobuf.message import DecodeError

    result = benchmark_result_class()()
    try:
        result.ParseFromString(content)
    except DecodeError:
        raise InputError(
            "benchmark.output", f"{where}: benchmark_model's result file is damaged"
        ) from None
    if not result.latency_metrics.HasField("avg_ms"):
        raise InputError(
            "benchmark.output", f"{where}: benchmark_model's result file holds no latency"
        )

    def number(message, name: str) -> float:
        return float(getattr(message, name)) if message.HasField(name) else math.nan

    latency, memory = result.latency_metrics, result.memory_metrics
    average, median = number(latency, "avg_ms"), number(latency, "median_ms")
    return BenchmarkOutput(
        average_ms=average,
        median_ms=average if math.isnan(median) else median,
        p95_ms=number(latency, "p95_ms"),
        load_ms=number(latency, "init_ms"),
        first_inference_ms=number(latency, "first_inference_ms"),
        memory_mb=number(memory, "overall_footprint_kb") / 1024,
        runs=result.misc_metrics.num_runs,
    )


_NUMBER = r"([0-9.]+(?:[eE][+-]?[0-9]+)?)"


def unconsumed_flags(text: str) -> list[str]:
    """Names the flags that benchmark_model did not know; it only warns of them."""
    found = []
    for line in re.findall(r"Unconsumed cmdline flags:(.*)", text):
        found += [word.split("=")[0].lstrip("-") for word in line.split()]
    return found


def read_text(text: str, where: str) -> BenchmarkOutput:
    """Reads what benchmark_model prints.

    Args:
      text: standard output and error.
      where: how messages name it.

    Raises:
      InputError: when flags were not known, or no measurement is there.
    """
    unknown = unconsumed_flags(text)
    if unknown:
        raise InputError(
            "benchmark.binary",
            f"{where}: benchmark_model does not know --{', --'.join(unknown)}; it would have "
            "measured something else",
        )
    summed_up = re.search(r"Inference \(avg\): +" + _NUMBER + r" ms \((\d+) runs\)", text)
    counted = re.findall(r"^(?:INFO: )?\s*(count=\d.*)$", text, re.MULTILINE)
    if not counted and summed_up:
        return _read_summary(text, float(summed_up[1]), int(summed_up[2]), where)
    if not counted:
        raise InputError("benchmark.output", f"{where}: benchmark_model printed no measurement")
    measured: dict[str, str] = dict(re.findall(r"(\w+)=" + _NUMBER, counted[-1]))
    same = measured.get("curr", "nan") if "all same" in counted[-1] else "nan"
    average = float(measured.get("avg", same)) / 1000
    timings = re.search(r"Inference timings in us:.*", text)
    summary = dict(re.findall(r"([A-Z][\w ()]*?): " + _NUMBER, timings[0] if timings else ""))
    if math.isnan(average):
        average = float(summary.get("Inference (avg)", math.nan)) / 1000
    if not average > 0:
        raise InputError(
            "benchmark.output",
            f"{where}: benchmark_model's measurement cannot be read: {counted[-1]}",
        )
    memory = re.search(r"Memory footprint delta.*overall=" + _NUMBER, text)
    return BenchmarkOutput(
        average_ms=average,
        median_ms=float(measured["median"]) / 1000 if "median" in measured else average,
        p95_ms=float(measured.get("p95", same)) / 1000,
        load_ms=float(summary.get("Init", math.nan)) / 1000,
        first_inference_ms=float(summary.get("First inference", math.nan)) / 1000,
        memory_mb=float(memory[1]) if memory else math.nan,
        runs=int(measured["count"]),
    )


def _read_summary(text: str, average_ms: float, runs: int, where: str) -> BenchmarkOutput:
    """Reads what LiteRT's benchmark_model sums up; it tells no percentiles."""
    if not (average_ms > 0 and runs > 0):
        raise InputError(
            "benchmark.output",
            f"{where}: benchmark_model measured {average_ms:g} ms in {runs} runs, which is nothing",
        )

    def value(name: str, unit: str) -> float:
        found = re.search(re.escape(name) + ": +" + _NUMBER + " " + unit, text)
        return float(found[1]) if found else math.nan

    return BenchmarkOutput(
        average_ms=average_ms,
        median_ms=average_ms,
        load_ms=value("Model initialization", "ms"),
        first_inference_ms=value("Warmup (first)", "ms"),
        memory_mb=value("Overall footprint", "MB"),
        runs=runs,
    )


def read_delegate_use(text: str) -> DelegateUse | None:
    """Says how much of the graph the delegate took; None when the text does not tell."""
    replaced = re.search(
        r"Replacing (\d+) out of (\d+) node\(s\) with delegate .*yielding (\d+) partitions?", text
    )
    if replaced:
        taken, nodes, partitions = map(int, replaced.groups())
        return DelegateUse(partitions, taken, nodes, taken == nodes)
    if "the model graph will be completely executed by the delegate" in text:
        return DelegateUse(1, None, None, True)
    partly = re.search(r"partially executed by the delegate w/ (\d+) delegate kernels", text)
    if partly:
        return DelegateUse(int(partly[1]), None, None, False)
    return None
