"""``records``: what publishing and looking wrote down goes out through one request, or onto the base branch."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from wheelyard.core.errors import ConfigError
from wheelyard.forges import ChangeRequest, Merge
from wheelyard.forges.site_forge import open_site_forge
from wheelyard.io import git_program
from wheelyard.records.expiry_table import PAGE
from wheelyard.records.merge import NAMES, merge
from wheelyard.watch.records_report import RecordsReport

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.project.config import Project

KEY = "records"
_DEEP = 3  # packages/<pkg>/<record>


def changed(project: Project) -> dict[str, tuple[bytes | None, bytes | None]]:
    """Return the records that this checkout changed: path, what its commit has, and what is there now.

    Raises:
        ConfigError: the project is no git checkout with a commit.
    """
    root = project.root
    where = ("--", project.packages.relative_to(root).as_posix(), PAGE)
    listed = _git(root, "diff", "--no-ext-diff", "--no-renames", "--name-only", "-z", "--relative", "HEAD", *where)
    listed += _git(root, "ls-files", "-z", "--others", "--exclude-standard", *where)
    there = set(filter(None, _git(root, "ls-tree", "-r", "-z", "--name-only", "HEAD", *where).split("\0")))
    found: dict[str, tuple[bytes | None, bytes | None]] = {}
    for name in sorted(set(filter(None, listed.split("\0")))):
        path = root / name
        if not _is_record(name) or path.is_symlink():
            continue
        old = _git(root, "cat-file", "blob", f"HEAD:./{name}").encode() if name in there else None
        found[name] = old, path.read_bytes() if path.is_file() else None
    return found


def bring_out(project: Project, *, push: bool = False, dry_run: bool = False) -> RecordsReport:
    """Bring changed records to the base branch, as the site configuration says: by one request, or at once.

    Whatever the base branch and an open request of ours have by now stays.

    Args:
        project: the project.
        push: push them onto the base branch, whatever the site configuration says.
        dry_run: look, and change nothing anywhere.

    Raises:
        ConfigError: no git checkout, or the site configuration does not say where requests go.
        CredentialsError: no token, or it may not.
        RegistryContentError: the base branch says other things of a published file.
        NetworkError: the forge does not answer.
        PublishError: it refuses the branch or the request.
    """
    mine = changed(project)
    if not mine:
        return RecordsReport(action="none", done=not dry_run)
    packages = sorted({PurePosixPath(name).parts[1] for name in mine if name != PAGE})
    of = ", ".join(packages) if len(packages) <= _DEEP else f"{len(packages)} packages"
    title = f"Records of {of}" if packages else "When tokens end"
    with open_site_forge(project, dry_run=dry_run) as (forge, config):
        direct = push or config.records == "push"
        proposal = ChangeRequest(
            KEY,
            title if direct else "Records of what was published and seen",
            "What publishing and looking upstream wrote down, and when tokens end; nothing else changes. Made by "
            "`wheelyard records --propose`.",
            config.labels,
            {name: new for name, (_, new) in mine.items()},
            Merge({name: old for name, (old, _) in mine.items()}, merge),
        )
        if direct:
            return RecordsReport(action=forge.push(proposal), done=not dry_run, files=tuple(mine))
        change = forge.propose(proposal)
    return RecordsReport(action=change.action, done=not dry_run, url=change.url, files=tuple(mine))


def _is_record(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return name == PAGE or (len(parts) == _DEEP and parts[-1] in NAMES)


def _git(root: Path, *words: str) -> str:
    done = git_program.git(["-C", root, *words], env=git_program.base_env())
    if done.returncode:
        raise ConfigError(
            "the project is no git checkout with a commit",
            where=str(root),
            details=git_program.error_lines(done),
            fix="run it in a clone of the repository",
        )
    return done.stdout
