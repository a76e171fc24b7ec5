"""The base of all rules: each is a function from a wheel to one finding."""

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
    """The input of a rule beside the wheel.

    Attributes:
        expected: the expected wheels of the plan.
        config: the site configuration.
        check: the ``[check]`` table of the recipe.
    """

    expected: tuple[ExpectedWheel, ...]
    config: SiteConfig
    check: Check


def judge(rule: str, problems: Iterable[str], *, passed: str, fix: str) -> Finding:
    """Return the finding of *rule*: passed without problems, else the problems and what to do.

    Args:
        rule: the name of the rule.
        problems: the problems, one sentence each; may quote hostile text.
        passed: the text without problems.
        fix: what to do about the problems.
    """
    texts = [log.clean(problem) for problem in problems]
    if not texts:
        return Finding(rule=rule, ok=True, text=log.clean(passed))
    text = "; ".join(texts[:_SHOWN])
    rest = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return Finding(rule=rule, ok=False, text=f"{text}{rest}. To do: {fix}")


def several(names: Iterable[str], limit: int = 5) -> str:
    """Return *names* for people: the first few, and how many more."""
    all_names = list(names)
    rest = f" and {len(all_names) - limit} more" if len(all_names) > limit else ""
    return ", ".join(all_names[:limit]) + rest
