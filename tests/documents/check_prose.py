#!/usr/bin/env python3
"""Says where the pages for users have words or sentences that are hard to read."""

import re
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
# The pages that are read first. Those of the lab and of explanations may need longer sentences.
_PAGES = ("README.md", "CONTRIBUTING.md", "docs/README.md", "docs/tutorial.md", "docs/how-to/*.md")
_MOST_WORDS = 32

# Words that a newcomer stumbles over, and what to write.
_VOCABULARY = {
    "aforementioned": "this",
    "anew": "again",
    "herein": "here",
    "hence": "so",
    "hitherto": "until now",
    "lest": "so that ... not",
    "thereby": "by that",
    "therein": "in it",
    "thereof": "of it",
    "thrice": "three times",
    "utilise": "use",
    "utilize": "use",
    "whence": "from where",
    "wherein": "in which",
    "whereupon": "then",
    "whilst": "while",
}

_BLOCK = re.compile(r"^```.*?^```|(?<=\n\n)(?: {4}[^\n]*\n)+", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`]*`")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
# A table's row, a heading, an item of a list and an empty line each end a sentence.
_BREAK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-|#]|\d+\.) ?)|(?<=[.?!:;])\s+(?=\S)|\|")


def sentences(text: str) -> list[str]:
    """Parts a page into sentences, without its code."""
    plain = _LINK.sub(r"\1", _CODE.sub("X", _BLOCK.sub("\n\n", text)))
    return [" ".join(part.split()) for part in _BREAK.split(plain) if part.strip(" \n-|#*")]


def complaints(text: str) -> list[str]:
    """Lists what is hard to read in a page's text, a line each."""
    found = []
    for sentence in sentences(text):
        words = re.findall(r"[A-Za-z][\w'-]*", sentence)
        if len(words) > _MOST_WORDS:
            found.append(
                f"{len(words)} words in a sentence, at most {_MOST_WORDS}: {sentence[:70]}..."
            )
        found += [
            f"{word}: write {_VOCABULARY[word.lower()]}: {sentence[:70]}"
            for word in words
            if word.lower() in _VOCABULARY
        ]
    return found


def main() -> int:
    """Prints them, a line each."""
    pages = sorted(page for pattern in _PAGES for page in _ROOT.glob(pattern))
    lines = [
        f"{page.relative_to(_ROOT)}: {line}"
        for page in pages
        for line in complaints(page.read_text())
    ]
    print("\n".join(lines), end="\n" if lines else "")
    return 1 if lines or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
