"""Issues of one kind, one for each package: opened when something is wrong, updated in place, closed when it is solved.

The next run finds the same issue by its key and label, and opens no second one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.core.errors import WheelyardError
from wheelyard.forges.issue_report import IssueReport
from wheelyard.io import log
from wheelyard.io.table import table_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wheelyard.forges import Issues


@dataclass(frozen=True)
class IssueText:
    """The text of an issue.

    Attributes:
        title: one line.
        body: Markdown; the words of others go through :func:`inline` first.
    """

    title: str
    body: str


def sync(
    issues: Issues,
    kind: str,
    texts: Mapping[str, IssueText],
    *,
    is_solved: Callable[[str], bool],
    comment: str,
    labels: Sequence[str],
) -> tuple[IssueReport, ...]:
    """Open or update the issue of each package in *texts*, and close the issues that are solved.

    An issue that fails does not stop the others.

    Args:
        issues: the forge.
        kind: their kind, such as ``failure``; with the package's name it is the issue's key.
        texts: the text of each issue, by package.
        is_solved: whether nothing is wrong any more with a package whose issue is open; else the issue stays.
        comment: the last comment of an issue that is closed.
        labels: the labels of every issue; the first one is this kind's own.

    Returns:
        The action on each issue, by package.

    Raises:
        CredentialsError: the token may not read issues there.
        NetworkError: the forge does not answer.
    """
    open_keys = issues.open_issues(labels)
    open_for = (key.removeprefix(f"{kind}/") for key in open_keys if key.startswith(f"{kind}/"))
    solved = [package for package in open_for if package not in texts and is_solved(package)]
    records = []
    for package in sorted([*texts, *solved]):
        key, title = f"{kind}/{package}", ""
        try:
            if package in texts:
                title = texts[package].title
                change = issues.upsert_issue(key, title, texts[package].body, labels)
            else:
                change = issues.close_issue(key, comment, labels)
        except WheelyardError as error:
            records.append(IssueReport(package=package, key=key, action="error", title=title, text=error.head))
        else:
            records.append(IssueReport(package=package, key=key, action=change.action, title=title, url=change.url))
    return tuple(records)


def sync_error(records: Sequence[IssueReport]) -> WheelyardError | None:
    """Return the error of issues that could not be written, None if all could."""
    failed = [f"{record.package}: {record.text}" for record in records if record.action == "error"]
    if not failed:
        return None
    return WheelyardError(
        f"{len(failed)} issue(s) could not be written",
        details=failed,
        fix="run the same command again: it opens none twice",
    )


def issues_table(records: Sequence[IssueReport]) -> str:
    """Return a table of the actions on issues."""
    if not records:
        return "no issue is open, and none is needed"
    rows = [(record.package, record.action, record.title or record.text, record.url or "-") for record in records]
    return table_text(("package", "issue", "title", "where"), rows)


def inline(text: str, most: int = 300) -> str:
    """Return *text* for one line of Markdown, without mentions, links and cell borders."""
    plain = log.redact(log.clean(text)).strip()
    plain = plain if len(plain) <= most else f"{plain[: most - 1]}…"
    for char, instead in (("&", "&amp;"), ("<", "&lt;"), ("@", "&#64;"), ("[", "&#91;"), ("`", "&#96;"), ("|", "\\|")):
        plain = plain.replace(char, instead)
    return plain
