"""How rules speak: each is a small function from a wheel to one finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.io import log
from wheelyard.records.models import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelyard.core.values import ExpectedWheel
    from wheelyard.project.config import SiteConfig
    from wheelyard.project.recipe import Check

_SHOWN = 8  # problems spelled out in one finding; a broken wheel may have thousands


@dataclass(frozen=True)
class Terms:
    """What a wheel is held against.

    Attributes:
        expected: the wheels that the plan wants.
        config: what holds for all packages.
        check: what the recipe says.
    """

    expected: tuple[ExpectedWheel, ...]
    config: SiteConfig
    check: Check


def judge(rule: str, problems: Iterable[str], *, passed: str, fix: str) -> Finding:
    """Return the finding of *rule*: passed when there are no problems, else all of them and what to do.

    Args:
        rule: its name.
        problems: what is wrong, one sentence each; may quote hostile text.
        passed: what to say when nothing is.
        fix: what to do when something is.
    """
    found = [log.clean(problem) for problem in problems]
    if not found:
        return Finding(rule=rule, ok=True, text=log.clean(passed))
    shown = "; ".join(found[:_SHOWN])
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return Finding(rule=rule, ok=False, text=f"{shown}{more}. To do: {fix}")


def several(names: Iterable[str], limit: int = 5) -> str:
    """Return *names* for people: the first few, and how many more."""
    every = list(names)
    more = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + more
