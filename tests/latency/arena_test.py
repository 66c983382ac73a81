import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings

from tests.model_files import model_path
from tests.random_models import ModelBuilder, float_models
from tools.graph.flatbuffer import parse_model
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.latency.arena import arena_bytes, lifetimes, tensor_bytes


def runtime_arena(content: bytes) -> int:
    """Bytes from the first to the last activation, as the runtime has placed them."""
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    graph = Topology(parse_model(content))
    places = []
    for index in lifetimes(graph):
        values = interpreter.tensor(index)()
        start = values.__array_interface__["data"][0]
        places.append((start, start + values.nbytes))
    return max(end for _, end in places) - min(start for start, _ in places)


def test_a_chain_needs_two_neighbours_at_a_time_and_its_ends_always():
    graph = ModelBuilder()
    last = graph.input((1, 64, 64, 8))
    for side in (32, 16, 8):
        last = graph.operator("MAX_POOL_2D", [last], (1, side, side, 8))
    image, output = 64 * 64 * 8 * 4, 8 * 8 * 8 * 4
    neighbours = 32 * 32 * 8 * 4 + 16 * 16 * 8 * 4
    assert arena_bytes(parse_model(graph.finish(last))) == image + output + neighbours


@pytest.mark.parametrize(
    ("name", "apart"), [("hand_landmark_full", 0.001), ("hand_landmark_lite", 0.001),
                        ("face_landmark", 0.01), ("pose_detection", 0.02)],
)  # fmt: skip
def test_as_large_as_the_runtime_s_own(name, apart):
    """These models' kernels need no scratch, or little; what may be written over is saved."""
    content, _ = make_float_master(model_path(name).read_bytes())
    planned = arena_bytes(parse_model(content))
    assert runtime_arena(content) == pytest.approx(planned, rel=apart)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(float_models())
def test_at_least_what_is_there_at_a_time_and_at_most_all_of_it(content):
    model = parse_model(content)
    graph = Topology(model)
    lives = lifetimes(graph)
    sizes = {index: tensor_bytes(graph.tensor(index)) for index in lives}
    alive = [
        sum(sizes[index] for index, (first, last) in lives.items() if first <= place <= last)
        for place in range(len(graph.subgraph.operators))
    ]
    assert max(alive) <= arena_bytes(model) <= sum(sizes.values())
