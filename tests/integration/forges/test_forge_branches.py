"""Branches of proposals: real git against a bare repository, by file and over https, and nobody's checkout touched."""

from __future__ import annotations

import base64
import contextlib
import http.server
import os
import shutil
import ssl
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from support.gitlab.serve import self_signed
from support.remote import Bare, git, http_backend
from wheelyard.core.errors import ConfigError, CredentialsError, NetworkError, WheelyardError
from wheelyard.forges import PREFIX, Branches, ChangeRequest, Remote, address, open_branches
from wheelyard.io.git_program import login

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY, LOCK = "update/tiny", "packages/tiny/lock.toml"
BRANCH = PREFIX + KEY
WANTED: dict[str, bytes | None] = {LOCK: b"version = 2\n"}
TOKEN = "glpat-made-up-for-this-test"


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    return Bare(tmp_path / "remote.git", {LOCK: "version = 1\n", "README.md": "yard\n"})


def write(bare: Bare, wanted: dict[str, bytes | None] = WANTED, *, base: str = "", title: str = "Update tiny") -> str:
    """Write the branch in a run of its own."""
    with open_branches(Remote(bare.url, base, {})) as branches:
        return branches.write(KEY, wanted, title)


def test_it_is_one_commit_on_the_base_that_changes_these_files(bare: Bare) -> None:
    assert write(bare, title="Update tiny\n\nSigned-off-by: nobody") == "pushed"
    assert bare.ahead(BRANCH) == 1
    assert bare.files(BRANCH) == {LOCK: "version = 2", "README.md": "yard"}
    subject, who = git(bare.path, "show", "-s", "--format=%s%n%cn", BRANCH).split("\n")
    assert (subject, who) == ("Update tiny Signed-off-by: nobody", "wheelyard"), "a title is one line"


def test_the_same_content_on_the_same_base_is_the_same_commit(bare: Bare) -> None:
    write(bare)
    tip = bare.tip(BRANCH)
    assert write(bare) == "same"
    assert write(bare, title="said otherwise") == "same"
    bare.delete(BRANCH)
    assert write(bare) == "pushed"
    assert bare.tip(BRANCH) == tip


def test_files_are_added_removed_and_keep_their_mode(bare: Bare) -> None:
    git(bare.path, "update-ref", "refs/heads/main", _with_program(bare))
    wanted: dict[str, bytes | None] = {"a/b/new": b"\x00\xff\r\n", "README.md": None, "run.sh": b"#!/bin/sh\n:\n"}
    assert write(bare, wanted) == "pushed"
    assert bare.changed(BRANCH) == {"a/b/new", "README.md", "run.sh"}
    assert git(bare.path, "ls-tree", BRANCH, "run.sh").startswith("100755 ")
    assert git(bare.path, "cat-file", "-s", f"{BRANCH}:a/b/new") == "4", "bytes are as they were given"
    assert write(bare, wanted) == "same"


def _with_program(bare: Bare) -> str:
    index = str(bare.path / "index.program")
    git(bare.path, "read-tree", "main", GIT_INDEX_FILE=index)
    blob = git(bare.path, "hash-object", "-w", "--stdin", stdin=b"#!/bin/sh\n")
    git(bare.path, "update-index", "--add", "--cacheinfo", f"100755,{blob},run.sh", GIT_INDEX_FILE=index)
    return git(bare.path, "commit-tree", git(bare.path, "write-tree", GIT_INDEX_FILE=index), "-p", "main", "-m", "run")


def test_a_file_may_become_a_folder(bare: Bare) -> None:
    assert write(bare, {"README.md": None, "README.md/part": b"1"}) == "pushed"
    assert bare.files(BRANCH)["README.md/part"] == "1"


def test_what_is_no_longer_wanted_goes_from_the_branch(bare: Bare) -> None:
    write(bare, {**WANTED, "other": b"1"})
    assert write(bare) == "pushed"
    assert bare.changed(BRANCH) == {LOCK}
    assert bare.ahead(BRANCH) == 1


def test_nothing_to_change_is_moot(bare: Bare) -> None:
    assert write(bare, {LOCK: b"version = 1\n"}) == "moot"
    assert write(bare, {"no/such/file": None}) == "moot"
    assert bare.branches() == ["main"]


