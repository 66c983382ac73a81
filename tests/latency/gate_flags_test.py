"""Flags of the gates on speed: what they take, and what they refuse."""

import argparse

import pytest

from tools.latency.gate_flags import add_speed_gate_flags
from tools.latency.measurement import gates_of


def _parsed(*flags):
    command = argparse.ArgumentParser(exit_on_error=False)
    add_speed_gate_flags(command)
    return command.parse_args(flags)


def test_a_gate_that_is_measured_knows_its_direction():
    given = _parsed("--min_fps=60", "--max_p90_ms=8", "--max_partitions=1")
    gates = {gate.name: gate for gate in gates_of(vars(given))}
    assert set(gates) == {"min_fps", "max_p90_ms"}
    assert not gates["min_fps"].smaller_is_better
    assert gates["max_p90_ms"].smaller_is_better
    assert (given.max_partitions, given.max_fallback) == (1, None)


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--min_fps=-1", "'-1': give a number above 0"),
        ("--min_fps=0", "'0': give a number above 0"),
        ("--min_speedup=nan", "'nan': give a number above 0"),
        ("--max_p90_ms=inf", "'inf': give a number above 0"),
        ("--max_load_ms=soon", "'soon': give a number above 0"),
        ("--max_partitions=1.5", "'1.5': give a whole number from 0"),
        ("--max_fallback=-1", "'-1': give a whole number from 0"),
    ],
)
def test_a_threshold_that_means_nothing_is_refused(flag, said):
    with pytest.raises(argparse.ArgumentError) as refusal:
        _parsed(flag)
    assert said in str(refusal.value)
