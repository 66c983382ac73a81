"""What a search has found out so far, so that an interrupted one goes on where it was.

A journal is a file of JSON lines in a folder whose name is a digest of all that the
results depend on: another model, other data or other code start another journal. A line
is written when its result is there; a last line that was cut off is left out.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def default_directory() -> Path:
    """Gives the user's cache folder for journals."""
    cache = os.environ.get("XDG_CACHE_HOME")
    base = Path(cache) if cache else Path(os.environ.get("HOME", "/tmp"), ".cache")
    return base / "rules_quantize" / "tuning"


def code_digest() -> str:
    """Digests the code that candidates are made and compared with."""
    digest = hashlib.sha256()
    tools = Path(__file__).parent.parent
    for package in ("graph", "quantization", "samples", "similarity"):
        for path in sorted((tools / package).glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class Journal:
    """Results by key, kept in a file."""

    def __init__(self, directory: Path, depends_on: Mapping[str, Any]):
        """Opens the journal of one search, and reads what it holds.

        Args:
          directory: where journals are kept.
          depends_on: everything that the results depend on, as JSON takes it.

        Raises:
          OSError: when the folder cannot be written.
        """
        text = json.dumps(depends_on, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.path = directory / digest[:16] / "journal.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._results: dict[str, Any] = {}
        whole = 0
        content = self.path.read_bytes() if self.path.exists() else b""
        for line in content.splitlines(keepends=True):
            try:
                entry = json.loads(line)
                key, result = entry["key"], entry["result"]
            except (ValueError, KeyError, TypeError):
                break
            if not line.endswith(b"\n"):
                break
            self._results[key] = result
            whole += len(line)
        self._file = self.path.open("r+b" if content else "wb")
        self._file.truncate(whole)
        self._file.seek(whole)

    def __len__(self) -> int:
        return len(self._results)

    def get(self, key: Any) -> Any | None:
        """Looks a result up by its key, anything that JSON takes."""
        return self._results.get(json.dumps(key, sort_keys=True))

    def put(self, key: Any, result: Any) -> None:
        """Keeps a result; it is on the disk when this returns."""
        text = json.dumps(key, sort_keys=True)
        self._results[text] = result
        line = json.dumps({"key": text, "result": result}, sort_keys=True) + "\n"
        self._file.write(line.encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
