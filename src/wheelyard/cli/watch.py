"""``wheelyard check-upstream`` and ``wheelyard ledger``: their words and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.io import log
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.project.config import Project
    from wheelyard.watch.status_report import History, WatchReport

_NOTHING = "there is no recipe in recipes/"
_PROPOSE = "wheelyard check-upstream --propose"
_MERGE = "look at what is proposed, and merge it"


@click.command("check-upstream", short_help="Tell which packages have news upstream.")
@click.argument("packages", metavar="[PACKAGE...]", nargs=-1)
@click.option(
    "--of",
    "target",
    metavar="REGISTRY|DIR|none",
    help="Our registry, by default the only one of the site configuration; none compares with no registry.",
)
@click.option("--propose", is_flag=True, help="Keep one merge or pull request for each package that has news.")
@click.option(
    "--limit", type=click.IntRange(0), help="With --propose: how many may be open, by default site configuration's."
)
@click.option("--dry-run", is_flag=True, help="Write no ledger; with --propose: say what would become of each request.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def check_upstream(
    packages: tuple[str, ...], target: str | None, limit: int | None, *, propose: bool, dry_run: bool, as_json: bool
) -> None:
    """Tell how each PACKAGE, by default every recipe's, stands between the public index and our registry.

    Brings packages/<pkg>/history.toml up to date; --propose changes branches and requests of its own, nothing else. The
    exit code is 0 if nothing is to do, 17 if there is, 18 if some packages could not be checked.
    """
    from wheelyard.cli import render
    from wheelyard.cli.requirements import own_registry
    from wheelyard.watch import check_upstream as watch

    if limit is not None and not propose:
        raise click.UsageError("--limit goes with --propose")
    project = find_project()
    registry = own_registry(project, target)
    if not propose:
        report = watch.check_upstream(project, packages, registry=registry, write=not dry_run)
        click.echo(render.model(report) if as_json else standings_table(report))
        failure = watch.problem(report, fix=_PROPOSE if project.config.change_requests else "")
    else:
        from wheelyard.forges.site_forge import forge_of
        from wheelyard.watch import propose_updates as flow

        with forge_of(project, dry_run=dry_run) as (forge, config):  # first: it may have no token for us
            report = watch.check_upstream(project, packages, registry=registry, write=not dry_run)
            most = config.limit if limit is None else limit
            report = flow.propose(project, report, forge, limit=most, labels=config.labels)
        click.echo(render.model(report) if as_json else f"{standings_table(report)}\n\n{proposals_table(report)}")
        failure = flow.problem(report) or watch.problem(report, fix=_PROPOSE if dry_run else _MERGE)
    if failure:
        raise failure


def standings_table(report: WatchReport) -> str:
    """Return a report for people: what needs somebody last, where the eye is."""
    from wheelyard.watch.status_report import STATES

    if not report.packages:
        return _NOTHING
    rows = [
        (each.package, each.state, each.have or "-", each.newest or "-", log.clean(each.text))
        for each in sorted(report.packages, key=lambda each: (STATES.index(each.state), each.package))
    ]
    lines = [log.table(("package", "state", "pinned", "upstream", "what"), rows)]
    for each in report.packages:
        lines += [f"note: {each.package}: {log.clean(note)}" for note in each.notes]
        lines += [f"note: {each.package}: {one.version} is left alone until {one.until}" for one in each.waiting]
    if not report.registry:
        lines.append("note: compared with no registry of ours, so nobody looked for missing wheels")
    return "\n".join(lines)


def proposals_table(report: WatchReport) -> str:
    """Return what became, or would become, of each proposal."""
    if not report.proposals:
        return "nothing to propose"
    rows = [
        (each.package, each.action, log.clean(each.title), each.url or log.clean(each.text))
        for each in report.proposals
    ]
    return log.table(("package", "proposal", "title", "where"), rows)


@click.command(short_help="Tell when wheels came: ours and upstream's.")
@click.argument("packages", metavar="[PACKAGE...]", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def ledger(packages: tuple[str, ...], *, as_json: bool) -> None:
    """Tell for each PACKAGE since when its versions are on riscv64, from the ledgers alone."""
    from wheelyard.cli import render
    from wheelyard.watch.history_summary import histories
    from wheelyard.watch.status_report import Histories

    project: Project = find_project()
    found = histories(project, packages)
    if as_json:
        click.echo(render.model(Histories(packages=found)))
    else:
        click.echo("\n\n".join(history_text(each) for each in found) or _NOTHING)


def history_text(history: History) -> str:
    """Return one package through time, for people."""
    rows = [
        (
            each.version,
            each.released or "-",
            each.ours or "-",
            "-" if each.ours_after is None else each.ours_after,
            each.upstream or "-",
            "-" if each.upstream_after is None else each.upstream_after,
            each.upstream_gone or "",
        )
        for each in history.versions
    ]
    head = history.package
    if history.ships_since:
        head += f": upstream's first riscv64 wheels are of {history.ships_since}; the first came on {history.began}"
    if not rows:
        return f"{head}: nothing is known yet; wheelyard check-upstream {history.package}"
    columns = ("version", "released", "ours", "days later", "upstream's", "days later", "gone")
    return f"{head}\n{log.table(columns, rows)}"
