import math

import pytest

from tests.refused import refused
from tools.latency.benchmark_output import (
    DelegateUse,
    benchmark_result_class,
    read_delegate_use,
    read_result,
    read_text,
    unconsumed_flags,
)

_NEW = """\
INFO: Initialized session in 12.3ms.
INFO: count=91 first=6010 curr=5498 min=5480 max=6010 avg=5530.2 std=71
INFO: count=182 first=5500 curr=5497 min=5475 max=6120 avg=5505.5 \
std=66 p5=5481 median=5497 p95=5590
INFO: Inference timings in us: Init: 12300, First inference: 6010, \
Warmup (avg): 5530.2, Inference (avg): 5505.5
INFO: Memory footprint delta from the start of the tool (MB): init=7.1 overall=9.4
"""
_OLD = """\
count=1 curr=6010
count=50 first=5500 curr=5497 min=5475 max=6120 avg=5505.5 std=66
Inference timings in us: Init: 1.23e+04, First inference: 6010, \
Warmup (avg): 6010, Inference (avg): 5505.5
"""
# Written by hand, as `litert benchmark --android` shows what the device prints.
_LITERT = """\
Preparing to run on Android device via adb...
Executing benchmark on device...

INFO: Replacing 70 out of 74 node(s) with delegate (Gpu) node, yielding 3 partitions.
INFO: [benchmark_litert_model.h:70] Model initialization: 81.20 ms
INFO: [benchmark_litert_model.h:71] Warmup (first):       7.15 ms
INFO: [benchmark_litert_model.h:73] Warmup (avg):         3.02 ms (166 runs)
INFO: [benchmark_litert_model.h:75] Inference (avg):      2.85 ms (351 runs)
INFO: [benchmark_litert_model.h:79] Inference (min):      2.61 ms
INFO: [benchmark_litert_model.h:102] Overall footprint:    31.50 MB
"""


def test_what_the_command_line_of_litert_shows():
    found = read_text(_LITERT, "phone")
    assert (found.average_ms, found.median_ms, found.runs) == (2.85, 2.85, 351)
    assert (found.load_ms, found.first_inference_ms) == (81.2, 7.15)
    assert found.memory_mb == 31.5
    assert math.isnan(found.p95_ms)
    assert read_delegate_use(_LITERT) == DelegateUse(3, 70, 74, False)
    # With LITERT_VERBOSE=1 benchmark_model's own lines are there too, and tell more.
    assert read_text(_LITERT + _NEW, "phone").median_ms == 5.497


def test_the_command_line_of_litert_without_a_run():
    nothing = _LITERT.replace("2.85 ms (351 runs)", "0.00 ms (0 runs)")
    with refused("benchmark.output", "phone: "):
        read_text(nothing, "phone")


@pytest.mark.parametrize("text", [_NEW, _NEW.replace("INFO: ", "")])
def test_text(text):
    found = read_text(text, "phone")
    assert (found.average_ms, found.median_ms, found.p95_ms) == (5.5055, 5.497, 5.59)
    assert (found.load_ms, found.first_inference_ms) == (12.3, 6.01)
    assert (found.memory_mb, found.runs) == (9.4, 182)


def test_text_of_an_old_build_has_no_percentiles():
    found = read_text(_OLD, "phone")
    assert found.median_ms == found.average_ms == 5.5055
    assert math.isnan(found.p95_ms)
    assert math.isnan(found.memory_mb)
    assert (found.load_ms, found.runs) == (12.3, 50)


@pytest.mark.parametrize("same", ["curr=4000(all same)", "curr=4000 (all same)"])
def test_equal_samples(same):
    found = read_text(f"count=1 curr=9\ncount=50 {same}\n", "phone")
    assert (found.median_ms, found.p95_ms, found.runs) == (4, 4, 50)


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("", "benchmark.output", "phone: benchmark_model printed no measurement"),
        (
            "count=50 first=x",
            "benchmark.output",
            "phone: benchmark_model's measurement cannot be read: count=50",
        ),
        (
            "WARN: Unconsumed cmdline flags: --use_xnpack=true --x=1\n" + _NEW,
            "benchmark.binary",
            "phone: benchmark_model does not know --use_xnpack, --x; it would have measured",
        ),
    ],
)
def test_text_that_is_no_measurement(text, code, says):
    with refused(code, "^" + says):
        read_text(text, "phone")


def test_unconsumed_flags():
    assert unconsumed_flags("Unconsumed cmdline flags: --a=1 --b\n") == ["a", "b"]
    assert unconsumed_flags(_NEW) == []


def test_result_file():
    """The bytes are written by hand, as the format says: field number and wire type first."""
    import struct

    def fixed(number, value):
        return bytes([number << 3 | 5]) + struct.pack("<f", value)

    def inside(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    latency = fixed(1, 5.5) + fixed(5, 5.25) + fixed(7, 6) + fixed(8, 12) + fixed(9, 7)
    memory = bytes([2 << 3, 0x80, 0x10])  # 2048 as a varint
    content = inside(1, b"x") + inside(2, latency) + inside(3, memory) + inside(4, b"\x10\x32")
    found = read_result(content, "phone")
    assert (found.average_ms, found.median_ms, found.p95_ms) == (5.5, 5.25, 6)
    assert (found.load_ms, found.first_inference_ms, found.memory_mb) == (12, 7, 2)
    assert found.runs == 50
    for cut in (content[:-5], b"\xff\xff"):
        with refused("benchmark.output", "^phone: .* damaged"):
            read_result(cut, "phone")
    with refused("benchmark.output", "holds no latency"):
        read_result(b"", "phone")


def test_result_file_of_an_old_build_has_no_median():
    result = benchmark_result_class()()
    result.latency_metrics.avg_ms = 3
    found = read_result(result.SerializeToString(), "phone")
    assert found.median_ms == 3
    assert math.isnan(found.memory_mb)


def test_delegate_use():
    replaced = (
        "VERBOSE: Replacing 160 out of 164 node(s) with delegate (TfLiteXNNPackDelegate) node, "
        "yielding 3 partitions for subgraph 0."
    )
    assert read_delegate_use(replaced) == DelegateUse(3, 160, 164, False)
    whole = "the model graph will be completely executed by the delegate."
    assert read_delegate_use(whole) == DelegateUse(1, None, None, True)
    partly = "and the model graph will be partially executed by the delegate w/ 2 delegate kernels."
    assert read_delegate_use(partly) == DelegateUse(2, None, None, False)
    assert read_delegate_use(_NEW) is None