@pytest.mark.parametrize("how", ["on top", "amended", "rebased"])
def test_what_a_person_made_of_it_is_left_alone(bare: Bare, how: str) -> None:
    write(bare)
    match how:
        case "on top":
            bare.commit(BRANCH, {"README.md": "mine\n"})
        case "amended":
            tree = git(bare.path, "rev-parse", "main^{tree}")
            text = git(bare.path, "show", "-s", "--format=%B", BRANCH)
            ours = "wheelyard@noreply.invalid"
            made = git(bare.path, "commit-tree", tree, "-p", "main", "-m", text, GIT_COMMITTER_EMAIL=ours)
            git(bare.path, "update-ref", f"refs/heads/{BRANCH}", made)
        case _:
            text = git(bare.path, "show", "-s", "--format=%B", BRANCH)
            made = git(bare.path, "commit-tree", f"{BRANCH}^{{tree}}", "-p", "main", "-m", text)
            git(bare.path, "update-ref", f"refs/heads/{BRANCH}", made)
    tip = bare.tip(BRANCH)
    assert write(bare, {LOCK: b"version = 3\n"}) == "foreign"
    with open_branches(Remote(bare.url, "", {})) as branches:
        assert branches.is_foreign(KEY)
        assert branches.remove(KEY) == "foreign"
    assert bare.tip(BRANCH) == tip


def test_it_is_removed_once(bare: Bare) -> None:
    write(bare)
    with open_branches(Remote(bare.url, "", {})) as branches:
        assert branches.remove(KEY) == "removed"
        assert branches.remove(KEY) == "none"
        assert branches.write(KEY, WANTED, "again") == "pushed"
    assert bare.branches() == ["main", BRANCH]


def test_the_base_may_be_any_branch(bare: Bare) -> None:
    bare.commit("next", {LOCK: "version = 2\n"})
    assert write(bare, base="next") == "moot"
    assert write(bare) == "pushed"
    git(bare.path, "symbolic-ref", "HEAD", "refs/heads/next")
    with open_branches(Remote(bare.url, "", {})) as branches:
        assert branches.base == "next"
    with pytest.raises(ConfigError, match="has no branch 'gone'"):
        write(bare, base="gone")


def test_servers_that_are_none(bare: Bare, tmp_path: Path) -> None:
    with open_branches(Remote(f"file://{tmp_path}/none.git", "main", {})) as branches, pytest.raises(ConfigError):
        branches.write(KEY, WANTED, "x")
    with (
        open_branches(Remote("https://127.0.0.1:9/a/b.git", "main", {})) as branches,
        pytest.raises(NetworkError, match="cannot be reached"),
    ):
        branches.write(KEY, WANTED, "x")
    with (
        open_branches(Remote("http://127.0.0.1:9/a/b.git", "main", {})) as branches,
        pytest.raises(ConfigError, match="https"),
    ):
        branches.write(KEY, WANTED, "x")


