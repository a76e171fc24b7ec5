"""What auditwheel finds: the oldest glibc that will do, and libraries that must come from elsewhere."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from wheelyard.checks.rules import Terms, judge
from wheelyard.core.errors import StepTimeoutError, WheelyardError
from wheelyard.core.tags import manylinux
from wheelyard.io.run import Completed, run

if TYPE_CHECKING:
    from wheelyard.checks.wheel import Wheel
    from wheelyard.records.models import Finding

_PATIENCE = 600.0  # seconds; a wheel of 2 GB takes one or two minutes
_SYMBOL = re.compile(r"\A[A-Z]+_(\d+(?:\.\d+)*)\Z")


def audit(wheel: Wheel, terms: Terms) -> tuple[Finding, ...]:
    """Return two findings: ``glibc`` and ``libraries`` (PEP 600).

    A program of its own, so that a hostile file can neither hang nor crash us. It searches no folders:
    else its result would depend on the libraries of this machine.
    """
    try:
        completed = run(
            [sys.executable, "-P", "-m", "auditwheel", "show", "--json", "--ldpaths", "", wheel.path],
            env={key: value for key, value in os.environ.items() if not key.startswith("AUDITWHEEL_")},
            timeout=_PATIENCE,
            check=False,
        )
    except StepTimeoutError:
        return (_failed(["auditwheel did not come to an end"]),)
    report, problem = _report(completed)
    if problem:
        return (_failed([problem]),)
    return (check_glibc(report, terms), check_libraries(report, terms))


def _failed(problems: list[str]) -> Finding:
    return judge("glibc", problems, passed="", fix="run `auditwheel show` on the wheel by hand to see all it says")


def _report(completed: Completed) -> tuple[dict[str, Any], str]:
    try:
        report = json.loads(completed.stdout)
    except json.JSONDecodeError:
        last = (completed.stderr.strip() or "it said nothing").splitlines()[-1]
        return {}, f"auditwheel cannot read it: {last[:300]}"
    if not isinstance(report, dict) or report.get("version") != 1:
        raise WheelyardError(
            "this auditwheel writes a report that is not known here", fix="install the pinned one: ci/requirements.txt"
        )
    if "error" in report or report.get("pure"):
        return {}, str(report.get("error", "auditwheel finds nothing compiled"))
    return report, ""


def check_glibc(report: dict[str, Any], terms: Terms) -> Finding:
    """Check that auditwheel finds no symbol of a newer glibc, and none that the policy forbids (PEP 600).

    Exception:
        site configuration: ``policy``
    """
    limit, needed = manylinux(terms.config.policy), manylinux(str(report["sym_tag"]))
    problems = []
    if needed is None or limit is None or needed[0] > limit[0]:
        newest = _newest(report["versioned_symbols"].get("libc.so.6", []))
        problems.append(
            f"it needs glibc {newest or 'newer than any policy'}, the site configuration has {terms.config.policy}"
        )
    if report["unsupported_isa"]:
        problems.append("auditwheel finds instructions beyond the architecture's baseline")
    if report["pyfpe"] or report["ucs2"]:
        problems.append("it is built for a Python of another kind (UCS2 or fpectl)")
    blacklisted = report["policy_upgrades"].get(terms.config.policy, {}).get("blacklisted_symbols", {})
    problems += [f"it uses {', '.join(symbols)} of {library}" for library, symbols in sorted(blacklisted.items())]
    return judge(
        "glibc",
        problems,
        passed=f"{report['sym_tag']} or newer",
        fix="build in an image whose glibc is not newer than the site configuration",
    )


def _newest(symbols: list[str]) -> str:
    versions = [match[1] for match in map(_SYMBOL.match, symbols) if match]
    return max(versions, key=lambda text: [int(part) for part in text.split(".")], default="")


def check_libraries(report: dict[str, Any], terms: Terms) -> Finding:
    """Check that each needed library is in the wheel or granted by the policy (PEP 600).

    Exception:
        recipe: ``[check] libraries``
    """
    allowed = set(terms.check.libraries)
    external = sorted(report["external_libs"])
    left = [name for name in external if name not in allowed]
    used = [name for name in external if name in allowed]
    return judge(
        "libraries",
        [f"it needs {name}, which neither the wheel nor {terms.config.policy} brings" for name in left],
        passed=f"from the system, by the recipe's leave: {', '.join(used)}" if used else "all inside, or of the policy",
        fix="let auditwheel repair graft it (it must be in the image), link it statically, or name it in the recipe's "
        "[check] libraries if every system has it",
    )
