"""The pages that people read: their commands, examples and links, taken from the pages themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# In the order in which a newcomer meets them.
PAGES = (
    "README.md",
    "docs/tutorial/porting.md",
    "docs/how-to/images.md",
    "docs/how-to/installing.md",
    "CONTRIBUTING.md",
)
ALL = sorted({*PAGES, *(str(file.relative_to(ROOT)) for file in (ROOT / "docs").rglob("*.md"))})


@dataclass(frozen=True)
class Snippet:
    """A piece of a page.

    Attributes:
        page: its path in the project.
        line: where it begins.
        language: what its fence says, empty for an indented block.
        text: what it says.
    """

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def snippets(page: str) -> list[Snippet]:
    """Return the code blocks of a page, fenced and indented (CommonMark 4.4, 4.5)."""
    found: list[Snippet] = []
    block: list[str] = []
    fence: str | None = None
    start = 0
    for number, line in enumerate([*(ROOT / page).read_text(encoding="utf-8").splitlines(), ""], 1):
        if mark := re.match(r"```(\w*)\s*\Z", line):
            if fence is None:
                fence, block, start = mark[1], [], number + 1
            else:
                found.append(Snippet(page, start, fence, "\n".join(block)))
                fence, block = None, []
        elif fence is not None:
            block.append(line)
        elif line.startswith("    "):
            start = start if block else number
            block.append(line[4:])
        elif block:
            found.append(Snippet(page, start, "", "\n".join(block)))
            block = []
    assert fence is None, f"{page}: a fence is not closed"
    return found


def commands(page: str) -> list[Snippet]:
    """Return the commands of a page, one each: blocks marked `console`, and indented ones."""
    return [
        Snippet(page, each.line + offset, each.language, text)
        for each in snippets(page)
        if each.language in {"console", ""}
        for offset, line in enumerate(each.text.splitlines())
        if (text := re.sub(r"\s+#\s.*\Z", "", line).strip())
    ]


def links(page: str) -> list[str]:
    """Return the targets of a page's links."""
    text = re.sub(r"(?ms)^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"))
    return re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(page: str) -> set[str]:
    """Return the names of a page's headings, as forges make them."""
    heads = re.findall(r"(?m)^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
