"""The expiry table of tokens: in ``docs/how-to/infrastructure.md``, between two marks; people write the rest."""

from __future__ import annotations

import re
from typing import NamedTuple

PAGE = "docs/how-to/infrastructure.md"
BEGIN, END = "<!-- check-tokens: begin -->", "<!-- check-tokens: end -->"
_LINE = re.compile(r"\A\| `([^`]+)` \| (\d{4}-\d\d-\d\d) \| (\d{4}-\d\d-\d\d) \|\Z", re.ASCII)


class Expiry(NamedTuple):
    """One line of the table.

    Attributes:
        name: of the token or renewal.
        ends: the day on which it expires.
        checked: the day on which that was checked.
    """

    name: str
    ends: str
    checked: str

    @property
    def key(self) -> tuple[str, ...]:
        """The values that only one line has."""
        return (self.name,)


def parse(page: str) -> tuple[Expiry, ...]:
    """Return the lines of the table.

    Raises:
        ValueError: the page has no such marks.
    """
    _, table, _ = _split(page)
    return tuple(Expiry(*match.groups()) for match in map(_LINE.match, table.splitlines()) if match)


def replaced(page: str, expiries: list[Expiry]) -> str:
    """Return the page with these lines.

    Raises:
        ValueError: the page has no such marks.
    """
    before, _, after = _split(page)
    lines = (f"| `{name}` | {ends} | {checked} |\n" for name, ends, checked in sorted(expiries))
    return f"{before}{BEGIN}\n| what | ends | seen |\n|---|---|---|\n{''.join(lines)}{END}{after}"


def later(first: Expiry, second: Expiry) -> Expiry:
    """Return the line that counts of two with one name: the one checked last; of two with one day, checked first.

    So the page does not change for a check that finds the same day again.
    """
    if first.ends == second.ends:
        return min(first, second, key=lambda expiry: expiry.checked)
    return max(first, second, key=lambda expiry: expiry.checked)


def _split(page: str) -> tuple[str, str, str]:
    before, begin, rest = page.partition(BEGIN)
    table, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no marks")
    return before, table, after
