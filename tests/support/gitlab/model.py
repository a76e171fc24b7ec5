"""The nouns of the GitLab in the tests: who may do what, and what is stored."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

# lib/gitlab/access.rb
ROLES = {"guest": 10, "planner": 15, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}


@dataclass
class Settings:
    """What an administrator of the instance has set; change it while the server runs.

    Attributes:
        max_file_size: bytes; `pypi_max_file_size` of the plan's limits, 3 GiB by default (5 GB on the hosted service).
        forwarding: unknown packages are redirected (`pypi_package_requests_forwarding`, on by default).
        forward_to: where to, a simple index; by default a loopback port where nobody listens.
        pep691: the flag `pypi_pep_691_json` of the newest source.
        fips: uploads without sha256 are refused (`validate_fips!`).
        object_storage: downloads are redirected there: an address, ``/<sha256>/<file name>`` is appended.
        external_url: what absolute links begin with; the Host header when None.
        rate_limit: requests per window before 429, for everybody together; None for no limit.
        rate_window: seconds.
        rate_headers: whether a 429 carries Retry-After and RateLimit-*; application-level limits send none.
    """

    max_file_size: int = 3 << 30
    forwarding: bool = True
    forward_to: str = "http://127.0.0.1:9/simple/"
    pep691: bool = False
    fips: bool = False
    object_storage: str | None = None
    external_url: str | None = None
    rate_limit: int | None = None
    rate_window: float = 60.0
    rate_headers: bool = True


@dataclass(frozen=True)
class User:
    """Somebody, or the bot that stands behind a group token."""

    id: int
    name: str
    bot: bool = False


@dataclass(frozen=True)
class Group:
    """A group; its members are members of all that is below it."""

    id: int
    path: str
    visibility: str = "public"
    members: dict[int, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Rule:
    """A package protection rule: who may push names of a pattern (`*` is the only wildcard)."""

    pattern: str
    role: int

    def matches(self, name: str) -> bool:
        return fnmatch.fnmatchcase(name, self.pattern.replace("[", "[[]").replace("?", "[?]"))


@dataclass
class Issue:
    """An issue of a project's tracker."""

    id: int
    iid: int
    author: User
    title: str
    description: str
    labels: list[str]
    created_at: datetime
    updated_at: datetime
    state: str = "opened"
    notes: list[tuple[int, User, str, datetime]] = field(default_factory=list)


@dataclass(frozen=True)
class Pipeline:
    """A merge request's pipeline: of which commit, and as whom it runs."""

    id: int
    sha: str
    user: User


@dataclass
class MergeRequest:
    """A merge request of a project.

    Attributes:
        source_project_id: another project's where it comes from a fork.
        remove_source_branch: whether the branch goes when it is merged.
        sha: the commit of its branch, as far as GitLab has seen it.
        pipelines: those that were started, the oldest first.
    """

    id: int
    iid: int
    author: User
    title: str
    description: str
    source_branch: str
    target_branch: str
    source_project_id: int
    created_at: datetime
    updated_at: datetime
    state: str = "opened"
    labels: list[str] = field(default_factory=list)
    remove_source_branch: bool = False
    sha: str = ""
    notes: list[tuple[int, User, str, datetime]] = field(default_factory=list)
    pipelines: list[Pipeline] = field(default_factory=list)

    @property
    def branches(self) -> tuple[int, str, str]:
        """What no two open ones may share."""
        return self.source_project_id, self.source_branch, self.target_branch


@dataclass(frozen=True)
class Project:
    """A project: its packages are in the store, the rest is here."""

    id: int
    path: str
    visibility: str = "public"
    members: dict[int, int] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    issues: dict[int, Issue] = field(default_factory=dict)
    merge_requests: dict[int, MergeRequest] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass
class AccessToken:
    """A personal access token, or a group's (which is the personal one of a bot)."""

    id: int
    name: str
    secret: str
    user: User
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: date | None = None
    revoked: bool = False
    previous: int | None = None
    group: Group | None = None
    last_used_at: datetime | None = None

    def expired(self, now: datetime) -> bool:
        """At midnight UTC, when its last day begins (app/models/concerns/expirable.rb)."""
        return self.expires_at is not None and self.expires_at <= now.date()


@dataclass
class DeployToken:
    """A deploy token of a project or of a group."""

    id: int
    name: str
    username: str
    secret: str
    owner: Project | Group
    scopes: tuple[str, ...]
    expires_at: date | None = None
    revoked: bool = False

    def active(self, now: datetime) -> bool:
        """Tell whether it opens anything (app/models/deploy_token.rb, scope `active`)."""
        return not self.revoked and (self.expires_at is None or self.expires_at > now.date())

    def covers(self, project: Project) -> bool:
        return project is self.owner or (
            isinstance(self.owner, Group) and project.path.startswith(self.owner.path + "/")
        )


@dataclass
class Job:
    """A CI job, and with it its token, which dies with it."""

    id: int
    secret: str
    project: Project
    user: User
    running: bool = True


@dataclass(frozen=True)
class StoredFile:
    """A file in the registry.

    Attributes:
        id: of the file.
        project_id, package_id, package_name, version: where it belongs.
        file_name: as the client sent it.
        sha256: as the client claimed it; None when it did not.
        actual_sha256: of the bytes that are really stored.
        size: of those, in bytes.
        path: where they are; None for a record without bytes (``GitLab.preload``).
        requires_python: as the client sent it with this file.
        created_at: when.
    """

    id: int
    project_id: int
    package_id: int
    package_name: str
    version: str
    file_name: str
    sha256: str | None
    actual_sha256: str
    size: int
    path: Path | None
    requires_python: str
    created_at: datetime


@dataclass
class Package:
    """A record per name and version, as uploaded: two spellings of a name are two records.

    Attributes:
        requires_python: of all its files: the last upload wins (`Packages::Pypi::Metadatum.upsert`).
        summary, description: cut to what their columns hold.
        status: `default`, or `pending_destruction` until a worker removes it for good.
        creator: None for a deploy token.
        pipelines: the ids of those whose jobs uploaded to it; deploy tokens leave none.
    """

    id: int
    project: Project
    name: str
    version: str
    created_at: datetime
    requires_python: str = ""
    summary: str = ""
    description: str = ""
    status: str = "default"
    creator: User | None = None
    pipelines: list[int] = field(default_factory=list)
    files: dict[str, StoredFile] = field(default_factory=dict)
