"""Merge verdicts, and show them to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelyard.io.table import table_text
from wheelyard.records.models import Finding, Verdict, WheelVerdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def merge(first: Verdict, *verdicts: Verdict) -> Verdict:
    """Return one verdict on the wheels of several jobs of one version; a failure in one is a failure of the result.

    Findings on the same wheel are merged. Two verdicts on one file name with different content are both kept.
    """
    wheels: dict[tuple[str, str], WheelVerdict] = {}
    overall: dict[Finding, None] = {}
    for verdict in (first, *verdicts):
        if (verdict.package, verdict.package_version) != (first.package, first.package_version):
            raise ValueError("only verdicts on one version of one package can be merged")
        overall |= dict.fromkeys(verdict.overall)
        for wheel in verdict.wheels:
            key = (wheel.wheel, wheel.sha256)
            earlier = wheels[key].findings if key in wheels else ()
            findings = tuple(dict.fromkeys((*earlier, *wheel.findings)))
            wheels[key] = WheelVerdict(wheel=wheel.wheel, sha256=wheel.sha256, findings=findings)
    return Verdict(
        package=first.package,
        package_version=first.package_version,
        wheels=tuple(wheels[key] for key in sorted(wheels)),
        overall=tuple(overall),
    )


def with_findings(verdict: Verdict, findings_by_wheel: Mapping[str, Iterable[Finding]]) -> Verdict:
    """Return *verdict* with the findings of the install check, by wheel file name."""
    wheels = tuple(
        wheel.model_copy(update={"findings": (*wheel.findings, *findings_by_wheel.get(wheel.wheel, ()))})
        for wheel in verdict.wheels
    )
    return verdict.model_copy(update={"wheels": wheels})


def verdict_table(verdict: Verdict) -> str:
    """Return a table for people: failed findings with their fixes first, then passed ones."""
    rows = [(finding, "all wheels") for finding in verdict.overall]
    rows += [(finding, wheel.wheel) for wheel in verdict.wheels for finding in wheel.findings]
    rows.sort(key=lambda row: row[0].ok)
    return table_text(
        ("", "rule", "wheel", "result"),
        [("ok" if finding.ok else "FAILED", finding.rule, where, finding.text) for finding, where in rows],
    )
