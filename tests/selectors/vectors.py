"""The table that every selector is held to, and what it must make of it."""

import json
from pathlib import Path

FILE = Path(__file__).parent / "test_vectors.json"


def vectors() -> dict:
    """Reads the table."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def expected_lines() -> list[str]:
    """Gives what a program that runs the table must print."""
    table = vectors()
    lines = [
        "\t".join([case["name"], case["expect"]["variant"], case["expect"]["reason"]])
        for case in table["cases"]
    ]
    return lines + ["refused"] * len(table["refused"])
