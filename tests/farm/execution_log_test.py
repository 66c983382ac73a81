"""Execution logs as Bazel 4.2.3 and 7.7.1 write them."""

import json

import pytest

from tests.refused import refused
from tools.farm.execution_log import LoggedFile, read_execution_log

_SPAWN = {
    "commandArgs": ["bin/tool", "--output=a"],
    "environmentVariables": [{"name": "LANG", "value": "C"}],
    "platform": {"properties": [{"name": "pool", "value": "quantize"}]},
    "inputs": [{"path": "in", "digest": {"hash": "aa", "sizeBytes": "7"}}, {"path": "empty"}],
    "actualOutputs": [{"path": "a", "digest": {"hash": "bb", "sizeBytes": "12345678901"}}],
    "mnemonic": "QuantizeModel",
    "progressMessage": "Quantizing",
    "runner": "remote cache hit",
}


def test_reads_objects_that_follow_one_another(tmp_path):
    log = tmp_path / "log.json"
    first = json.dumps(_SPAWN | {"remoteCacheHit": True}, indent=2)
    log.write_text(first + json.dumps(_SPAWN | {"cacheHit": True}) + "\n" + json.dumps({}))
    four, seven, empty = read_execution_log(log)
    assert four == seven
    assert four.cache_hit
    assert (four.mnemonic, four.progress) == ("QuantizeModel", "Quantizing")
    assert four.command == ("bin/tool", "--output=a", "LANG=C", "pool=quantize")
    assert four.inputs == (LoggedFile("in", "aa", 7), LoggedFile("empty", "", 0))
    assert four.outputs == (LoggedFile("a", "bb", 12345678901),)
    assert (empty.cache_hit, empty.mnemonic, empty.outputs) == (False, "", ())


def test_an_empty_log_has_no_spawns(tmp_path):
    log = tmp_path / "log.json"
    log.write_text(" \n")
    assert read_execution_log(log) == []


@pytest.mark.parametrize("text", ["{", "[1]", "no log", '{"inputs": [3]}'])
def test_what_is_no_log_is_refused_in_one_line(tmp_path, text):
    log = tmp_path / "log.json"
    log.write_text(text)
    with refused("document.kind", "execution log"):
        read_execution_log(log)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_execution_log(tmp_path / "none.json")
