"""``wheelyard check-upstream``: report the status of packages against upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.history import NO_RECIPE
from wheelyard.cli.options import (
    dry_run_option,
    json_option,
    open_optional,
    optional_registry_option,
    packages_argument,
)
from wheelyard.io import log
from wheelyard.io.table import table_text
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.watch.status_report import WatchReport

_PROPOSE = "wheelyard check-upstream --propose"
_MERGE = "review the change requests, and merge them"


@click.command("check-upstream")
@packages_argument
@optional_registry_option
@click.option("--propose", is_flag=True, help="Keep one change request for each package that has news.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    help="With --propose: most open change requests.",
)
@dry_run_option("Write no history; with --propose: show the change requests, open and change none.")
@json_option
def check_upstream(
    packages: tuple[str, ...], registry: str | None, limit: int | None, *, propose: bool, dry_run: bool, as_json: bool
) -> None:
    """Report the status of PACKAGE, by default of every recipe, between the public index and our registry.

    Updates packages/<pkg>/history.toml; --propose changes branches and change requests of its own, nothing else. The
    exit code is 0 if there is nothing to do, 17 if there is, 18 if some packages could not be checked.
    """
    from wheelyard.watch import check_upstream as watch

    if limit is not None and not propose:
        raise click.UsageError("--limit goes with --propose")
    project = find_project()
    opened = open_optional(project, registry)
    if not propose:
        report = watch.check_upstream(project, packages, registry=opened, write=not dry_run)
        click.echo(output.model(report) if as_json else status_text(report))
        failure = watch.problem(report, fix=_PROPOSE if project.config.change_requests else "")
    else:
        from wheelyard.forges.site_forge import open_site_forge
        from wheelyard.watch import propose_updates

        with open_site_forge(project, dry_run=dry_run) as (forge, config):  # first: it may have no token for us
            report = watch.check_upstream(project, packages, registry=opened, write=not dry_run)
            most = config.limit if limit is None else limit
            report = propose_updates.propose(project, report, forge, limit=most, labels=config.labels)
        click.echo(output.model(report) if as_json else f"{status_text(report)}\n\n{requests_text(report)}")
        failure = propose_updates.problem(report) or watch.problem(report, fix=_PROPOSE if dry_run else _MERGE)
    if failure:
        raise failure


def status_text(report: WatchReport) -> str:
    """Return a report for people: packages that need work come last, where the eye is."""
    from wheelyard.watch.status_report import STATES

    if not report.packages:
        return NO_RECIPE
    rows = [
        (status.package, status.state, status.pinned or "-", status.newest or "-", log.clean(status.text))
        for status in sorted(report.packages, key=lambda status: (STATES.index(status.state), status.package))
    ]
    lines = [table_text(("package", "state", "pinned", "upstream", "what"), rows)]
    for status in report.packages:
        lines += [f"note: {status.package}: {log.clean(note)}" for note in status.notes]
        lines += [
            f"note: {status.package}: {release.version} is left alone until {release.until}"
            for release in status.waiting
        ]
    if not report.registry:
        lines.append("note: compared with no registry, so missing wheels are not reported")
    return "\n".join(lines)


def requests_text(report: WatchReport) -> str:
    """Return the change requests that are kept, or would be."""
    if not report.change_requests:
        return "nothing to propose"
    rows = [
        (record.package, record.action, log.clean(record.title), record.url or log.clean(record.text))
        for record in report.change_requests
    ]
    return table_text(("package", "change request", "title", "where"), rows)
