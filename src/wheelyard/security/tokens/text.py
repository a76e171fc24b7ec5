"""A report on tokens and renewals as text: a line, a table, an issue, the expiry table."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from wheelyard.io import log
from wheelyard.io.table import table_text
from wheelyard.records import expiry_table
from wheelyard.records.expiry_table import Expiry
from wheelyard.security.token_report import STATES

_FRESH = timedelta(days=30)  # a line with the same day stays for so long: else every check would change the page

if TYPE_CHECKING:
    from wheelyard.security.token_report import State, TokenReport

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
    """Return the number of findings of each state but ``ok``, the worst first."""
    states = [finding.state for finding in report.findings]
    counted = [f"{states.count(state)} {_WORDS[state]}" for state in reversed(STATES[1:]) if state in states]
    return ", ".join(counted) or "all well"


def findings_table(report: TokenReport) -> str:
    """Return all findings as a table, and the fixes."""
    rows = [
        (finding.state, finding.name, "" if finding.days is None else str(finding.days), log.redact(finding.text))
        for finding in report.findings
    ]
    fixes = dict.fromkeys((finding.name, finding.fix) for finding in report.findings if finding.fix)
    lines = [table_text(("state", "name", "days", "finding"), rows)]
    if fixes:
        lines += ["", "To fix:", *(f"  {name}: {log.clean(log.redact(fix))}" for name, fix in fixes)]
    return "\n".join(lines)


def issue_body(report: TokenReport) -> str:
    """Return an issue's text in Markdown: all findings, the worst first, and the fixes."""
    order = sorted(report.findings, key=lambda finding: -STATES.index(finding.state))
    rows = [f"| {finding.state} | {_cell(finding.name)} | {_cell(finding.text)} |" for finding in order]
    fixes = dict.fromkeys(f"- {_cell(finding.name)}: {_cell(finding.fix)}" for finding in order if finding.fix)
    return "\n".join(
        [
            "| state | name | finding |",
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
    """Return *text* without mentions and line ends, whatever a server sent."""
    return log.redact(log.clean(text)).replace("|", "\\|").replace("<", "&lt;").replace("@", "&#64;")


def ends_page(page: str, report: TokenReport) -> str:
    """Return *page* with the expiry of each token and renewal, between its two marks.

    A line stays as it is if the report has no day for it, and for a month if the day is the same.

    Raises:
        ValueError: the page has no such marks.
    """
    today, names = report.checked.date(), {finding.name for finding in report.findings}
    expiring = [finding for finding in report.findings if finding.expires]
    lines = {finding.name: Expiry(finding.name, str(finding.expires), str(today)) for finding in expiring}
    for line in expiry_table.parse(page):
        new = lines.setdefault(line.name, line)
        if new.ends == line.ends and line.checked > str(today - _FRESH):
            lines[line.name] = line
    return expiry_table.replaced(page, [line for name, line in lines.items() if name in names])