def test_what_happens_between_the_look_and_the_push(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    """The base goes on; another run pushes; a person pushes; the branch goes."""
    push = Branches._push
    happens: list[Any] = []

    def late(branches: Branches, key: str, commit: str) -> bool:
        if happens:
            happens.pop(0)()
        return push(branches, key, commit)

    monkeypatch.setattr(Branches, "_push", late)
    happens.append(lambda: bare.commit("main", {"README.md": "other\n"}))
    assert write(bare) == "pushed"
    assert bare.changed(BRANCH) == {LOCK}, "on the base as it was, which does no harm"
    happens.append(lambda: _push_alone(bare, b"version = 4\n"))
    assert write(bare, {LOCK: b"version = 3\n"}) == "pushed", "seen, and written once more"
    assert bare.files(BRANCH)[LOCK] == "version = 3"
    happens.append(lambda: _push_alone(bare, b"version = 5\n"))
    assert write(bare, {LOCK: b"version = 5\n"}) == "same"
    happens.append(lambda: bare.delete(BRANCH))
    assert write(bare, {LOCK: b"version = 6\n"}) == "pushed"
    happens.append(lambda: bare.commit(BRANCH, {"README.md": "mine\n"}))
    assert write(bare, {LOCK: b"version = 7\n"}) == "foreign"
    assert bare.files(BRANCH)["README.md"] == "mine"


def _push_alone(bare: Bare, lock: bytes) -> None:
    program = (
        "import sys; from wheelyard.forges import *\n"
        "with open_branches(Remote(sys.argv[1], '', {})) as branches:\n"
        f"    assert branches.write({KEY!r}, {{{LOCK!r}: {lock!r}}}, 'x') in ('pushed', 'same')\n"
    )
    subprocess.run([sys.executable, "-c", program, bare.url], check=True)


def test_a_branch_without_rest_is_given_up(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    write(bare)
    count = iter(range(10, 99))
    push = Branches._push

    def late(branches: Branches, key: str, commit: str) -> bool:
        _push_alone(bare, f"version = {next(count)}\n".encode())
        return push(branches, key, commit)

    monkeypatch.setattr(Branches, "_push", late)
    with pytest.raises(NetworkError, match="changes during every push"):
        write(bare, {LOCK: b"version = 3\n"})


# ------------------------------------------------------------- whose machine it is


def test_nobodys_checkout_is_touched(bare: Bare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = tmp_path / "checkout"
    git(tmp_path, "clone", "--quiet", bare.url, str(checkout))
    (checkout / "README.md").write_text("not committed\n")
    (checkout / LOCK).write_text("staged\n")
    git(checkout, "add", LOCK)
    before = _shape(checkout)
    monkeypatch.chdir(checkout)
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    url = address("origin", checkout)
    assert url == bare.url
    with open_branches(Remote(url, "", {})) as branches:
        assert branches.write(KEY, WANTED, "Update tiny") == "pushed"
        assert branches.remove(KEY) == "removed"
    assert _shape(checkout) == before
    assert not (tmp_path / "elsewhere").exists()
    assert list((tmp_path / "cache/forge").iterdir()) == []


def _shape(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_programs_that_configuration_names_do_not_run(bare: Bare, tmp_path: Path) -> None:
    hooks, trap = tmp_path / "home/hooks", tmp_path / "trapped"
    hooks.mkdir()
    for name in ("pre-push", "reference-transaction", "post-index-change", "fsmonitor"):
        (hooks / name).write_text(f"#!/bin/sh\npwd >> {trap}\n")
        (hooks / name).chmod(0o755)
    (tmp_path / "home/.gitconfig").write_text(
        f"[core]\nhooksPath = {hooks}\nfsmonitor = {hooks}/fsmonitor\n[init]\ntemplateDir = {hooks}\n"
        f"[commit]\ngpgSign = true\n[gpg]\nprogram = {hooks}/fsmonitor\n[push]\nfollowTags = true\ngpgSign = false\n"
    )
    assert write(bare) == "pushed"
    # Behind a file's address git is the server, too, and the user's hooks are that server's.
    assert set(trap.read_text().split() if trap.exists() else ()) <= {str(bare.path)}


def test_the_address_of_a_remote(bare: Bare, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    git(tmp_path, "clone", "--quiet", bare.url, str(checkout))
    git(checkout, "remote", "set-url", "--push", "origin", "https://example.org/push.git")
    git(checkout, "remote", "add", "local", str(bare.path))
    git(checkout, "remote", "add", "login", "https://user:secret-word@example.org/x.git")
    assert address("origin", checkout) == "https://example.org/push.git", "where it is pushed to"
    assert address("local", checkout) == bare.url
    assert address("git@example.org:a/b.git", checkout) == "git@example.org:a/b.git"
    assert address("https://example.org/a.git", checkout) == "https://example.org/a.git"
    with pytest.raises(ConfigError, match="no git remote named 'none'"):
        address("none", checkout)
    with pytest.raises(ConfigError, match="holds a login") as caught:
        address("login", checkout)
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "Update/x", "update/../x", "update//x", "-x", "update/x.lock", "a b"])
def test_keys_that_are_none(key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        ChangeRequest(key, "t", "b", (), {})


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", ".git/config", "a/.GIT/x"])
def test_paths_that_leave_the_repository(path: str) -> None:
    with pytest.raises(ValueError, match="file"):
        ChangeRequest(KEY, "t", "b", (), {path: b""})


# ------------------------------------------------------------- over https, with a token


class Backend(http.server.BaseHTTPRequestHandler):
    """Git's own server program (git-http-backend(1)) behind a password."""

    root: Path
    password = TOKEN
    redirect = ""
    seen: list[tuple[str, str | None]]
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        given = self.headers.get("Authorization")
        self.seen.append((self.path, given))
        path, _, query = self.path.partition("?")
        if self.redirect:
            return self._say(302, {"Location": self.redirect + self.path}, b"")
        if given != "Basic " + _basic(self.password):
            return self._say(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
        given_headers = {name.lower(): value for name, value in self.headers.items()}
        return self._say(*http_backend(self.root, self.command, path, query, given_headers, body))

    do_GET = do_POST = _serve  # noqa: N815 - http.server's names

    def _say(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_words: object) -> None:
        pass


def _basic(password: str) -> str:
    return base64.b64encode(f"oauth2:{password}".encode()).decode()


@contextlib.contextmanager
def https(root: Path, ca: Path, key: Path, **settings: Any) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    seen: list[tuple[str, str | None]] = []
    handler = type("Handler", (Backend,), {"root": root, "seen": seen, **settings})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(ca, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}", seen
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    made = self_signed(tmp_path)
    monkeypatch.setenv("GIT_SSL_CAINFO", str(made[0]))
    return made


def test_a_token_goes_to_the_server_and_nowhere_else(
    bare: Bare, tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not into an argument, not into a file; and no credential helper gets to keep it."""
    git(bare.path, "config", "http.receivepack", "true")
    told, kept = tmp_path / "told", tmp_path / "home/kept"
    real = shutil.which("git")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {told}\nexec {real} "$@"\n')
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "home/.gitconfig").write_text(f"[credential]\nhelper = store --file={kept}\n")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "http.userAgent")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "the user's own")
    with https(tmp_path, *certificate) as (server, seen):
        url = f"{server}/remote.git"
        with open_branches(Remote(url, "", login(url, "oauth2", TOKEN))) as branches:
            assert branches.write(KEY, WANTED, "Update tiny") == "pushed"
            scratch = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert bare.changed(BRANCH) == {LOCK}
    assert {given for _, given in seen} == {f"Basic {_basic(TOKEN)}"}
    assert told.read_text().count("push") > 0
    for secret in (TOKEN, _basic(TOKEN)):
        assert secret not in told.read_text()
        assert not any(secret.encode() in data for data in scratch)
    assert not kept.exists()


def test_a_wrong_token_is_told_and_the_users_own_login_stays_out_of_it(
    bare: Bare, tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    """Git would ask the user's credential helper after a refusal, and then have it forget what was refused."""
    with https(tmp_path, *certificate) as (server, seen):
        url = f"{server}/remote.git"
        (tmp_path / "home/.gitconfig").write_text(f"[credential]\nhelper = store --file={tmp_path}/home/kept\n")
        kept = server.replace("://", f"://oauth2:{TOKEN}@") + "\n"
        (tmp_path / "home/kept").write_text(kept)
        with (
            open_branches(Remote(url, "", login(url, "oauth2", "another-token-0000"))) as branches,
            pytest.raises(CredentialsError) as caught,
        ):
            branches.write(KEY, WANTED, "Update tiny")
    assert "another-token-0000" not in str(caught.value)
    assert {given for _, given in seen} == {f"Basic {_basic('another-token-0000')}"}
    assert (tmp_path / "home/kept").read_text() == kept
    assert bare.branches() == ["main"]


def test_a_token_does_not_follow_a_redirection(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    with (
        https(tmp_path, *certificate) as (other, astray),
        https(tmp_path, *certificate, redirect=other) as (server, seen),
    ):
        url = f"{server}/remote.git"
        with (
            open_branches(Remote(url, "main", login(url, "oauth2", TOKEN))) as branches,
            pytest.raises(WheelyardError, match="127"),
        ):
            branches.write(KEY, WANTED, "Update tiny")
    assert len(seen) == 1
    assert astray == []


def test_only_https_gets_a_login() -> None:
    assert login("http://example.org/a.git", "u", TOKEN) == {}
    assert login("git@example.org:a.git", "u", TOKEN) == {}
    assert login("https://example.org/a.git", "u", "") == {}
