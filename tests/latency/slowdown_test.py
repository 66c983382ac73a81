"""Which operators a slower model's time goes to."""

from pathlib import Path

from tools.latency.slowdown import costlier_kinds, slowdown_warning


def operator(kind: str, milliseconds: float, delegated: bool = False) -> dict:
    return {"delegated": delegated, "kind": kind, "ms": milliseconds, "name": ""}


FLOAT = [
    operator("Fully Connected (NC, F32) GEMM", 1, True),
    operator("BATCH_MATMUL", 0.2),
    operator("Fully Connected (NC, F32) GEMM", 1, True),
]


def test_kinds_are_compared_whatever_their_types():
    quantized = [operator("Fully Connected (NC, QS8) GEMM", 1.5, True)]
    assert costlier_kinds(quantized, FLOAT) == []
    slower = [*quantized, operator("BATCH_MATMUL", 3.1), operator("DEQUANTIZE", 1.7)]
    assert costlier_kinds(slower, FLOAT) == [
        "batch_matmul 3.10 ms against 0.20, outside the delegate",
        "dequantize 1.70 ms against 0.00, outside the delegate",
    ]


def test_what_is_inside_the_delegate_is_not_said_to_be_outside():
    slower = [operator("Fully Connected (NC, QS8) GEMM", 4, True)]
    assert costlier_kinds(slower, FLOAT) == ["fully_connected 4.00 ms against 2.00"]


def test_small_losses_and_more_than_three_kinds_are_left_out():
    kinds = [operator(kind, 10 - place) for place, kind in enumerate("ABCDE")]
    small = operator("SMALL", 0.1)
    assert [one.split()[0] for one in costlier_kinds([*kinds, small], [])] == ["a", "b", "c"]
    assert [one.split()[0] for one in costlier_kinds([kinds[0], small], [])] == ["a"]


def test_the_line():
    files = Path("x/a.tflite"), Path("y/b.tflite")
    assert slowdown_warning(*files, 2.5, None) == (
        "warning: a.tflite takes 2.50 times as long as b.tflite"
    )
    profiles = [operator("DIV", 2)], []
    assert slowdown_warning(*files, 2.5, profiles) == (
        "warning: a.tflite takes 2.50 times as long as b.tflite; what costs more: div 2.00 ms "
        "against 0.00, outside the delegate; keep such operators in float"
    )
