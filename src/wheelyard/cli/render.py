"""Results for people: tables and summaries. Flows return values; only this module makes text of them."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from wheelyard.io import log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from wheelyard.builder.build_package import BuildReport
    from wheelyard.core.errors import WheelyardError
    from wheelyard.images.manage_images import ImagesReport
    from wheelyard.planning.plan_packages import Plans
    from wheelyard.preflight.doctor import DoctorReport
    from wheelyard.project.inheritance import Explanation
    from wheelyard.records.models import Verdict, WheelRecord
    from wheelyard.registries import Upload
    from wheelyard.registries.publish_wheels import Publication


def as_json(value: dict[str, Any]) -> str:
    """Return *value* as JSON, in which no text is a command to GitHub's runner; see :func:`wheelyard.io.log.tame`."""
    return json.dumps(value, indent=2, ensure_ascii=False).replace("##[", "#\\u0023[")


def model(value: BaseModel) -> str:
    """Return a report as JSON."""
    return as_json(value.model_dump(mode="json", by_alias=True))


def end(problem: WheelyardError | None, failure: WheelyardError | None) -> None:
    """End a verb whose report is a *problem*, and which then met a *failure*, with the worse of them; both are told.

    News that could not be told where people look for it is worse than news.
    """
    if problem and failure:
        worst, other = (failure, problem) if problem.news else (problem, failure)
        log.error(str(other))
        raise worst
    if one := problem or failure:
        raise one


def build_summary(report: BuildReport) -> str:
    """Return what was built, where, how long each step took, what was checked, and how to install it."""
    lines = ["", f"{report.package} {report.package_version} on {report.image}"]
    if not report.built:
        lines.append("nothing to build: the same inputs were built before")
    lines += ["", "wheels in " + str(report.folder)]
    for record in (*report.built, *report.reused):
        state = "" if record in report.built else "  (built before)"
        lines.append(f"  {record.wheel}  {record.size / 1000:.0f} kB{state}")
        lines.append(f"    tests: {_tests(record)}")
    if report.built:
        rows = [(timing.title, log.duration(timing.seconds)) for timing in report.steps]
        rows.append(("in all", log.duration(report.seconds)))
        lines += ["", log.table(("step", "time"), rows)]
    if report.verdict:
        lines += ["", _checked(report.verdict)]
    if report.notes:
        lines += ["", *(f"note: {note}" for note in report.notes)]
    names = " ".join(shlex.quote(str(report.folder / record.wheel)) for record in (*report.built, *report.reused))
    index = (report.folder.parents[1] / "index/simple").as_uri()
    lines += [
        "",
        "install on riscv64:",
        f"  pip install {names}",
        "or from an index folder:",
        f"  wheelyard publish --to dist/index {report.package}",
        f"  pip install {report.package} --prefer-binary --extra-index-url {index}/",
    ]
    return "\n".join(lines)


def _tests(record: WheelRecord) -> str:
    tests = record.tests
    if not tests.ran:
        return "none ran"
    subset = f" (a subset: {tests.subset})" if tests.subset else ""
    return log.clean((tests.summary or "passed") + subset)


def _checked(verdict: Verdict) -> str:
    rules = sorted({item.rule for wheel in verdict.wheels for item in wheel.findings})
    rules += sorted({item.rule for item in verdict.overall})
    count = sum(len(wheel.findings) for wheel in verdict.wheels) + len(verdict.overall)
    return f"checked ({count} findings, all well): {', '.join(rules)}"


def plans(result: Plans) -> str:
    """Return the plans as a table, with what is left out and why; the first problem is left to the caller."""
    if not result.plans and not result.problems:
        return "nothing to plan: there is no recipe in recipes/"
    rows = []
    for plan in result.plans:
        for index, wheel in enumerate(plan.expected):
            head = (plan.package, plan.version) if index == 0 else ("", "")
            rows.append((*head, ", ".join(map(str, wheel.interpreters)), wheel.pattern))
    lines = [log.table(("package", "version", "for", "expected wheel"), rows)] if rows else []
    reasons: dict[str, list[str]] = {}
    for plan in result.plans:
        for omission in plan.omissions:
            reasons.setdefault(f"{omission.interpreter}: {omission.reason}", []).append(plan.package)
    if reasons:
        lines += ["", "left out:", *(f"  {reason} ({_names(names)})" for reason, names in reasons.items())]
    notes = [f"  {plan.package}: {note}" for plan in result.plans for note in plan.notes]
    if notes:
        lines += ["", "notes:", *notes]
    for problem in result.problems[1:]:
        lines += ["", f"error: {problem}"]
    return log.tame("\n".join(lines).lstrip("\n"))


def _names(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} packages"  # noqa: PLR2004


def explanation(settings: Explanation) -> str:
    """Return every setting, its value, and which file gave it."""
    rows = [(key, json.dumps(item.value, ensure_ascii=False), item.where) for key, item in settings.items()]
    return log.table(("setting", "value", "from"), rows)


def verdict(result: Verdict) -> str:
    """Return what was checked; what failed comes first."""
    from wheelyard.checks import verdict_table  # auditwheel is slow to load

    return verdict_table(result)


def uploads(plan: Sequence[Upload]) -> str:
    """Return what is to become of each wheel."""
    from wheelyard.registries import uploads_table

    return uploads_table(plan) if plan else "no wheel may go"


def publication(report: Publication) -> str:
    """Return what came of it, and how to install from there."""
    from wheelyard.registries.publish_wheels import counted

    if report.dry_run:
        return "\na dry run: nothing was written"
    counts = ", ".join(f"{number} {what}" for what, number in counted(report.outcomes).items() if number)
    lines = ["", f"{report.registry.adapter.title}: {counts or 'nothing was published'}"]
    lines += [f"recorded in {path}" for path in report.recorded]
    lines += ["", f"pip install PACKAGE --prefer-binary --extra-index-url {report.registry.adapter.index_url}"]
    return "\n".join(lines)


def doctor(report: DoctorReport) -> str:
    """Return every check, then the fixes of the missing tools."""
    text = log.table(("", "tool", "result"), [(check.state, check.name, check.text) for check in report.findings])
    fixes = [f"  {check.name}: {check.fix}" for check in report.findings if check.state == "missing"]
    end = ["", "To fix:", *fixes] if fixes else ["", "This machine can build."]
    return "\n".join([text, *end])


def images(report: ImagesReport) -> str:
    """Return a line per image; the star marks the one that builds use."""
    rows = [
        (
            "*" if info.reference == report.chosen else "",
            info.reference,
            info.labels.get("wheelyard.image.interpreters", ""),
            f"{info.size / 1e6:.0f} MB",
            info.digest,
        )
        for info in report.stored
    ]
    if report.chosen not in {info.reference for info in report.stored}:
        rows.insert(0, ("*", report.chosen, " ".join(report.interpreters), "-", "not here yet"))
    return log.table(("", "image", "interpreters", "size", "digest"), rows)
