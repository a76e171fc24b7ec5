"""Tokens and renewals: look-up on GitLab, comparison with the site configuration, renewal of group tokens."""

from wheelyard.security.tokens.gitlab_lookup import look_up
from wheelyard.security.tokens.judge import judge
from wheelyard.security.tokens.rotate import RotatedToken, rotate

__all__ = ["RotatedToken", "judge", "look_up", "rotate"]
