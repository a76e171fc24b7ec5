"""Tokens and renewals: what GitLab knows of them, how they stand against site policy, and renewing the group's."""

from wheelyard.security.tokens.gitlab_lookup import look_up
from wheelyard.security.tokens.judge import judge
from wheelyard.security.tokens.rotate import Rotated, rotate

__all__ = ["Rotated", "judge", "look_up", "rotate"]
