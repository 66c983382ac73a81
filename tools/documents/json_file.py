"""JSON files: read with one clear line of what is wrong, written whole and always alike."""

import json
import math
from pathlib import Path
from typing import Any, SupportsFloat

from tools.command_line import whole_file
from tools.errors import InputError

# How deep objects and lists may lie in each other; no document of ours has ten levels.
_MOST_LEVELS = 100
# Whole numbers that every reader of JSON takes, and that no arithmetic of ours overflows with.
_LARGEST = 2**63 - 1


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _whole_number(digits: str) -> int:
    # Thousands of digits take int() long, or are too many for it.
    number = int(digits) if len(digits) <= 20 else _LARGEST + 1
    if abs(number) > _LARGEST:
        raise ValueError(f"the number {_short(digits)} is too large")
    return number


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {_short(text)} is too large")
    return number


def _short(digits: str) -> str:
    return digits if len(digits) <= 24 else f"{digits[:20]}... of {len(digits)} digits"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {json.dumps(twice)} is there twice in an object")
    return result


def _refuse_deep_and_odd(value: Any) -> None:
    """Refuses what later work would fail on: deep nesting, and halves of letters."""
    left = [(value, 0)]
    while left:
        one, level = left.pop()
        if level > _MOST_LEVELS:
            raise ValueError(f"objects or lists lie more than {_MOST_LEVELS} deep in each other")
        if isinstance(one, str):
            if any("\ud800" <= letter <= "\udfff" for letter in one):
                raise ValueError(f"{ascii(one)[:40]} holds half a letter (a lone surrogate)")
        elif isinstance(one, dict):
            left += [(name, level) for name in one]
            left += [(inner, level + 1) for inner in one.values()]
        elif isinstance(one, list):
            left += [(inner, level + 1) for inner in one]


def parse_json(content: bytes, where: str, code: str = "document.syntax") -> Any:
    """Reads JSON as every program of ours does.

    Args:
      content: UTF-8, with or without a byte order mark.
      where: how messages name it.
      code: of the refusal.

    Returns:
      The value. Its numbers are finite and at most 2**63 - 1 where they are whole, no object
      has a name twice, and all text can be written as UTF-8.

    Raises:
      InputError: when it is no such JSON.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            code, f"{where}: not JSON (byte {error.start} is no UTF-8); save it as UTF-8"
        ) from None
    try:
        value = json.loads(
            text,
            parse_constant=_refuse,
            parse_int=_whole_number,
            parse_float=_number,
            object_pairs_hook=_object,
        )
        _refuse_deep_and_odd(value)
    except RecursionError:
        raise InputError(
            code, f"{where}: not JSON (objects or lists lie too deep in each other)"
        ) from None
    except ValueError as error:
        raise InputError(code, f"{where}: not JSON ({error})") from None
    return value


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
      InputError: when it is no JSON that `parse_json` takes.
      OSError: when it cannot be read.
    """
    return parse_json(path.read_bytes(), str(path))


def json_text(value: Any) -> str:
    """Writes JSON as text; equal values give the same bytes.

    Raises:
      ValueError: when it holds a number that JSON cannot: NaN or infinity.
    """
    return json.dumps(value, allow_nan=False, indent=2, sort_keys=True) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file whole, or not at all."""
    text = json_text(value)
    with whole_file(path, "w") as file:
        file.write(text)


def significant(value: SupportsFloat, digits: int = 6) -> float:
    """Rounds a finite number to significant digits."""
    return float(f"{value:.{digits}g}")


def rounded(value: SupportsFloat, digits: int = 6) -> float | None:
    """Rounds to significant digits; what JSON cannot hold becomes null."""
    return significant(value, digits) if math.isfinite(value) else None
