"""Reads the execution log that Bazel writes with `--execution_log_json_file`."""

import json
from dataclasses import dataclass
from pathlib import Path

from tools.errors import InputError


@dataclass(frozen=True)
class LoggedFile:
    """A file that an action read or wrote."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Spawn:
    """One command that Bazel ran, or took from a cache.

    Attributes:
      mnemonic: kind of the action, such as "QuantizeModel".
      progress: what Bazel shows while it runs; "" where the log does not say it.
      runner: what ran it: "linux-sandbox", "worker", "remote", "remote cache hit", ...
      cache_hit: whether a remote cache had it.
      command: the arguments, then the environment as NAME=VALUE, then the platform's
        properties likewise: with the inputs, all that a remote action's key holds.
      inputs: every file of the inputs, those of directories included.
      outputs: every file that it made.
    """

    mnemonic: str
    progress: str
    runner: str
    cache_hit: bool
    command: tuple[str, ...]
    inputs: tuple[LoggedFile, ...]
    outputs: tuple[LoggedFile, ...]


def _files(entries: list[dict]) -> tuple[LoggedFile, ...]:
    files = []
    for entry in entries:
        digest = entry.get("digest") or {}
        # Bazel writes 64-bit numbers as strings.
        size = int(digest.get("sizeBytes", 0))
        files.append(LoggedFile(entry.get("path", ""), digest.get("hash", ""), size))
    return tuple(files)


def _pairs(entries: list[dict]) -> list[str]:
    return [f"{entry.get('name', '')}={entry.get('value', '')}" for entry in entries]


def read_execution_log(path: Path) -> list[Spawn]:
    """Reads a log: JSON objects one after the other.

    Args:
      path: the file.

    Returns:
      The spawns in the file's order.

    Raises:
      InputError: when the file is no such log.
      OSError: when it cannot be read.
    """
    try:
        text = Path(path).read_text()
    except UnicodeDecodeError:
        raise InputError(
            "document.kind",
            f"{path}: is no JSON execution log (bazel build --execution_log_json_file): not text",
        ) from None
    decoder = json.JSONDecoder()
    spawns = []
    position = 0
    while (position := _next_object(text, position)) < len(text):
        try:
            entry, position = decoder.raw_decode(text, position)
            spawns.append(
                Spawn(
                    mnemonic=entry.get("mnemonic", ""),
                    progress=entry.get("progressMessage", ""),
                    runner=entry.get("runner", ""),
                    # Later Bazels say cacheHit.
                    cache_hit=bool(entry.get("remoteCacheHit") or entry.get("cacheHit")),
                    command=(
                        *entry.get("commandArgs", ()),
                        *_pairs(entry.get("environmentVariables", [])),
                        *_pairs((entry.get("platform") or {}).get("properties", [])),
                    ),
                    inputs=_files(entry.get("inputs", [])),
                    outputs=_files(entry.get("actualOutputs", [])),
                )
            )
        except (ValueError, AttributeError, TypeError) as error:
            raise InputError(
                "document.kind",
                f"{path}: is no JSON execution log (bazel build --execution_log_json_file): "
                f"{error}",
            ) from error
    return spawns


def _next_object(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position
