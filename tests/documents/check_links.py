#!/usr/bin/env python3
"""Says which links between this repository's documents lead nowhere, files and headings."""

import re
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """Names a page's headings as GitHub does."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def broken(page: Path) -> list[str]:
    """Lists the links of a page that lead nowhere."""
    found = []
    for link in _LINK.findall(page.read_text()):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


def main() -> int:
    """Prints them, a line each."""
    pages = [*_ROOT.glob("*.md"), *_ROOT.glob("docs/**/*.md"), *_ROOT.glob(".bcr/*.md")]
    lines = [f"{page.relative_to(_ROOT)}: {link}" for page in pages for link in broken(page)]
    print("\n".join(lines), end="\n" if lines else "")
    return 1 if lines or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
