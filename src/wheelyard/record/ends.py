"""When tokens and renewals end: a table in ``docs/infrastructure.md``, between two marks; the rest is people's."""

from __future__ import annotations

PAGE = "docs/infrastructure.md"
BEGIN, END = "<!-- check-tokens: begin -->", "<!-- check-tokens: end -->"


def split(page: str) -> tuple[str, str, str]:
    """Return what stands before the table, the table, and what comes after it; the marks are in neither.

    Raises:
        ValueError: the page has no such marks.
    """
    before, found, rest = page.partition(BEGIN)
    table, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError("its marks are not there")
    return before, table, after


def join(before: str, table: str, after: str) -> str:
    """Return the page of these parts."""
    return f"{before}{BEGIN}{table}{END}{after}"
