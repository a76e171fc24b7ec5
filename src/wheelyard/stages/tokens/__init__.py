"""Tokens and renewals: what GitLab knows of them, how they stand against site policy, and renewing the group's."""

from wheelyard.stages.tokens.judge import judge
from wheelyard.stages.tokens.lookup import look_up
from wheelyard.stages.tokens.rotate import Rotated, rotate

__all__ = ["Rotated", "judge", "look_up", "rotate"]
