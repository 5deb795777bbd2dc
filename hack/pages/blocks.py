"""Command blocks of the documentation, read from its sources.

A block fenced as ``bash`` is run by tests/system/test_docs.py, all blocks of a page in
one shell. One with a title is not, and the title tells the reader why; see ``TITLES``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TITLES = {
    "On AWS": "needs an account",
    "Your cluster": "changes an installation that others use, or needs a second one",
    "First": "makes what the other blocks need, or takes minutes",
    "Last": "ends what the other blocks need",
    "Deletes": "takes data away for good",
}
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[a-z]*)(?: title=\"(?P<title>[^\"]*)\")?\n"
    r"(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: its file.
        line: of the fence, from 1.
        language: ``bash``, ``text``, ``yaml``, …; empty if none is given.
        title: None where there is none.
        text: the lines between the fences.
    """

    page: Path
    line: int
    language: str
    title: str | None
    text: str

    @property
    def place(self) -> str:
        """Page and line, for a message."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every page that people write, the README included."""
    written = (p for p in DOCS.rglob("*.md") if "reference" not in p.parts)
    return [ROOT / "README.md", *sorted(written)]


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text()
    for found in _FENCE.finditer(text):
        yield Block(
            page,
            text.count("\n", 0, found.start()) + 1,
            found["language"],
            found["title"],
            re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
        )


def commands(page: Path) -> list[Block]:
    """The blocks of a page that are commands."""
    return [block for block in blocks(page) if block.language == "bash"]


def runnable(page: Path) -> list[Block]:
    """Those of them that a test runs."""
    return [block for block in commands(page) if block.title is None]
