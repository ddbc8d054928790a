"""The pages of the documentation and their code blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
BLOCK = re.compile(r"(?:^<!-- (?P<mark>.*?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes:
        language: as the fence names it, such as "bash".
        code: its lines.
        mark: text of the HTML comment on the line before it, or "".
        line: number of its first line in the page, from 1.
    """

    language: str
    code: str
    mark: str
    line: int

    @property
    def runs(self) -> bool:
        """Returns whether it has commands or Python code that the tests run."""
        return self.language in ("bash", "python") and not self.mark.startswith(("not run", "file: "))


def blocks(page: Path) -> list[Block]:
    """Returns the code blocks of a page in their order."""
    text = page.read_text("utf-8")
    return [
        Block(
            found["language"],
            found["code"],
            found["mark"] or "",
            text.count("\n", 0, found.start("code")) + 1,
        )
        for found in BLOCK.finditer(text)
    ]


def name(page: Path) -> str:
    """Returns a page's path inside the repository."""
    return page.relative_to(ROOT).as_posix()
