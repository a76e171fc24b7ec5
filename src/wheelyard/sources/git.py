"""Sources from git: a tag becomes a commit once, when it is locked; after that only the commit counts."""

from __future__ import annotations

import difflib
import os
import re
import shutil
from string import Formatter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from packaging.version import Version
from pydantic import Field, StrictBool, field_validator

from wheelyard.core.digests import sha256_bytes
from wheelyard.core.errors import DigestMismatchError, NetworkError, PlanError, RecipeError, SourceError
from wheelyard.core.names import did_you_mean
from wheelyard.core.values import SourceTree
from wheelyard.io import cache, files, git_program, guard, log
from wheelyard.io.git_program import UNREACHABLE, allow, local_env, network_env
from wheelyard.io.run import run
from wheelyard.project.source_table import SourceTable
from wheelyard.sources import tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wheelyard.io.run import Completed
    from wheelyard.records.models import LockedVersion
    from wheelyard.sources.source_kind import Origin

_REF = "refs/wheelyard/pin"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PLACEHOLDERS = {"version", "major", "minor", "micro", "pre", "post", "epoch"}


class GitTable(SourceTable):
    """The keys of a git repository."""

    git: str | None = Field(
        None,
        pattern=r"^(https://|file://|ssh://|git@)[^\s]+$",
        description="A git repository to take instead of the sdist.",
    )
    tag: str = Field(
        "{version}",
        description="Which tag a version has in git: a template of `{version}`, `{major}`, `{minor}`, `{micro}`, "
        "`{pre}`, `{post}`, `{epoch}`. Versions are mapped to tags, never back.",
    )
    submodules: StrictBool = Field(True, description="Fetch git submodules as well.")

    @field_validator("tag")
    @classmethod
    def _known_placeholders(cls, value: str) -> str:
        try:
            names = {name for _, name, _, _ in Formatter().parse(value) if name is not None}
        except ValueError as error:
            raise ValueError(f"is not a template: {error}") from error
        if not names or names - _PLACEHOLDERS:
            raise ValueError(f"must contain a placeholder, and none but {', '.join(sorted(_PLACEHOLDERS))}")
        return value


class Git:
    """A git repository; a version is pinned to the commit of its tag."""

    table = GitTable
    is_sdist = False
    is_local = False
    version_keys = ("tag", "git")

    def pin(self, source: SourceTable, locked: LockedVersion) -> LockedVersion:
        """Return *locked* with the version's tag, and the commit that it names at this moment.

        Raises:
            SourceError: there is no such tag (the nearest are named), or no such repository.
            NetworkError: the server cannot be reached.
        """
        keys = source.keys_of(GitTable)
        url = _checked(keys.git or "")
        tag = tag_for(keys.tag, locked.version)
        commits = _remote_tags(url, f"refs/tags/{tag}", f"refs/tags/{tag}^{{}}")
        # An annotated tag is an object of its own; ^{} is the commit that it names.
        commit = commits.get(f"{tag}^{{}}") or commits.get(tag)
        if commit:
            return locked.model_copy(update={"tag": tag, "commit": commit})
        tags = [name for name in _remote_tags(url) if not name.endswith("^{}")]
        near = difflib.get_close_matches(tag, tags, n=3, cutoff=0.5)
        raise SourceError(
            f"{url} has no tag {tag!r} for version {locked.version}",
            details=[f"the nearest tags: {', '.join(log.clean(name) for name in near)}"]
            if near
            else [f"it has {len(tags)} tags"],
            fix="correct [source] tag in the recipe, with a [[version]] override where only some versions differ",
        )

    def identity(self, locked: LockedVersion, source: SourceTable, recipe_folder: Path) -> str:  # noqa: ARG002
        """Return the commit."""
        return f"git:{_commit(locked)}"

    def obtain(self, origin: Origin, target: Path, work: Path) -> SourceTree:  # noqa: ARG002
        """Check the commit out."""
        keys = origin.settings.source.keys_of(GitTable)
        url, commit = keys.git or "", _commit(origin.locked)
        tag = origin.locked.tag or tag_for(keys.tag, origin.locked.version)
        epoch = checkout(url, commit, tag, target, submodules=keys.submodules)
        entries = tree.entries(target)
        tree.refuse_links_out(target, entries)
        tree.set_times(target, entries, epoch)
        return SourceTree("git", target, url, tree.digest(target, entries), commit, (), epoch)

    def check(self, origin: Origin) -> str:
        """Ask the repository whether the tag still names the commit."""
        locked = origin.locked
        now = self.pin(origin.settings.source, locked)
        if locked.commit not in {None, now.commit}:
            raise SourceError(
                f"the tag {now.tag} has moved",
                where=f"packages/{origin.package}/lock.toml",
                details=[f"locked: {locked.commit}", f"now: {now.commit}"],
                fix="find out why upstream moved it; then remove the entry to lock it anew",
            )
        return f"the tag {now.tag} is commit {(now.commit or '')[:12]}"


