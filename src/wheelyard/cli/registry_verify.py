"""``wheelyard registry verify``: compare the registry with our records."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import json_option, packages_argument, registry_option
from wheelyard.core.errors import RegistryContentError
from wheelyard.io import log
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.registries.registry_reports import RegistryVerification


@click.command("verify")
@packages_argument
@registry_option
@click.option("--download", is_flag=True, help="Download every file, and check its hash.")
@json_option
def registry_verify(packages: tuple[str, ...], registry: str | None, *, download: bool, as_json: bool) -> None:
    """Compare a registry with our records of PACKAGE, by default of every package."""
    from wheelyard.registries.open_registry import open_configured
    from wheelyard.registries.verify_registry import verify_registry

    project = find_project()
    report = verify_registry(project, open_configured(project, registry), packages, download=download)
    click.echo(output.model(report) if as_json else verification_text(report))
    if not report.ok:
        raise RegistryContentError(
            f"{len(report.problems)} problem(s) in {report.registry}", fix="each has its fix above"
        )


def verification_text(report: RegistryVerification) -> str:
    """Return the problems with their fixes; files with the same problem are listed together."""
    how = "read back" if report.downloaded else "compared by the index"
    end = f"{report.files} files of {report.packages} packages {how}"
    if report.ok:
        return f"{end}: all as recorded"
    names_by_problem: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for problem in report.problems:
        names_by_problem[problem.kind, problem.text, problem.fix].append(problem.file or problem.package)
    lines = []
    for (kind, text, fix), names in names_by_problem.items():
        lines += [f"{kind}: {text}", *(f"  {name}" for name in names), f"  to do: {fix}", ""]
    counts = Counter(problem.kind for problem in report.problems)
    end += ": " + ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    return "\n".join([*map(log.clean, lines), end])
