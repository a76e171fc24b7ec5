"""Issues of a kind, one for each package: opened when something is wrong with it, changed in place, closed when well.

What a night finds again is the same issue, never a second one; the forge finds it by its key and label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.core.errors import WheelyardError
from wheelyard.forges.issue_report import TicketRecord
from wheelyard.io import log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wheelyard.forges import Issues


@dataclass(frozen=True)
class Ticket:
    """What an issue is to say.

    Attributes:
        title: one line.
        body: Markdown; what others wrote goes through :func:`inline` first.
    """

    title: str
    body: str


def keep(
    issues: Issues,
    kind: str,
    wanted: Mapping[str, Ticket],
    *,
    well: Callable[[str], bool],
    comment: str,
    labels: Sequence[str],
) -> tuple[TicketRecord, ...]:
    """Open or change the issue of each package in *wanted*, and close those of packages that are well again.

    One that fails does not keep the others back.

    Args:
        issues: the forge.
        kind: of what, such as ``failure``; with the package's name it is the issue's key.
        wanted: what each issue is to say, by package.
        well: whether nothing is wrong any more with a package whose issue is open; else that is left alone.
        comment: the last word below an issue that is closed.
        labels: what every issue bears; the first one tells this kind's from others.

    Returns:
        What became of each, by package.

    Raises:
        CredentialsError: we may not see issues there.
        NetworkError: the forge does not answer.
    """
    there = issues.open_issues(labels)
    open_for = (key.removeprefix(f"{kind}/") for key in there if key.startswith(f"{kind}/"))
    over = [package for package in open_for if package not in wanted and well(package)]
    records = []
    for package in sorted([*wanted, *over]):
        key, title = f"{kind}/{package}", ""
        try:
            if package in wanted:
                title = wanted[package].title
                change = issues.upsert_issue(key, title, wanted[package].body, labels)
            else:
                change = issues.close_issue(key, comment, labels)
        except WheelyardError as error:
            records.append(TicketRecord(package=package, key=key, action="error", title=title, text=error.head))
        else:
            records.append(TicketRecord(package=package, key=key, action=change.action, title=title, url=change.url))
    return tuple(records)


def problem(records: Sequence[TicketRecord]) -> WheelyardError | None:
    """Return the error of issues that could not be written, None if all could."""
    failed = [f"{each.package}: {each.text}" for each in records if each.action == "error"]
    if not failed:
        return None
    return WheelyardError(
        f"{len(failed)} issue(s) could not be written", details=failed, fix="run the same command again: none doubles"
    )


def tickets_table(records: Sequence[TicketRecord]) -> str:
    """Return what became of issues, for people."""
    if not records:
        return "no issue is open, and none is needed"
    rows = [(each.package, each.action, each.title or each.text, each.url or "-") for each in records]
    return log.table(("package", "issue", "title", "where"), rows)


def inline(text: str, most: int = 300) -> str:
    """Return *text* for one line of Markdown: it mentions nobody, links nowhere and stays in its cell."""
    tame = log.redact(log.clean(text)).strip()
    tame = tame if len(tame) <= most else f"{tame[: most - 1]}…"
    for char, instead in (("&", "&amp;"), ("<", "&lt;"), ("@", "&#64;"), ("[", "&#91;"), ("`", "&#96;"), ("|", "\\|")):
        tame = tame.replace(char, instead)
    return tame
