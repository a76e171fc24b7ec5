"""The state of the GitLab in the tests: users, tokens, namespaces, packages, and its clock."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from support.gitlab.faults import Fault, Plan
from support.gitlab.model import (
    ROLES,
    AccessToken,
    DeployToken,
    Group,
    Job,
    Project,
    Rule,
    Settings,
    StoredFile,
    User,
)
from support.gitlab.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from support.remote import Bare

Place = TypeVar("Place", Group, Project)


class Seen(NamedTuple):
    """A request that arrived.

    Attributes:
        method: GET, POST, …
        path: without its query, decoded.
        status: of the answer; 0 when the connection was cut before one was on its way.
        headers: by lower-case name.
        authorization: how the client introduced itself: `Basic`, `Bearer`, `PRIVATE-TOKEN`, `Deploy-Token`,
            `JOB-TOKEN`, or nothing.
        body: how many bytes of a body were read.
        query: as it came.
    """

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    authorization: str
    body: int
    query: str


def utc_now() -> datetime:
    return datetime.now(UTC)


class GitLab:
    """An instance. Set it up with the ``add_`` methods, then ``serve`` it.

    Attributes:
        now: its clock; replace it to let tokens expire.
        project_setting: what an administrator can set.
        requests: what has been asked so far, in order of completion.
    """

    def __init__(self, root: Path, now: Callable[[], datetime] = utc_now) -> None:
        self.now = now
        self.project_setting = Settings()
        self.requests: list[Seen] = []
        self.plan = Plan()
        self.incoming = root / "incoming"
        self.users: dict[int, User] = {}
        self.groups: dict[int, Group] = {}
        self.projects: dict[int, Project] = {}
        self.tokens: dict[str, AccessToken] = {}
        self.deploy_tokens: dict[str, DeployToken] = {}
        self.jobs: dict[str, Job] = {}
        self.repositories: dict[int, Bare] = {}  # by project id; put one there for merge requests
        for folder in (self.incoming, root / "files"):
            folder.mkdir(parents=True, exist_ok=True)
        self.store = Store(root / "files")
        self._ids = itertools.count(1)

    # ------------------------------------------------------------ who and where

    def add_group(self, path: str, visibility: str = "public") -> Group:
        """Make a group, and those above it."""
        if found := self.group(path):
            return found
        if "/" in path:
            self.add_group(path.rpartition("/")[0], visibility)
        group = Group(next(self._ids), path, visibility)
        self.groups[group.id] = group
        return group

    def add_project(self, path: str, visibility: str = "public") -> Project:
        """Make a project (`public`, `internal` or `private`), and the groups above it."""
        if "/" in path:
            self.add_group(path.rpartition("/")[0], visibility)
        project = Project(next(self._ids), path, visibility)
        self.projects[project.id] = project
        return project

    def add_user(self, name: str, *, bot: bool = False) -> User:
        user = User(next(self._ids), name, bot)
        self.users[user.id] = user
        return user

    def add_member(self, where: Project | Group, user: User, role: str) -> None:
        where.members[user.id] = ROLES[role]

    def group(self, key: str) -> Group | None:
        """Find a group by its id or path."""
        return _find(self.groups, key)

    def project(self, key: str) -> Project | None:
        """Find a project by its id or path."""
        return _find(self.projects, key)

    def projects_of(self, group: Group) -> list[Project]:
        return [each for each in self.projects.values() if each.path.startswith(f"{group.path}/")]

    def role(self, user: User, where: Project | Group) -> int:
        """Return the highest role that *user* has there or above, 0 for none."""
        above = [group for group in self.groups.values() if where.path.startswith(f"{group.path}/")]
        return max(each.members.get(user.id, 0) for each in (where, *above))

    # ------------------------------------------------------------------- tokens

    def add_pat(
        self, user: User, scopes: Sequence[str] = ("api",), expires_at: date | None = None, *, name: str = "token"
    ) -> str:
        """Make a personal access token, and return its secret."""
        return self.new_token(name, user, tuple(scopes), expires_at).secret

    def add_group_token(
        self,
        group: Group,
        name: str = "PYTHON_CI_GROUP_TOKEN",
        role: str = "maintainer",
        scopes: Sequence[str] = ("api",),
        expires_at: date | None = None,
    ) -> str:
        """Make a group access token: the personal one of a new bot, which is a member of the group."""
        bot = self.add_user(f"group_{group.id}_bot_{name.lower()}", bot=True)
        self.add_member(group, bot, role)
        return self.new_token(name, bot, tuple(scopes), expires_at, group=group).secret

    def new_token(
        self,
        name: str,
        user: User,
        scopes: tuple[str, ...],
        expires_at: date | None,
        *,
        group: Group | None = None,
        previous: int | None = None,
    ) -> AccessToken:
        number = next(self._ids)
        secret = f"glpat-made-up-{number:08}"
        token = AccessToken(number, name, secret, user, scopes, self.now(), expires_at, previous=previous, group=group)
        self.tokens[secret] = token
        return token

    def add_deploy_token(
        self,
        owner: Project | Group,
        name: str = "rise-github-package-registry",
        scopes: Sequence[str] = ("read_package_registry", "write_package_registry"),
        expires_at: date | None = None,
        username: str | None = None,
    ) -> str:
        """Make a deploy token, and return its secret."""
        number = next(self._ids)
        secret = f"gldt-made-up-{number:08}"
        username = username or f"gitlab+deploy-token-{number}"
        self.deploy_tokens[secret] = DeployToken(number, name, username, secret, owner, tuple(scopes), expires_at)
        return secret

    def add_job_token(self, project: Project, user: User) -> str:
        """Start a CI job of *user*, and return its token."""
        number = next(self._ids)
        secret = f"glcbt-made-up-{number:08}"
        self.jobs[secret] = Job(number, secret, project, user)
        return secret

    def revoke(self, secret: str) -> None:
        """Revoke a token of any kind; for a job: let it end."""
        if secret in self.jobs:
            self.jobs[secret].running = False
        else:
            (self.tokens.get(secret) or self.deploy_tokens[secret]).revoked = True

    # ----------------------------------------------------------------- packages

    def protect(self, project: Project, pattern: str, role: str) -> None:
        """Refuse pushes of names like *pattern* to whoever is below *role*, and to every deploy token."""
        project.rules.append(Rule(pattern, ROLES[role]))

    def files(self, project: Project) -> list[StoredFile]:
        """Return what is stored and not deleted, in order of upload."""
        return sorted(
            (file for each in self.store.of(project) for file in list(each.files.values())), key=lambda f: f.id
        )

    def preload(self, project: Project, count: int) -> list[StoredFile]:
        """Fill *project* with *count* records without bytes, for benchmarks."""
        return self.store.preload(project, count, now=self.now())

    # ------------------------------------------------------------------- faults

    def fault(self, fault: Fault) -> None:
        """Let requests go wrong; the first fault of those set that fits a request strikes."""
        self.plan.add(fault)

    def heal(self) -> None:
        """Forget all faults."""
        self.plan.clear()

    def next_id(self) -> int:
        return next(self._ids)


def _find(known: Mapping[int, Place], key: str) -> Place | None:
    if key.isdigit():
        return known.get(int(key))
    return next((each for each in known.values() if each.path.lower() == key.lower()), None)
