"""``audit``: known vulnerabilities of the published versions, and the issue of each package."""

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
    "Build and publish a fixed version, and yank this one; or, if it does no harm here, add it to "
    "`[[tool.wheelyard.audit.ignore]]`. `wheelyard audit --issues` keeps this issue, and closes it when no "
    "published version is affected any more; see docs/how-to/audit.md."
)


def audit(project: Project, packages: Sequence[str] = ()) -> AuditReport:
    """Return the vulnerabilities of each recorded version of *packages*, of all by default.

    Yanked wheels are skipped: installers do not choose them.

    Raises:
        UnknownPackageError: no wheel of that name is recorded.
        RegistryContentError: a record cannot be used.
        NetworkError: OSV does not answer.
    """
    published = _published(project, packages)
    now = datetime.now(UTC).replace(microsecond=0)
    with log.step(f"Asking for vulnerabilities of {len(published)} versions"):
        advisories = osv.vulnerabilities(_server(project), tuple(published)) if published else {}
    vulnerabilities = []
    for (package, version), where in published.items():
        for advisory in advisories[package, version]:
            ignored = _ignored(project, package, advisory, now.date())
            vulnerabilities.append(
                Vulnerability(
                    package=package,
                    version=version,
                    id=advisory.id,
                    aliases=advisory.aliases,
                    summary=advisory.summary,
                    fixed=tuple(str(fix) for fix in advisory.fixed if fix > Version(version)),
                    url=advisory.url,
                    registries=where,
                    ignored=ignored,
                )
            )
    return AuditReport(
        checked=now,
        packages=len({package for package, _ in published}),
        versions=len(published),
        vulnerabilities=tuple(vulnerabilities),
        expired=_expired(project, vulnerabilities, now.date(), every_package=not packages),
    )


def problem(report: AuditReport) -> WheelyardError | None:
    """Return the error for vulnerabilities that are not ignored, None without any."""
    if counting := report.counting:
        return VulnerableError(
            f"{len({(item.package, item.version) for item in counting})} published version(s) are vulnerable",
            details=[f"{item.package} {item.version}: {item.id}" for item in counting],
            fix="publish a fixed version and yank these; see docs/how-to/audit.md",
        )
    return None


def keep_issues(project: Project, report: AuditReport, *, dry_run: bool) -> AuditReport:
    """Open, change or close the issue of each package, and return the report with these issues.

    Raises:
        ConfigError: the site configuration names no forge.
        CredentialsError: there is no token, or it has no right to write issues.
        NetworkError: the forge does not answer.
    """
    counting_by_package: dict[str, list[Vulnerability]] = {}
    for vulnerability in report.counting:
        counting_by_package.setdefault(vulnerability.package, []).append(vulnerability)
    issue_texts = {package: _issue_text(package, group) for package, group in counting_by_package.items()}
    with open_site_forge(project, dry_run=dry_run) as (forge, config):
        records = sync_issues.sync(
            forge,
            KIND,
            issue_texts,
            is_solved={path.parent.name for path in project.packages.glob("*/releases.toml")}.__contains__,
            comment=f"No published version is affected any more, as of {report.checked.date()}.",
            labels=(project.config.audit.label, *config.labels),
        )
    return report.model_copy(update={"issues": records})


def _server(project: Project) -> str:
    from wheelyard.project.config import AuditConfig

    address = os.environ.get("WHEELYARD_OSV", "")
    if not address:
        return project.config.audit.url
    try:
        return AuditConfig.model_validate({"url": address}).url
    except ValueError as error:
        raise ConfigError("is not the address of a server", where="$WHEELYARD_OSV", fix="https://…") from error


def _published(project: Project, packages: Sequence[str]) -> dict[Subject, tuple[str, ...]]:
    """Return each published version with the registries that have it, by package, the newest version first."""
    recorded = sorted(path.parent.name for path in project.packages.glob("*/releases.toml"))
    names = tuple(dict.fromkeys(map(canonical, packages)))
    unknown = [name for name in names if name not in recorded]
    if unknown:
        raise UnknownPackageError(
            "no published wheel of that name is recorded",
            details=[f"{name}{did_you_mean(name, recorded)}" for name in unknown],
            fix="wheelyard registry list",
        )
    registries: dict[Subject, tuple[str, ...]] = {}
    for package in names or recorded:
        where: dict[Version, set[str]] = {}
        for entry in RELEASES.read(RELEASES.path(project.packages, package)):
            if entry.yanked is None:
                where.setdefault(WheelName.parse(entry.file).version, set()).add(entry.where)
        # A local version is the public one with patches, and known by that (PEP 440, "Local version identifiers").
        for version in sorted(where, reverse=True):
            subject = package, version.public
            registries[subject] = tuple(sorted({*registries.get(subject, ()), *where[version]}))
    return registries


def _ignored(project: Project, package: str, advisory: Advisory, today: date) -> Ignored | None:
    names = {advisory.id, *advisory.aliases}
    for entry in project.config.audit.ignore:
        applies = not entry.packages or package in map(canonical, entry.packages)
        if entry.id in names and applies and today <= entry.until:
            return Ignored(reason=entry.reason, until=entry.until)
    return None


def _expired(
    project: Project, vulnerabilities: Iterable[Vulnerability], today: date, *, every_package: bool
) -> tuple[str, ...]:
    """Return the ignored identifiers to remove: their day has passed, or no published release has them."""
    published = {name for item in vulnerabilities for name in (item.id, *item.aliases)}
    return tuple(
        entry.id
        for entry in project.config.audit.ignore
        if today > entry.until or (every_package and entry.id not in published)
    )


def _issue_text(package: str, vulnerabilities: Sequence[Vulnerability]) -> IssueText:
    by_id: dict[str, list[Vulnerability]] = {}
    for vulnerability in vulnerabilities:
        by_id.setdefault(vulnerability.id, []).append(vulnerability)
    rows = [_row(group) for group in by_id.values()]
    head = ("| vulnerability | published versions | fixed in | summary |", "|---|---|---|---|")
    count = len(by_id)
    title = f"{package}: {count} known vulnerabilit{'y' if count == 1 else 'ies'} in published versions"
    return IssueText(title, "\n".join([*head, *rows, "", _HOW]))


def _row(group: Sequence[Vulnerability]) -> str:
    first = group[0]
    fixed = ", ".join(dict.fromkeys(version for item in group for version in item.fixed)) or "none yet"
    versions = ", ".join(vulnerability.version for vulnerability in group)
    return f"| [{inline(first.id)}]({first.url}) | {versions} | {fixed} | {inline(first.summary)} |"
