"""How tokens and renewals stand, in words: a line, a table, and the text of an issue."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from wheelyard.io import log
from wheelyard.records import expiry_table
from wheelyard.records.expiry_table import Expiry
from wheelyard.security.token_report import STATES

_FRESH = timedelta(days=30)  # for so long a line that still holds stays as it is: else every look would change the page

if TYPE_CHECKING:
    from wheelyard.security.token_report import State, TokenFinding, TokenReport

_WORDS: dict[State, str] = {
    "dead": "dead",
    "over-scoped": "over-scoped",
    "under-scoped": "under-scoped",
    "due": "due soon",
    "missing": "missing",
    "unknown": "not known",
    "unreachable": "not reachable",
}


def summary(report: TokenReport) -> str:
    """Return how many findings there are of each state that is not well, the worst first."""
    states = [each.state for each in report.findings]
    counted = [f"{states.count(state)} {_WORDS[state]}" for state in reversed(STATES[1:]) if state in states]
    return ", ".join(counted) or "all well"


def findings_table(report: TokenReport) -> str:
    """Return all findings as a table, then what to do about those that are not well."""
    rows = [
        (each.state, each.name, "" if each.days is None else str(each.days), log.redact(each.text))
        for each in report.findings
    ]
    fixes = dict.fromkeys((each.name, each.fix) for each in report.findings if each.fix)
    lines = [log.table(("state", "what", "days", "found"), rows)]
    if fixes:
        lines += ["", "To fix:", *(f"  {name}: {log.clean(log.redact(fix))}" for name, fix in fixes)]
    return "\n".join(lines)


def issue_body(report: TokenReport) -> str:
    """Return an issue's text in Markdown: all findings, the worst first, and what to do."""
    order = sorted(report.findings, key=lambda each: -STATES.index(each.state))  # stable: policy's order within
    rows = [f"| {each.state} | {_cell(each.name)} | {_cell(each.text)} |" for each in order]
    fixes = dict.fromkeys(f"- {_cell(each.name)}: {_cell(each.fix)}" for each in order if each.fix)
    return "\n".join(
        [
            "| state | what | found |",
            "|---|---|---|",
            *rows,
            "",
            "What to do:",
            "",
            *fixes,
            "",
            "`wheelyard check-tokens --issues` keeps this issue until all is well; see docs/how-to/tokens.md.",
        ]
    )


def _cell(text: str) -> str:
    """Return *text* so that it mentions nobody and stays in its cell, whatever a server said."""
    return log.redact(log.clean(text)).replace("|", "\\|").replace("<", "&lt;").replace("@", "&#64;")


def ends_page(page: str, report: TokenReport) -> str:
    """Return *page* with when each token and renewal ends, between its two marks.

    Lines of what the report has no day for stay as they are, they say when it was last seen; and for a month those that
    say the same.

    Raises:
        ValueError: the page has no such marks.
    """
    today, names = report.checked.date(), {each.name for each in report.findings}
    known = {each.name: Expiry(each.name, str(each.expires), str(today)) for each in _ending(report)}
    for line in expiry_table.parse(page):
        now = known.setdefault(line.name, line)
        if now.ends == line.ends and line.checked > str(today - _FRESH):
            known[line.name] = line
    return expiry_table.replaced(page, [line for name, line in known.items() if name in names])


def _ending(report: TokenReport) -> list[TokenFinding]:
    return [each for each in report.findings if each.expires]
