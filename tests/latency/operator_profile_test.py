import pytest

from tests.random_models import ModelBuilder
from tests.refused import refused
from tools.graph.flatbuffer import parse_model
from tools.latency.host_profile import host_operator_times
from tools.latency.operator_profile import fallback_of, read_operator_profile

_COLUMNS = (
    "[node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]"
)
_INITIALIZATION = f"""\
INFO: Profiling Info for Benchmark Initialization:
INFO: ============================== Run Order ==============================
INFO: {_COLUMNS}
INFO: \t AllocateTensors\t  9.1\t 9.1\t100.000%\t100.000%\t 812.000\t 1\tAllocateTensors/0
INFO: Operator-wise Profiling Info for Regular Benchmark Runs:
"""
# A delegate's node with a table of its own, as builds up to 2.17 print it.
_TWO_TABLES = f"""\
{_INITIALIZATION}INFO: ============================== Run Order ==============================
INFO: {_COLUMNS}
INFO: \t TfLiteXNNPackDelegate\t 5.2\t 5.125\t 90.000%\t 90.000%\t 0.000\t 1\t[a, b]:7
INFO: \t LOG_SOFTMAX\t 0.5\t 0.500\t 10.000%\t100.000%\t 0.000\t 1\t[scores 1]:4

INFO: ============================== Top by Computation Time ==============================
INFO: {_COLUMNS}
INFO: \t LOG_SOFTMAX\t 0.5\t 0.500\t 10.000%\t100.000%\t 0.000\t 1\t[scores 1]:4

INFO: Delegate internal:
INFO: ============================== Run Order ==============================
INFO: {_COLUMNS}
INFO: \t DelegateOpInvoke\t 4.0\t 4.000\t 80.0%\t 80.0%\t 0.0\t 1\tDelegate/Conv (NHWC, F32):0
INFO: \t DelegateOpInvoke\t 1.0\t 0.250\t 20.0%\t100.0%\t 0.0\t 4\tDelegate/Clamp (NC):1
"""
# Its operators among the graph's, with the older column [start].
_ONE_TABLE = f"""\
{_INITIALIZATION}============================== Run Order ==============================
{_COLUMNS.replace("[first]", "[start]  [first]")}
\t Clamp (NC)\t 0.0\t 1.0\t 1e-3\t 20.0%\t100.0%\t 0.0\t 1\tDelegate/Clamp (NC):0
\t LOG_SOFTMAX\t 0.0\t 0.5\t 0.500\t 10.000%\t100.000%\t 0.000\t 1\t[scores 1]:4
"""


def row(kind: str, milliseconds: float, name: str = "", delegated: bool = True) -> dict:
    return {"delegated": delegated, "kind": kind, "ms": milliseconds, "name": name}


def test_a_delegate_that_profiles_itself_is_read_operator_by_operator():
    assert read_operator_profile(_TWO_TABLES, "phone") == [
        row("LOG_SOFTMAX", 0.5, "scores 1", False),
        row("Conv (NHWC, F32)", 4),
        row("Clamp (NC)", 1),
    ]


def test_one_table_of_both():
    assert read_operator_profile(_ONE_TABLE, "phone") == [
        row("Clamp (NC)", 0.001),
        row("LOG_SOFTMAX", 0.5, "scores 1", False),
    ]


def test_a_delegate_that_does_not_is_one_row():
    text = _TWO_TABLES[: _TWO_TABLES.index("INFO: Delegate internal")]
    assert read_operator_profile(text, "phone") == [
        row("TfLiteXNNPackDelegate", 5.125, "a"),
        row("LOG_SOFTMAX", 0.5, "scores 1", False),
    ]


@pytest.mark.parametrize("text", ["", _INITIALIZATION, "count=50 curr=1(all same)"])
def test_text_without_a_table(text):
    with refused("benchmark.output", "^phone: "):
        read_operator_profile(text, "phone")


@pytest.fixture(scope="module")
def cut() -> bytes:
    """XNNPACK has no LOG_SOFTMAX."""
    graph = ModelBuilder()
    last = graph.input((1, 64, 64, 8))
    for number in range(5):
        last = graph.operator(("RELU", "LOG_SOFTMAX")[number % 2], [last], (1, 64, 64, 8))
    return graph.finish(last)


def test_operators_outside_the_delegate_are_named_with_their_types(cut):
    model = parse_model(cut)
    name = model.schema.subgraphs[0].tensors[2].name.decode()
    profile = [row("Clamp (NC)", 1), row("LOG_SOFTMAX/x", 1, name, False)]
    assert fallback_of(profile, model) == {"LOG_SOFTMAX (float32)": 1}
    profile = [row("LOG_SOFTMAX", 1, "another", False)]
    assert fallback_of(profile, model) == {"LOG_SOFTMAX (unknown types)": 1}


def test_the_host_s_own_profile(cut):
    found = host_operator_times(cut, "cut.tflite", threads=1)
    names = [tensor.name.decode() for tensor in parse_model(cut).schema.subgraphs[0].tensors]
    assert [(one["kind"], one["name"], one["delegated"]) for one in found] == [
        ("Clamp (NC)", "", True),
        ("LOG_SOFTMAX", names[2], False),
        ("Clamp (NC)", "", True),
        ("LOG_SOFTMAX", names[4], False),
        ("Clamp (NC)", "", True),
    ]
    # exp and log of 32,768 values; RELU only compares them.
    assert found[1]["ms"] > 2 * found[0]["ms"]
    assert found[1]["ms"] < 100


def test_a_model_that_the_runtime_does_not_know(cut):
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, 3))
    custom = graph.finish(graph.operator("MyTransform", [image], (1, 4, 4, 3), custom=True))
    with refused("model.runtime", r"^x\.tflite: .*profile"):
        host_operator_times(custom, "x.tflite", threads=1)
