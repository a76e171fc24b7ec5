"""The expiry table of tokens: it is in ``docs/how-to/infrastructure.md``, between two marks; people write the rest."""

from __future__ import annotations

import re
from typing import NamedTuple

PAGE = "docs/how-to/infrastructure.md"
BEGIN, END = "<!-- check-tokens: begin -->", "<!-- check-tokens: end -->"
_LINE = re.compile(r"\A\| `([^`]+)` \| (\d{4}-\d\d-\d\d) \| (\d{4}-\d\d-\d\d) \|\Z", re.ASCII)


class Ending(NamedTuple):
    """One line of the table.

    Attributes:
        name: of the token or renewal.
        ends: the day on which it does.
        seen: the day on which that was seen.
    """

    name: str
    ends: str
    seen: str

    @property
    def key(self) -> tuple[str, ...]:
        """What there is one line of."""
        return (self.name,)


def parse(page: str) -> tuple[Ending, ...]:
    """Return the lines of the table.

    Raises:
        ValueError: the page has no such marks.
    """
    _, table, _ = _split(page)
    return tuple(Ending(*match.groups()) for match in map(_LINE.match, table.splitlines()) if match)


def replaced(page: str, endings: list[Ending]) -> str:
    """Return the page with these lines.

    Raises:
        ValueError: the page has no such marks.
    """
    before, _, after = _split(page)
    lines = (f"| `{name}` | {ends} | {seen} |\n" for name, ends, seen in sorted(endings))
    return f"{before}{BEGIN}\n| what | ends | seen |\n|---|---|---|\n{''.join(lines)}{END}{after}"


def later(one: Ending, two: Ending) -> Ending:
    """Return which of two lines of one name holds: what was seen last; of two that say the same, what was seen first.

    So nothing changes for a look that tells nothing new.
    """
    if one.ends == two.ends:
        return min(one, two, key=lambda each: each.seen)
    return max(one, two, key=lambda each: each.seen)


def _split(page: str) -> tuple[str, str, str]:
    before, found, rest = page.partition(BEGIN)
    table, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError("its marks are not there")
    return before, table, after
