"""``records``: bring changed records to the base branch, through one change request or a push."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from wheelyard.core.errors import ConfigError
from wheelyard.core.model import Model
from wheelyard.forges import ChangeRequest, Merge
from wheelyard.forges.site_forge import open_site_forge
from wheelyard.io import git_program
from wheelyard.records.expiry_table import PAGE
from wheelyard.records.merge import NAMES, merge

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.project.config import Project

KEY = "records"
_DEEP = 3  # packages/<pkg>/<record>


class RecordsReport(Model):
    """The result for changed records; in a dry run, the result that they would have.

    Attributes:
        action: as of a change request; ``pushed`` onto the base branch; ``none`` if no record has changed; ``changed``
            without ``--propose`` and ``--push``.
        done: false in a dry run, and without ``--propose`` and ``--push``.
        url: the change request, empty if there is none.
        files: the changed records of this checkout.
    """

    schema_: Literal["wheelyard/records"] = Field("wheelyard/records", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    action: Literal["open", "update", "keep", "close", "none", "moot", "declined", "foreign", "pushed", "changed"]
    done: bool
    url: str = ""
    files: tuple[str, ...] = ()


def changed(project: Project) -> dict[str, tuple[bytes | None, bytes | None]]:
    """Return the changed records of this checkout: path, committed content, current content.

    Raises:
        ConfigError: the project is not a git checkout with a commit.
    """
    root = project.root
    where = ("--", project.packages.relative_to(root).as_posix(), PAGE)
    listed = _git(root, "diff", "--no-ext-diff", "--no-renames", "--name-only", "-z", "--relative", "HEAD", *where)
    listed += _git(root, "ls-files", "-z", "--others", "--exclude-standard", *where)
    committed = set(filter(None, _git(root, "ls-tree", "-r", "-z", "--name-only", "HEAD", *where).split("\0")))
    changes: dict[str, tuple[bytes | None, bytes | None]] = {}
    for name in sorted(set(filter(None, listed.split("\0")))):
        path = root / name
        if not _is_record(name) or path.is_symlink():
            continue
        old = _git(root, "cat-file", "blob", f"HEAD:./{name}").encode() if name in committed else None
        changes[name] = old, path.read_bytes() if path.is_file() else None
    return changes


def bring_out(project: Project, *, push: bool = False, dry_run: bool = False) -> RecordsReport:
    """Bring changed records to the base branch, by one change request or a push, as the site configuration states.

    Records that the base branch and our open change request already have are kept.

    Args:
        project: the project.
        push: push onto the base branch, without regard to the site configuration.
        dry_run: change nothing.

    Raises:
        ConfigError: no git checkout, or the site configuration has no forge for change requests.
        CredentialsError: no token, or one without permission.
        RegistryContentError: the base branch has another record of a published file.
        NetworkError: the forge does not answer.
        PublishError: the forge refuses the branch or the change request.
    """
    changes = changed(project)
    if not changes:
        return RecordsReport(action="none", done=not dry_run)
    packages = sorted({PurePosixPath(name).parts[1] for name in changes if name != PAGE})
    of = ", ".join(packages) if len(packages) <= _DEEP else f"{len(packages)} packages"
    title = f"Records of {of}" if packages else "When tokens end"
    with open_site_forge(project, dry_run=dry_run) as (forge, config):
        direct = push or config.records == "push"
        request = ChangeRequest(
            KEY,
            title if direct else "Records of what was published and seen",
            "What publishing and looking upstream wrote down, and when tokens end; nothing else changes. Made by "
            "`wheelyard records --propose`.",
            config.labels,
            {name: new for name, (_, new) in changes.items()},
            Merge({name: old for name, (old, _) in changes.items()}, merge),
        )
        if direct:
            return RecordsReport(action=forge.push(request), done=not dry_run, files=tuple(changes))
        change = forge.propose(request)
    return RecordsReport(action=change.action, done=not dry_run, url=change.url, files=tuple(changes))


def _is_record(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return name == PAGE or (len(parts) == _DEEP and parts[-1] in NAMES)


def _git(root: Path, *words: str) -> str:
    result = git_program.git(["-C", root, *words], env=git_program.base_env())
    if result.returncode:
        raise ConfigError(
            "the project is no git checkout with a commit",
            where=str(root),
            details=git_program.error_lines(result),
            fix="run it in a clone of the repository",
        )
    return result.stdout
