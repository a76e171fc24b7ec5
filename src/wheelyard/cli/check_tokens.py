"""``wheelyard check-tokens``: report when tokens and renewals expire, or renew a token."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import dry_run_option, issues_option, json_option
from wheelyard.core.errors import WheelyardError
from wheelyard.io import files, log
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from datetime import date, datetime

    from wheelyard.project.config import Project
    from wheelyard.security.token_report import IssueRecord
    from wheelyard.security.tokens import RotatedToken

_PRIVATE = 0o600


@click.command("check-tokens")
@issues_option
@dry_run_option("With --issues: show the issue, change nothing.")
@click.option("--record", is_flag=True, help="Write the days on which they expire into docs/how-to/infrastructure.md.")
@click.option("--rotate", "name", metavar="NAME", help="Renew this group token by itself; shows the new one, once.")
@click.option(
    "--expires",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d"]),
    help="With --rotate: the day on which the new token expires; by default in a year minus a day.",
)
@click.option(
    "--token-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="With --rotate: write the new token to this file, which only you can read, and do not show it.",
)
@json_option
def check_tokens(
    name: str | None,
    expires: datetime | None,
    token_file: Path | None,
    *,
    issues: bool,
    record: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Report when the tokens and renewals of the site configuration expire, and whether tokens have the right scopes.

    Changes nothing, unless --issues, --record or --rotate is given.
    """
    if name is None:
        if expires or token_file:
            raise click.UsageError("--expires and --token-file go with --rotate")
        if dry_run and not issues:
            raise click.UsageError("--dry-run goes with --issues")
        _check(find_project(), issues=issues, record=record, dry_run=dry_run, as_json=as_json)
        return
    if issues or record or dry_run or as_json:
        raise click.UsageError("--rotate goes with --expires and --token-file only")
    if token_file is None and os.environ.get("CI"):
        raise click.UsageError("standard output stays in the job's log: give --token-file FILE")
    _rotate(find_project(), name, expires.date() if expires else None, token_file)


def _check(project: Project, *, issues: bool, record: bool, dry_run: bool, as_json: bool) -> None:
    from wheelyard.security import check_tokens as tokens
    from wheelyard.security.tokens.text import findings_table

    report, failure = tokens.check_tokens(project), None
    if issues:
        try:
            report = tokens.keep_issue(project, report, dry_run=dry_run)
        except WheelyardError as error:
            failure = error
    if record:
        tokens.record_ends(project, report)
    if as_json:
        click.echo(log.redact(output.as_json(report.model_dump(mode="json"))))
    else:
        click.echo(findings_table(report))
        if report.issue:
            click.echo(f"\n{_issue(report.issue)}")
    output.raise_worst(tokens.problem(report), failure)


def _issue(issue: IssueRecord) -> str:
    written = {"open": "opened", "update": "changed", "keep": "is as it should be", "close": "closed"}
    planned = {"open": "would be opened", "update": "would be changed", "keep": "is as it should be"}
    planned["close"] = "would be closed"
    if issue.action == "none":
        return "issue: there is none, and none is needed"
    words = (written if issue.written else planned)[issue.action]
    return " ".join(filter(None, ["issue", words + (":" if issue.url or issue.title else ""), issue.url, issue.title]))


def _rotate(project: Project, name: str, expires: date | None, target: Path | None) -> None:
    from wheelyard.security import check_tokens as tokens

    if target is None:
        token = tokens.rotate(project, name, expires)
        click.echo(token.secret)
    else:
        if target.exists():
            raise click.UsageError(f"{target} is there already")
        try:  # better to fail before the old token has ended than after
            files.write_bytes(target, b"", mode=_PRIVATE)
        except OSError as error:
            raise click.UsageError(f"{target} cannot be written: {error.strerror}") from error
        try:
            token = tokens.rotate(project, name, expires)
        except BaseException:
            files.remove(target)
            raise
        _keep(token, target)
    log.info(f"renewed until {token.expires}; the old one has ended: put the new one wherever the old one is kept")


def _keep(token: RotatedToken, target: Path) -> None:
    try:
        files.write_bytes(target, f"{token.secret}\n".encode(), mode=_PRIVATE)
    except WheelyardError:
        if not os.environ.get("CI"):
            click.echo(token.secret)
        log.error(f"{token.name} is renewed, and could not be written to {target}")
        raise