def tag_for(template: str, version: str) -> str:
    """Return the tag of a version.

    Only the named placeholders are replaced; there is no way to anything else from within a template.

    Raises:
        RecipeError: a placeholder that is not known, or a tag that git does not allow.
    """
    parsed = Version(version)
    tags = {
        "version": version,
        "major": str(parsed.major),
        "minor": str(parsed.minor),
        "micro": str(parsed.micro),
        "pre": "".join(map(str, parsed.pre or ())),
        "post": "" if parsed.post is None else str(parsed.post),
        "epoch": str(parsed.epoch),
    }

    def value(match: re.Match[str]) -> str:
        if match[1] not in tags:
            raise RecipeError(
                f"[source] tag has an unknown placeholder {match[0]}{did_you_mean(match[1], tags)}",
                fix=f"use {', '.join(f'{{{name}}}' for name in tags)}",
            )
        return tags[match[1]]

    tag = _PLACEHOLDER.sub(value, template)
    if "{" in tag or "}" in tag or run(["git", "check-ref-format", f"refs/tags/{tag}"], check=False).returncode:
        raise RecipeError(f"[source] tag yields {tag!r}, which git does not allow as a tag", fix="correct the template")
    return tag


def checkout(url: str, commit: str, tag: str, target: Path, *, submodules: bool) -> int:
    """Put the tree of a commit into a new folder, without anything of git's own.

    Returns:
        The commit's time, in seconds since 1970.

    Raises:
        SourceError: the server no longer has the commit, or a submodule cannot be had.
        DigestMismatchError: the tag names another commit by now, and the pinned one is gone.
        NetworkError: the server cannot be reached.
        DiskError: no space.
    """
    repository = _repository(_checked(url), commit, tag)
    target.parent.mkdir(parents=True, exist_ok=True)
    alone = local_env(target.parent)
    _git(["init", "--quiet", "--template=", target], env=alone, url=url)
    _git(["-C", target, "remote", "add", "origin", url], env=alone, url=url)
    _git(["-C", target, "fetch", "--quiet", "--depth=1", repository, _REF], env=alone | allow("file"), url=url)
    _git(["-C", target, "checkout", "--quiet", "--detach", "FETCH_HEAD"], env=alone, url=url)
    head, seconds = _git(["-C", target, "show", "-s", "--format=%H %ct", "HEAD"], env=alone, url=url).stdout.split()
    if head != commit:
        raise DigestMismatchError(
            f"the cache holds {head} where {commit} should be", fix=f"remove {repository} and run again"
        )
    if submodules and (target / ".gitmodules").is_file():
        _submodules(target, url)
    _strip(target)
    return int(seconds)


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.password or (parts.scheme == "https" and parts.username):
        raise RecipeError(
            "[source] git holds a user name or password",
            fix="leave them out of the address, and give git a credential helper (gitcredentials(7))",
        )
    return url


