"""Damaged models: each is refused in one line or read, none crashes or hangs.

100,000 of them in the nightly suite, every fiftieth of these by default.
"""

import concurrent.futures
import multiprocessing
import os
import resource
import signal
from collections.abc import Sequence

import pytest

from tests.extent import count, part_of
from tests.graph.mutants import bases, mutant
from tools.errors import InputError
from tools.graph.description import describe
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.model_metadata import normalization
from tools.graph.topology import Topology
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings

MUTANTS = part_of(range(100_000), 50)
# Those of them that are quantized, if they can be read.
QUANTIZED = part_of(range(600), 5)
_PROCESSES = count(1, len(os.sched_getaffinity(0)))
_CHUNK = 1000
_QUANTIZED_CHUNK = 100
# A sound one takes a few milliseconds.
_MOST_SECONDS = 5
# Of all of a process; it begins with 50.
_MOST_MEGABYTES = 250


def read(content: bytes) -> bool:
    """Does all that reads a file. Says whether it was accepted.

    Raises:
      InputError: never two lines long; the only exception that a file may cause.
    """
    try:
        model = parse_model(content, "net.tflite")
        describe(content, "net.tflite")
        normalization(content)
        Topology(model)
        # What was read can be written, and is read again.
        parse_model(model_bytes(model))
        master, _ = make_float_master(content, "net.tflite")
    except InputError as error:
        message = str(error)
        assert message.startswith("net.tflite: ")
        assert message.isprintable()
        return False
    assert make_float_master(master)[0] == master
    return True


def _hangs(*_) -> None:
    raise TimeoutError(f"over {_MOST_SECONDS} s of CPU time")


def _chunks(numbers: Sequence[int], size: int) -> list[Sequence[int]]:
    return [numbers[first : first + size] for first in range(0, len(numbers), size)]


def _read_chunk(numbers: Sequence[int]) -> tuple[int, int, list[str]]:
    """Reads mutants; says how many were accepted, megabytes, and what went wrong."""
    signal.signal(signal.SIGVTALRM, _hangs)
    accepted, wrong = 0, []
    for number in numbers:
        content = mutant(number)
        signal.setitimer(signal.ITIMER_VIRTUAL, _MOST_SECONDS)
        try:
            accepted += read(content)
        except Exception as error:
            wrong.append(f"mutant({number}): {error!r}")
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return accepted, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, wrong


@pytest.mark.parametrize("base", sorted(bases()))
def test_whole_file_is_read(base):
    assert read(bases()[base])


def test_the_same_mutants_every_time():
    assert [mutant(number) for number in range(50)] == [mutant(number) for number in range(50)]
    assert len({mutant(number) for number in range(1000)}) > 900


def test_no_mutant_crashes_or_hangs():
    # Started afresh, so that memory is their own; one that dies breaks the pool.
    processes = concurrent.futures.ProcessPoolExecutor(
        _PROCESSES, multiprocessing.get_context("spawn")
    )
    with processes:
        results = list(processes.map(_read_chunk, _chunks(MUTANTS, _CHUNK)))
    assert [line for *_, wrong in results for line in wrong] == []
    assert max(megabytes for _, megabytes, _ in results) < _MOST_MEGABYTES
    # Neither all refused at the door nor hardly damaged.
    assert 0.1 < sum(accepted for accepted, *_ in results) / len(MUTANTS) < 0.5


def _quantize_chunk(numbers: Sequence[int]) -> tuple[int, list[str]]:
    """Quantizes the mutants that are read; says how many, and what went wrong."""
    tried, wrong = 0, []
    for number in numbers:
        try:
            master, _ = make_float_master(mutant(number))
        except InputError:
            continue
        tried += 1
        try:
            quantize(master, QuantizationSettings("weight_only_int8"), None)
        except InputError:
            pass
        except Exception as error:
            wrong.append(f"mutant({number}): {error!r}")
    return tried, wrong


def test_what_is_read_is_quantized_or_refused():
    processes = concurrent.futures.ProcessPoolExecutor(
        _PROCESSES, multiprocessing.get_context("spawn")
    )
    with processes:
        results = list(processes.map(_quantize_chunk, _chunks(QUANTIZED, _QUANTIZED_CHUNK)))
    assert [line for _, wrong in results for line in wrong] == []
    assert sum(tried for tried, _ in results) > len(QUANTIZED) / 10
