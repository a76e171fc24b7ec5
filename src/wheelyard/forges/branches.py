"""Branches of change requests, written with git's plumbing in a temporary repository.

Nobody's checkout is touched: neither its files nor its index, HEAD, refs or configuration. Commits have a committer
and a trailer of the tool; a branch with a commit of anybody else is never written again.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Literal

from wheelyard.core.errors import ConfigError, NetworkError, ProgramError
from wheelyard.forges.forge import Merge
from wheelyard.forges.remote import remote_error
from wheelyard.io import cache, files, git_program, guard, log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from wheelyard.forges.remote import Remote
    from wheelyard.io.run import Completed

PREFIX = "wheelyard/"
_NAME, _EMAIL = "wheelyard", "wheelyard@noreply.invalid"
_TRAILER = "Wheelyard-Tree"
_HEADS = "refs/heads/"
_BASE, _OURS = "refs/wheelyard/base", "refs/wheelyard/ours/"
_FILE, _PROGRAM = "100644", "100755"
_ATTEMPTS = 4
_NONE = "0" * 40
# The branch has moved between our fetch and our push (git-push(1), and the messages of servers).
_MOVED = re.compile(
    r"stale info|\[rejected\]|cannot lock ref|failed to update ref|reference already exists", re.IGNORECASE
)

Entries = dict[str, tuple[str, str]]  # mode and object, by path
BranchState = Literal["moot", "same", "other", "foreign", "none"]


@contextlib.contextmanager
def open_branches(remote: Remote, *, dry_run: bool = False) -> Iterator[Branches]:
    """Yield the branches of *remote*; the server is asked at the first read, and before each push.

    Raises:
        DiskError: no space, or no right to write in the cache.
    """
    folder = cache.cache_dir("forge")
    files.sweep_scratch(folder, "push")
    with files.scratch(folder, "push") as scratch, guard.on_death(folders=[scratch]):
        yield Branches(scratch, remote, dry_run=dry_run)


class Branches:
    """The branches of one repository. Use :func:`open_branches`.

    Args:
        scratch: a folder of its own.
        remote: where they are.
        dry_run: whether to read only and push nothing.
    """

    def __init__(self, scratch: Path, remote: Remote, *, dry_run: bool = False) -> None:
        self._scratch = scratch
        self._repository = scratch / "bare"
        self._remote = remote
        self._dry_run = dry_run
        self._base = remote.base
        self._fresh = False

    @property
    def base(self) -> str:
        """The branch that all are merged into."""
        self._look()
        return self._base

    def write(
        self,
        key: str,
        contents: Mapping[str, bytes | None],
        title: str,
        merge: Merge | None = None,
        *,
        live: bool = False,
    ) -> Literal["moot", "same", "pushed", "foreign"]:
        """Make sure that the branch of *key* is one commit on the base branch that changes these files.

        The same content on the same base is the same commit, whoever makes it and when.

        Args:
            key: the change request's key.
            contents: content by path; None deletes.
            title: the commit's subject.
            merge: how the contents are joined with those of the base branch.
            live: whether the contents of the branch itself are joined, too; with *merge* only.

        Returns:
            ``moot`` if the base branch has all of it (nothing is written then), ``same`` if the branch is such
            a commit already, ``foreign`` if a person has pushed to it, and else ``pushed``.

        Raises:
            CredentialsError: we may not push there.
            ConfigError: there is no such repository or base branch.
            NetworkError: the server does not answer.
            PublishError: the server refuses the branch.
        """
        for attempt in range(_ATTEMPTS):
            self._look()
            # A branch that has moved since the fetch is in use by another run.
            entries = self._entries(self._joined(contents, merge, key if live or attempt else ""))
            match self._state(key, entries):
                case "moot" | "same" | "foreign" as state:
                    return state
                case "other" | "none":
                    pass
            if self._dry_run or self._push(key, self._commit(entries, title)):
                return "pushed"
        raise self._restless(PREFIX + key)

    def remove(self, key: str) -> Literal["removed", "none", "foreign"]:
        """Delete the branch of *key* unless a person has pushed to it.

        Raises:
            CredentialsError: we may not push there.
            ConfigError: there is no such repository or base branch.
            NetworkError: the server does not answer.
            PublishError: the server does not let it go.
        """
        for _ in range(_ATTEMPTS):
            self._look()
            tip = self._commit_of(_OURS + key)
            if not tip:
                return "none"
            if not self._is_ours(tip):
                return "foreign"
            if self._dry_run or self._push(key, ""):
                return "removed"
        raise self._restless(PREFIX + key)

    def push(
        self, contents: Mapping[str, bytes | None], title: str, merge: Merge | None = None
    ) -> Literal["moot", "pushed"]:
        """Put one commit that changes these files onto the base branch; anew where that has moved meanwhile.

        Raises:
            CredentialsError: we may not push there.
            ConfigError: there is no such repository or base branch.
            NetworkError: the server does not answer.
            PublishError: the server does not take the commit.
        """
        for _ in range(_ATTEMPTS):
            self._look()
            entries = self._entries(self._joined(contents, merge, ""))
            if _has(self._tree(_BASE, entries), entries):
                return "moot"
            if self._dry_run:
                return "pushed"
            commit = self._commit(entries, title)
            # Never forced: a branch that has moved refuses it.
            result = self._talk(
                "push",
                "--quiet",
                "--no-verify",
                "--no-follow-tags",
                "--",
                self._remote.url,
                f"{commit}:{_HEADS}{self._base}",
            )
            self._fresh = False
            if not result.returncode:
                return "pushed"
            if not _MOVED.search(result.stderr):
                raise remote_error(self._remote.url, self._base, result)
        raise self._restless(self._base)

    def is_moot(self, contents: Mapping[str, bytes | None], merge: Merge | None = None) -> bool:
        """Return whether the base branch has all of this: content by path, None for what must not be there."""
        self._look()
        entries = self._entries(self._joined(contents, merge, ""))
        return _has(self._tree(_BASE, entries), entries)

    def is_foreign(self, key: str) -> bool:
        """Return whether there is a branch of *key* whose last commit is not ours."""
        self._look()
        tip = self._commit_of(_OURS + key)
        return bool(tip) and not self._is_ours(tip)

    def tip(self, key: str) -> str:
        """Return the commit of the branch of *key*; empty if there is none."""
        self._look()
        return self._commit_of(_OURS + key)

    def has_landed(self, key: str, merge: Merge | None = None) -> bool:
        """Return whether there is a branch of *key*, ours, all of which the base branch has by now."""
        tip = self.tip(key)
        if not tip or not self._is_ours(tip):
            return False
        below = f"{tip}^"
        changed = self._git("diff-tree", "-r", "-z", "--name-only", below, tip).split("\0")
        contents = {path: self._content(tip, path) for path in changed if path}
        olds = Merge({path: self._content(below, path) for path in contents}, merge.join) if merge else None
        return self.is_moot(contents, olds)

    # -------------------------------------------------------------- looking

    def _look(self) -> None:
        """Fetch the tips of the base branch and of all of ours with what they are based on, and no more."""
        if self._fresh:
            return
        if not self._repository.exists():
            self._git("init", "--quiet", "--bare", "--template=", str(self._repository), inside=False)
        if not self._base:
            self._base = self._default_branch()
        words = ["fetch", "--quiet", "--depth=2", "--no-tags", "--no-write-fetch-head", "--prune", "--"]
        specs = [f"+{_HEADS}{self._base}:{_BASE}", f"+{_HEADS}{PREFIX}*:{_OURS}*"]
        result = self._talk(*words, self._remote.url, *specs)
        if result.returncode:
            raise remote_error(self._remote.url, self._base, result)
        self._fresh = True

    def _default_branch(self) -> str:
        result = self._talk("ls-remote", "--symref", "--", self._remote.url, "HEAD")
        if result.returncode:
            raise remote_error(self._remote.url, self._base, result)
        match = re.search(rf"^ref: {_HEADS}(\S+)\tHEAD$", result.stdout, re.MULTILINE)
        if not match:
            raise ConfigError(
                f"{self._remote.url} has no default branch", fix="name one: base in [tool.wheelyard.change-requests]"
            )
        return match[1]

    def _state(self, key: str, entries: Mapping[str, tuple[str, str] | None]) -> BranchState:
        base = self._tree(_BASE, entries)
        if _has(base, entries):
            return "moot"
        tip = self._commit_of(_OURS + key)
        if not tip:
            return "none"
        if not self._is_ours(tip):
            return "foreign"
        below = f"{tip}^"
        changed = set(self._git("diff-tree", "-r", "-z", "--name-only", below, tip).split("\0")) - {""}
        due = {path for path, entry in entries.items() if base.get(path) != entry}
        same = self._tree(tip, entries) == {path: entry for path, entry in entries.items() if entry}
        # Where the base branch has changed these very files since, the branch could not be merged as it is.
        return "same" if same and changed == due and self._tree(below, entries) == base else "other"

    def _is_ours(self, commit: str) -> bool:
        """Return whether a commit is as we made it: amended or rebased, it has another tree or another committer."""
        form = f"%T%n%ce%n%(trailers:key={_TRAILER},valueonly)"
        tree, committer, trailer = (self._git("show", "-s", f"--format={form}", commit) + "\n\n").split("\n")[:3]
        return committer == _EMAIL and trailer.strip() == tree

    def _tree(self, commit: str, paths: Mapping[str, object]) -> Entries:
        listed = self._git("ls-tree", "-z", "--full-tree", commit, "--", *paths).split("\0")
        tree: Entries = {}
        for line in filter(None, listed):
            meta, _, path = line.partition("\t")
            mode, _, blob = meta.split(" ")
            tree[path] = (mode, blob)
        return tree

    def _commit_of(self, ref: str) -> str:
        return self._git("for-each-ref", "--format=%(objectname)", ref).strip()

    def _joined(
        self, contents: Mapping[str, bytes | None], merge: Merge | None, key: str
    ) -> Mapping[str, bytes | None]:
        """Return *contents* joined with the base branch, and with the branch of *key* if it is ours."""
        if merge is None:
            return contents
        joined = {
            path: merge.join(path, merge.olds.get(path), data, self._content(_BASE, path))
            for path, data in contents.items()
        }
        tip = self._commit_of(_OURS + key) if key else ""
        if tip and self._is_ours(tip):
            below = f"{tip}^"
            for path in self._git("diff-tree", "-r", "-z", "--name-only", below, tip).split("\0"):
                if path:
                    base = joined[path] if path in joined else self._content(_BASE, path)
                    joined[path] = merge.join(path, self._content(below, path), self._content(tip, path), base)
        return joined

    def _content(self, commit: str, path: str) -> bytes | None:
        entry = self._tree(commit, {path: None}).get(path)
        return None if entry is None else self._git("cat-file", "blob", entry[1]).encode()

    # -------------------------------------------------------------- writing

    def _entries(self, contents: Mapping[str, bytes | None]) -> dict[str, tuple[str, str] | None]:
        """Store *contents*, and return its tree entries; a program stays one."""
        base = self._tree(_BASE, contents)
        entries: dict[str, tuple[str, str] | None] = {}
        for path, data in contents.items():
            if data is None:
                entries[path] = None
                continue
            blob = self._git("hash-object", "-w", "--stdin", stdin=data).strip()
            mode = base.get(path, (_FILE, ""))[0]
            entries[path] = (mode if mode == _PROGRAM else _FILE, blob)
        return entries

    def _commit(self, entries: Mapping[str, tuple[str, str] | None], title: str) -> str:
        index = {"GIT_INDEX_FILE": str(self._scratch / "index")}
        self._git("read-tree", _BASE, env=index)
        lines = [f"{mode} {blob}\t{path}" for path, (mode, blob) in _listed(entries)]
        self._git(
            "update-index", "-z", "--index-info", stdin="".join(f"{line}\0" for line in lines).encode(), env=index
        )
        tree = self._git("write-tree", env=index).strip()
        when = self._git("show", "-s", "--format=%ct", _BASE).strip()
        who = {
            f"GIT_{role}_{name}": value
            for role in ("AUTHOR", "COMMITTER")
            for name, value in (("NAME", _NAME), ("EMAIL", _EMAIL), ("DATE", f"{when} +0000"))
        }
        message = f"{' '.join(log.clean(title).split())}\n\n{_TRAILER}: {tree}\n"
        return self._git("commit-tree", tree, "-p", _BASE, stdin=message.encode(), env=who).strip()

    def _push(self, key: str, commit: str) -> bool:
        """Set or (without a commit) delete the branch; False if it is no longer what we last saw."""
        ref, tip = f"{_HEADS}{PREFIX}{key}", self._commit_of(_OURS + key)
        words = ["push", "--quiet", "--no-verify", "--no-follow-tags", f"--force-with-lease={ref}:{tip}", "--"]
        result = self._talk(*words, self._remote.url, f"{commit}:{ref}")
        if result.returncode:
            self._fresh = False
            if _MOVED.search(result.stderr):
                return False
            raise remote_error(self._remote.url, self._base, result)
        if commit:
            self._git("update-ref", _OURS + key, commit)
        else:
            self._git("update-ref", "-d", _OURS + key)
        return True

    # ------------------------------------------------------------------ git

    def _git(
        self, *words: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None, inside: bool = True
    ) -> str:
        """Run git on our own repository, where nobody's configuration counts."""
        where = ["-C", str(self._repository)] if inside else []
        result = git_program.git(
            [*where, *words], env=git_program.local_env(self._scratch) | dict(env or {}), stdin=stdin
        )
        if result.returncode:
            raise ProgramError(f"git {words[0]} failed on a branch of ours", details=git_program.error_lines(result))
        return result.stdout

    def _talk(self, *words: str) -> Completed:
        """Run git in an exchange with the server, where the user's proxies, keys and credential helpers count."""
        env = git_program.network_env(self._remote.url) | dict(self._remote.env)
        return git_program.git(["-C", str(self._repository), *words], env=env)

    def _restless(self, key: str) -> NetworkError:
        return NetworkError(
            f"the branch {key} of {self._remote.url} changes during every push",
            fix="run the same command again, when no other run is at work",
        )


def _has(tree: Entries, entries: Mapping[str, tuple[str, str] | None]) -> bool:
    return all(tree.get(path) == entry for path, entry in entries.items())


def _listed(entries: Mapping[str, tuple[str, str] | None]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield entries as update-index takes them: deletions first, so that a file may become a folder."""
    for path, entry in sorted(entries.items(), key=lambda item: (item[1] is not None, item[0])):
        yield path, entry or ("0", _NONE)
