"""docs/how-to/infrastructure.md: its table is site configuration's, and when tokens end is written into it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest

from support.pages import ROOT
from wheelyard.project.config import find_project
from wheelyard.records import expiry_table as ends
from wheelyard.records.expiry_table import BEGIN, END, Expiry, replaced
from wheelyard.records.merge import merge
from wheelyard.security.token_report import TokenFinding, TokenReport
from wheelyard.security.tokens.text import ends_page

PAGE = (ROOT / "docs/how-to/infrastructure.md").read_text(encoding="utf-8")


def test_the_table_says_what_site_policy_says() -> None:
    rows = re.findall(r"(?m)^\| `(\S+)` \| (group|deploy) \| (\S+) \| (.+) \| `(\w+)` \|$", PAGE)
    wanted = [
        (
            each.name,
            each.kind,
            getattr(each, "role", "\N{EN DASH}"),
            ", ".join(f"`{scope}`" for scope in sorted(each.scopes)),
            each.variable,
        )
        for each in find_project(ROOT).config.tokens
    ]
    assert rows == wanted


def report(day: int, **ends: date | None) -> TokenReport:
    findings = [TokenFinding(name=name, kind="group", state="ok", text="", expires=end) for name, end in ends.items()]
    checked = datetime(2026, 8, day, tzinfo=UTC)
    return TokenReport(checked=checked, warn_days=30, state="ok", findings=tuple(findings))


def test_what_was_seen_stays_until_it_is_seen_again() -> None:
    first = ends_page(PAGE, report(1, one=date(2027, 4, 19), two=date(2027, 6, 29)))
    assert "| `one` | 2027-04-19 | 2026-08-01 |" in first
    then = ends_page(first, report(2, one=None, two=date(2028, 6, 1)))
    assert "| `one` | 2027-04-19 | 2026-08-01 |" in then
    assert "| `two` | 2028-06-01 | 2026-08-02 |" in then
    assert "`one`" not in ends_page(then, report(3, two=date(2028, 6, 1)))
    assert then.partition(BEGIN)[0] == PAGE.partition(BEGIN)[0]
    assert then.partition(END)[2] == PAGE.partition(END)[2]


def test_a_line_that_still_holds_stays_for_a_month() -> None:
    page = ends_page(PAGE, report(1, one=date(2027, 4, 19)))
    assert ends_page(page, report(30, one=date(2027, 4, 19))) == page
    assert "| `one` | 2027-04-19 | 2026-08-31 |" in ends_page(page, report(31, one=date(2027, 4, 19)))
    assert "| `one` | 2028-04-19 | 2026-08-02 |" in ends_page(page, report(2, one=date(2028, 4, 19)))


def page(**lines: tuple[int, int]) -> bytes:
    """Return a page on which each token ends in some year, as was seen on some day."""
    endings = [Expiry(name, f"{year}-01-01", f"2026-08-{day:02}") for name, (year, day) in lines.items()]
    return replaced(PAGE, endings).encode()


@pytest.mark.parametrize(
    ("old", "ours", "theirs", "joined"),
    [
        (page(), page(a=(2027, 1)), page(), page(a=(2027, 1))),
        (page(), page(a=(2027, 2)), page(a=(2027, 1)), page(a=(2027, 1))),  # an open request, and nothing new
        (page(), page(a=(2028, 2)), page(a=(2027, 1)), page(a=(2028, 2))),  # it was renewed meanwhile
        (page(a=(2027, 1)), page(a=(2027, 1)), page(a=(2028, 2)), page(a=(2028, 2))),  # a person wrote it down
        (page(), page(a=(2027, 1)), page(a=(2028, 2)), page(a=(2028, 2))),
        (page(a=(2027, 1)), page(), page(a=(2027, 1), b=(2027, 2)), page(b=(2027, 2))),  # it is watched no more
        (None, page(a=(2027, 1)), page(), page(a=(2027, 1))),
        (page(), page(a=(2027, 1)), None, None),
        (page(), b"# Nothing", page(), page()),
    ],
)
def test_tables_of_two_sides_become_one(
    old: bytes | None, ours: bytes | None, theirs: bytes | None, joined: bytes | None
) -> None:
    assert merge(ends.PAGE, old, ours, theirs) == joined
    if theirs and joined:
        assert merge(ends.PAGE, old, ours, b"# What a person says\n" + theirs) == b"# What a person says\n" + joined


def test_a_page_without_its_marks_is_told() -> None:
    with pytest.raises(ValueError, match="marks"):
        ends_page("# nothing\n", report(1))