def _remote_tags(url: str, *patterns: str) -> dict[str, str]:
    completed = _git(["ls-remote", "--tags", "--", url, *patterns], env=network_env(url), url=url)
    pairs = (line.split("\t") for line in completed.stdout.splitlines() if line.count("\t") == 1)
    return {name.removeprefix("refs/tags/"): commit for commit, name in pairs}


def _repository(url: str, commit: str, tag: str) -> Path:
    """Return a bare repository in the cache that has the commit: fetched into a scratch folder, then renamed."""
    folder = cache.cache_dir("git", sha256_bytes(url.encode())[:16])
    ready = folder / f"{commit}.git"
    if ready.is_dir():
        return ready
    with cache.lock(folder / "lock", what=f"it fetches {url}"):
        if ready.is_dir():
            return ready
        files.sweep_scratch(folder, "fetch")
        with files.scratch(folder, "fetch") as scratch, guard.on_death(folders=[scratch]):
            bare = scratch / "bare"
            _git(["init", "--quiet", "--bare", "--template=", bare], env=local_env(scratch), url=url)
            _fetch(bare, url, commit, tag)
            bare.rename(ready)
    return ready


def _fetch(bare: Path, url: str, commit: str, tag: str) -> None:
    env = network_env(url)
    fetch: list[str | Path] = [
        "-C",
        bare,
        "fetch",
        "--quiet",
        "--depth=1",
        "--no-tags",
        "--no-write-fetch-head",
        "--",
        url,
    ]
    with log.step(f"fetching {url} at {tag or commit[:12]}"):
        # Not every server gives a commit that no branch or tag names (uploadpack.allowReachableSHA1InWant).
        if _git([*fetch, f"+{commit}:{_REF}"], env=env, url=url, check=False).returncode == 0:
            return
        _git([*fetch, f"+refs/tags/{tag}:{_REF}"], env=env, url=url)
    fetched = _git(["-C", bare, "rev-parse", f"{_REF}^{{commit}}"], env=local_env(bare.parent), url=url).stdout.strip()
    if fetched != commit:
        raise DigestMismatchError(
            f"the tag {tag} of {url} has moved",
            details=[f"locked: {commit}", f"now: {fetched}"],
            fix="find out why upstream moved it; then remove the version from packages/<pkg>/lock.toml to lock it anew",
        )


def _submodules(target: Path, url: str) -> None:
    env = network_env(url)
    update: list[str | Path] = ["-C", target, "submodule", "--quiet", "update", "--init", "--recursive"]
    with log.step("fetching submodules"):
        if _git([*update, "--depth=1"], env=env, url=url, check=False).returncode:
            _git(update, env=env, url=url)  # servers that do not give single commits


def _strip(target: Path) -> None:
    shutil.rmtree(target / ".git")
    for folder, _folders, names in os.walk(target):
        if ".git" in names:  # of a submodule, pointing into what has just been removed
            os.unlink(os.path.join(folder, ".git"))  # noqa: PTH108, PTH118 - many folders, few hits


def _git(args: Sequence[str | Path], *, env: dict[str, str], url: str, check: bool = True) -> Completed:
    completed = git_program.git(args, env=env)
    if check and completed.returncode:
        raise _problem(completed, url)
    return completed


def _problem(completed: Completed, url: str) -> SourceError | NetworkError:
    details = git_program.error_lines(completed)
    if UNREACHABLE.search(completed.stderr):
        return NetworkError(f"{url} cannot be reached", details=details, fix="check the network and proxy settings")
    return SourceError(
        f"git cannot get the source from {url}",
        details=details,
        fix="check [source] git in the recipe; a private repository needs a credential helper (gitcredentials(7))",
    )


def _commit(locked: LockedVersion) -> str:
    if locked.commit is None:
        raise PlanError(
            f"version {locked.version} is not locked to a git commit, though its recipe takes it from git",
            fix=f"remove version {locked.version} from packages/<pkg>/lock.toml and run again: it is locked anew",
        )
    return locked.commit
