"""JSON files: read with one clear line of what is wrong, written whole and always alike."""

import json
import math
from pathlib import Path
from typing import Any, SupportsFloat

from tools.command_line import whole_file
from tools.errors import InputError


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
      InputError: when it is not JSON.
      OSError: when it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise InputError("document.syntax", f"{path}: not JSON ({reason})") from None


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
