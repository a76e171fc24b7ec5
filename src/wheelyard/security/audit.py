"""``audit``: known vulnerabilities of what is published, version by version, and the issue of each package."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from packaging.version import Version

from wheelyard.core.errors import ConfigError, UnknownPackageError, VulnerableError, WheelyardError
from wheelyard.core.names import canonical, did_you_mean
from wheelyard.core.tags import WheelName
from wheelyard.forges import sync_issues
from wheelyard.forges.site_forge import open_site_forge
from wheelyard.forges.sync_issues import IssueText, inline
from wheelyard.io import log
from wheelyard.records.releases import RELEASES
from wheelyard.security import osv
from wheelyard.security.vulnerability_report import AuditReport, Ignored, Vulnerability

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from wheelyard.project.config import Project
    from wheelyard.security.osv import Advisory, Subject

KIND = "vulnerability"
_HOW = (
    "Build and publish a fixed version, and yank this one; or, if it does no harm here, say so in "
    "`[[tool.wheelyard.audit.ignore]]`. `wheelyard audit --issues` keeps this issue, and closes it when nothing that "
    "is published is affected any more; see docs/how-to/audit.md."
)


def audit(project: Project, packages: Sequence[str] = ()) -> AuditReport:
    """Return what is known of each published version of *packages*, of all by default, by our records.

    What is yanked is left out: nobody gets it unasked.

    Raises:
        UnknownPackageError: nothing of that name is published.
        RegistryContentError: a record cannot be used.
        NetworkError: OSV does not answer.
    """
    published = _published(project, packages)
    now = datetime.now(UTC).replace(microsecond=0)
    with log.step(f"Asking for vulnerabilities of {len(published)} versions"):
        told = osv.vulnerabilities(_server(project), tuple(published)) if published else {}
    found = []
    for (package, version), where in published.items():
        for advisory in told[package, version]:
            ignored = _ignored(project, package, advisory, now.date())
            found.append(
                Vulnerability(
                    package=package,
                    version=version,
                    id=advisory.id,
                    aliases=advisory.aliases,
                    summary=advisory.summary,
                    fixed=tuple(str(each) for each in advisory.fixed if each > Version(version)),
                    url=advisory.url,
                    registries=where,
                    ignored=ignored,
                )
            )
    return AuditReport(
        checked=now,
        packages=len({package for package, _ in published}),
        versions=len(published),
        vulnerabilities=tuple(found),
        expired=_expired(project, found, now.date(), whole=not packages),
    )


def problem(report: AuditReport) -> WheelyardError | None:
    """Return the error of vulnerabilities that count, None if there is none."""
    if counting := report.counting:
        return VulnerableError(
            f"{len({(each.package, each.version) for each in counting})} published version(s) are vulnerable",
            details=[f"{each.package} {each.version}: {each.id}" for each in counting],
            fix="publish a fixed version and yank these; see docs/how-to/audit.md",
        )
    return None


def keep_issues(project: Project, report: AuditReport, *, dry_run: bool) -> AuditReport:
    """Open, change or close the issue of each package that was looked at; return the report with what became of them.

    Raises:
        ConfigError: site configuration does not say where issues go.
        CredentialsError: there is no token, or it may not.
        NetworkError: the forge does not answer.
    """
    bad: dict[str, list[Vulnerability]] = {}
    for each in report.counting:
        bad.setdefault(each.package, []).append(each)
    wanted = {package: _ticket(package, found) for package, found in bad.items()}
    with open_site_forge(project, dry_run=dry_run) as (forge, config):
        records = sync_issues.sync(
            forge,
            KIND,
            wanted,
            is_solved={path.parent.name for path in project.packages.glob("*/releases.toml")}.__contains__,
            comment=f"Nothing that is published is affected any more, as of {report.checked.date()}.",
            labels=(project.config.audit.label, *config.labels),
        )
    return report.model_copy(update={"issues": records})


def _server(project: Project) -> str:
    from wheelyard.project.config import AuditConfig

    given = os.environ.get("WHEELYARD_OSV", "")
    if not given:
        return project.config.audit.url
    try:
        return AuditConfig.model_validate({"url": given}).url
    except ValueError as error:
        raise ConfigError("is not the address of a server", where="$WHEELYARD_OSV", fix="https://…") from error


def _published(project: Project, packages: Sequence[str]) -> dict[Subject, tuple[str, ...]]:
    """Return each published version with the registries that have it, by package, the newest version first."""
    known = sorted(path.parent.name for path in project.packages.glob("*/releases.toml"))
    names = tuple(dict.fromkeys(map(canonical, packages)))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UnknownPackageError(
            "nothing of that name is published, by our records",
            details=[f"{name}{did_you_mean(name, known)}" for name in unknown],
            fix="wheelyard registry list",
        )
    found: dict[Subject, tuple[str, ...]] = {}
    for package in names or known:
        where: dict[Version, set[str]] = {}
        for entry in RELEASES.read(RELEASES.path(project.packages, package)):
            if entry.yanked is None:
                where.setdefault(WheelName.parse(entry.file).version, set()).add(entry.where)
        # A local version is the public one with patches, and known by that (PEP 440, "Local version identifiers").
        for version in sorted(where, reverse=True):
            found[package, version.public] = tuple(sorted({*found.get((package, version.public), ()), *where[version]}))
    return found


def _ignored(project: Project, package: str, advisory: Advisory, today: date) -> Ignored | None:
    names = {advisory.id, *advisory.aliases}
    for each in project.config.audit.ignore:
        named = not each.packages or package in map(canonical, each.packages)
        if each.id in names and named and today <= each.until:
            return Ignored(reason=each.reason, until=each.until)
    return None


def _expired(project: Project, found: Iterable[Vulnerability], today: date, *, whole: bool) -> tuple[str, ...]:
    """Return the ignored identifiers to remove: their day has passed, or no published release has them."""
    there = {name for each in found for name in (each.id, *each.aliases)}
    return tuple(
        each.id for each in project.config.audit.ignore if today > each.until or (whole and each.id not in there)
    )


def _ticket(package: str, found: Sequence[Vulnerability]) -> IssueText:
    by_id: dict[str, list[Vulnerability]] = {}
    for each in found:
        by_id.setdefault(each.id, []).append(each)
    rows = [_row(group) for group in by_id.values()]
    head = ("| vulnerability | published versions | fixed in | what |", "|---|---|---|---|")
    count = len(by_id)
    title = f"{package}: {count} known vulnerabilit{'y' if count == 1 else 'ies'} in what is published"
    return IssueText(title, "\n".join([*head, *rows, "", _HOW]))


def _row(group: Sequence[Vulnerability]) -> str:
    first = group[0]
    fixed = ", ".join(dict.fromkeys(version for each in group for version in each.fixed)) or "none yet"
    versions = ", ".join(each.version for each in group)
    return f"| [{inline(first.id)}]({first.url}) | {versions} | {fixed} | {inline(first.summary)} |"
