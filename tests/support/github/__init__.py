"""A GitHub for the tests: pull requests, issues and artifacts, over real HTTPS, with faults on request.

It behaves as GitHub's REST documentation says (https://docs.github.com/en/rest); each behaviour names its page there,
and what only its answers advance, where they are on record. It is served as GitHub Enterprise Server is, below
``/api/v3`` (rest/using-the-rest-api/getting-started-with-the-rest-api), because that is how every server is asked
that is not github.com. Faults are those of :mod:`support.gitlab.faults`.
"""

from support.github.state import GitHub, Issue, Pull, Repository
from support.gitlab.faults import Fault

__all__ = ["Fault", "GitHub", "Issue", "Pull", "Repository"]
