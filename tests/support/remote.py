"""A bare git repository, as a forge has one, and the person who works in it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Answered = tuple[int, dict[str, str], bytes]  # status, headers, body

# Nobody's configuration, and the same commit whenever it is made.
_ENV = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_AUTHOR_DATE": "1714979289 +0000",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
    "GIT_COMMITTER_DATE": "1714979289 +0000",
}


def git(folder: Path, *words: str, stdin: bytes | None = None, **env: str) -> str:
    """Run git in *folder*, and return what it prints without the last line's end."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(
        ["git", *words], cwd=folder, input=stdin, env=kept | _ENV | env, capture_output=True, check=True
    )
    return done.stdout.decode().removesuffix("\n")


def http_backend(  # noqa: PLR0917 - what makes a request
    root: Path, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
) -> Answered:
    """Have git's own server program answer a request of somebody who has logged in (git-http-backend(1)).

    Args:
        root: where repositories are.
        method, path, query: what is asked.
        headers: by lower-case name.
        body: as it was sent.
    """
    env = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
        "GIT_PROTOCOL": headers.get("git-protocol", ""),
        "REMOTE_USER": "bot",
    }
    done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=True)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    told = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    return int(told.pop("Status", "200").split()[0]), told, content


class Bare:
    """A bare repository with a first commit on ``main``.

    Args:
        path: where it is made.
        files: what is in it.
    """

    def __init__(self, path: Path, files: Mapping[str, str]) -> None:
        self.path = path
        path.mkdir(parents=True)
        git(path, "init", "--quiet", "--bare", "-b", "main", "--template=")
        self.commit("main", files)

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def commit(self, branch: str, files: Mapping[str, str | None], *, message: str = "a person's change") -> str:
        """Commit to *branch* as a person, and return the commit; a new branch begins at ``main``."""
        tip = self.tip(branch) or self.tip("main")
        index = str(self.path / "index.person")
        git(self.path, "read-tree", tip or "--empty", GIT_INDEX_FILE=index)
        for path, text in files.items():
            if text is None:
                git(self.path, "update-index", "--force-remove", path, GIT_INDEX_FILE=index)
                continue
            blob = git(self.path, "hash-object", "-w", "--stdin", stdin=text.encode())
            git(self.path, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", GIT_INDEX_FILE=index)
        tree = git(self.path, "write-tree", GIT_INDEX_FILE=index)
        parents = ["-p", tip] if tip else []
        commit = git(self.path, "commit-tree", tree, *parents, "-m", message)
        git(self.path, "update-ref", f"refs/heads/{branch}", commit)
        return commit

    def tip(self, branch: str) -> str:
        """Return the commit of a branch, empty if there is no such branch."""
        return git(self.path, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    def branches(self) -> list[str]:
        return git(self.path, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split()

    def files(self, commit: str) -> dict[str, str]:
        names = git(self.path, "ls-tree", "-r", "--name-only", commit).split("\n")
        return {name: git(self.path, "cat-file", "blob", f"{commit}:{name}") for name in names}

    def changed(self, branch: str, base: str = "main") -> set[str]:
        """Return which files a request to merge *branch* shows: what differs from where it left *base*."""
        return set(git(self.path, "diff", "--name-only", f"{base}...{branch}").split())

    def ahead(self, branch: str, base: str = "main") -> int:
        return int(git(self.path, "rev-list", "--count", f"{base}..{branch}"))

    def merge(self, branch: str, base: str = "main") -> bool:
        """Merge a branch as a forge does; False where people would have to resolve conflicts."""
        one, other = self.tip(base), self.tip(branch)
        try:
            tree = git(self.path, "merge-tree", "--write-tree", one, other).split("\n")[0]
        except subprocess.CalledProcessError:
            return False
        commit = git(self.path, "commit-tree", tree, "-p", one, "-p", other, "-m", f"Merge {branch}")
        git(self.path, "update-ref", f"refs/heads/{base}", commit)
        return True

    def delete(self, branch: str) -> None:
        git(self.path, "update-ref", "-d", f"refs/heads/{branch}")
