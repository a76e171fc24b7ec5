"""Rules for the other content of a wheel: archive, modes, stray files, modules."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from wheelyard.checks._modules import INSTALLED, STRAY, modules_of
from wheelyard.checks.rules import Terms, judge, several

if TYPE_CHECKING:
    from wheelyard.checks.wheel import Wheel
    from wheelyard.records.models import Finding


def archive(wheel: Wheel, _terms: Terms) -> Finding:
    """Check that the zip archive is whole and within its limits, and no member leaves its folder.

    Exception:
        site configuration: ``max-unpacked-mib``, ``max-members``
    """
    return judge(
        "archive",
        wheel.problems,
        passed=f"{len(wheel.members)} files",
        fix="build the wheel again; if it is the same again, the build backend or a repair step writes it so",
    )


def modes(wheel: Wheel, _terms: Terms) -> Finding:
    """Check that only the owner may write to a file, and no file is setuid or setgid."""
    problems = []
    for member in wheel.members.values():
        if member.mode & stat.S_IWOTH:
            problems.append(f"{member.name} is writable by everybody")
        if member.mode & (stat.S_ISUID | stat.S_ISGID):
            problems.append(f"{member.name} runs as its owner or group")
    return judge(
        "modes",
        problems,
        passed="only owners may write",
        fix="build with umask 022, and set the modes of upstream's files with a patch",
    )


def top_level(wheel: Wheel, _terms: Terms) -> Finding:
    """Check that the wheel has a module to import; names that other projects use too are a note.

    Exception:
        recipe: ``[check] imports``
    """
    modules = modules_of(wheel.members)
    tops = {INSTALLED.sub("", path).split("/")[0].removesuffix(".py") for path in wheel.members}
    stray = sorted(tops & STRAY)
    cached = sum("__pycache__/" in path or path.endswith(".pyc") for path in wheel.members)
    notes = [f"note: {', '.join(stray)} may clash with other projects' files"] if stray else []
    notes += [f"note: {cached} compiled .pyc files"] if cached else []
    return judge(
        "modules",
        [] if modules else ["no module can be imported from it"],
        passed="; ".join([several(modules), *notes]),
        fix="look at what the build backend packs; [check] imports in the recipe names modules that are hidden",
    )
