"""Sources from git, from real repositories with real git."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from wheelyard.core.errors import DigestMismatchError, NetworkError, RecipeError, SourceError, UnsafeArchiveError
from wheelyard.project.config import SiteConfig
from wheelyard.project.recipe import Settings, Source
from wheelyard.records.models import LockedVersion
from wheelyard.sources.git import Git, tag_for
from wheelyard.sources.prepare import identity, prepare

if TYPE_CHECKING:
    from pathlib import Path

POLICY = SiteConfig.model_validate({"interpreters": ["cp313"], "policy": "manylinux_2_39_riscv64"})
WHEN = "2024-05-06T07:08:09+0000"
WHEN_SECONDS = 1714979289


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache, a home and a git configuration of the test's own."""
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GIT_DIR", raising=False)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "T")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "t@example.org")
        monkeypatch.setenv(f"GIT_{role}_DATE", WHEN)


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "protocol.file.allow=always", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def repository(folder: Path, files: dict[str, str], *tags: str) -> str:
    """Make a repository with one commit, and return the commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    return commit(folder, files, *tags)


def commit(folder: Path, files: dict[str, str], *tags: str) -> str:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "change")
    for tag in tags:
        git(folder, "tag", "-f", tag)
    return git(folder, "rev-parse", "HEAD")


def settings(folder: Path, **source: object) -> Settings:
    return Settings.model_validate({"source": {"git": f"file://{folder}", "tag": "v{version}", **source}})


def locked(commit: str, version: str = "1.0", tag: str | None = "v1.0") -> LockedVersion:
    return LockedVersion(version=version, commit=commit, tag=tag)


def pin(source: Source, version: str) -> LockedVersion:
    return Git().pin(source, LockedVersion(version=version))


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def test_a_tag_becomes_a_commit_and_the_commit_a_tree(tmp_path: Path) -> None:
    upstream = tmp_path / "upstream"
    first = repository(upstream, {"pyproject.toml": "", "src/a.py": "a = 1\n", ".gitignore": "build\n"}, "v1.0")
    commit(upstream, {"src/a.py": "a = 2\n"}, "v2.0")
    wanted = settings(upstream)
    found = pin(wanted.source, "1.0")
    assert (found.tag, found.commit) == ("v1.0", first)
    source = prepare("pkg", locked(first), wanted, recipe_folder=tmp_path, work=tmp_path / "work", config=POLICY)
    assert (source.kind, source.commit, source.epoch) == ("git", first, WHEN_SECONDS)
    assert source.name == f"file://{upstream}"
    assert source.folder == tmp_path / "work/pkg-1.0"
    assert files_in(source.folder) == [".gitignore", "pyproject.toml", "src/a.py"], "and nothing of git's own"
    assert (source.folder / "src/a.py").read_text() == "a = 1\n"
    assert (source.folder / "src/a.py").stat().st_mtime == WHEN_SECONDS
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["pkg-1.0"]
    assert identity(locked(first), wanted, recipe_folder=tmp_path) == f"git:{first}"


def test_an_annotated_tag_is_pinned_to_the_commit_it_names(tmp_path: Path) -> None:
    first = repository(tmp_path / "upstream", {"setup.py": ""})
    git(tmp_path / "upstream", "tag", "-a", "-m", "release", "v1.0")
    assert pin(settings(tmp_path / "upstream").source, "1.0").commit == first


def test_the_same_commit_again_needs_no_repository(tmp_path: Path) -> None:
    upstream = tmp_path / "upstream"
    first = repository(upstream, {"setup.py": ""}, "v1.0")
    before = prepare(
        "pkg", locked(first), settings(upstream), recipe_folder=tmp_path, work=tmp_path / "one", config=POLICY
    )
    upstream.rename(tmp_path / "gone")
    again = prepare(
        "pkg", locked(first), settings(upstream), recipe_folder=tmp_path, work=tmp_path / "two", config=POLICY
    )
    assert again.sha256 == before.sha256


def test_submodules_come_along_recursively(tmp_path: Path) -> None:
    repository(tmp_path / "inner", {"inner.c": "i\n"})
    repository(tmp_path / "lib", {"lib.c": "l\n"})
    git(tmp_path / "lib", "submodule", "add", "-q", f"file://{tmp_path / 'inner'}", "deps/inner")
    commit(tmp_path / "lib", {})
    upstream = tmp_path / "upstream"
    repository(upstream, {"setup.py": ""})
    git(upstream, "submodule", "add", "-q", "../lib", "vendor/lib")  # relative to where upstream is
    first = commit(upstream, {}, "v1.0")
    source = prepare(
        "pkg", locked(first), settings(upstream), recipe_folder=tmp_path, work=tmp_path / "w", config=POLICY
    )
    assert {"vendor/lib/lib.c", "vendor/lib/deps/inner/inner.c"} <= set(files_in(source.folder))
    assert not [name for name in files_in(source.folder) if name.endswith("/.git")]
    without = prepare(
        "pkg",
        locked(first),
        settings(upstream, submodules=False),
        recipe_folder=tmp_path,
        work=tmp_path / "w2",
        config=POLICY,
    )
    assert "vendor/lib/lib.c" not in files_in(without.folder)
    assert without.sha256 != source.sha256


def test_a_missing_tag_names_the_nearest(tmp_path: Path) -> None:
    repository(tmp_path / "upstream", {"setup.py": ""}, "release-1.0", "release-1.1", "unrelated")
    with pytest.raises(SourceError) as caught:
        pin(settings(tmp_path / "upstream", tag="release_{version}").source, "1.0")
    assert "no tag 'release_1.0'" in caught.value.what
    assert "release-1.0" in caught.value.details[0]


def test_a_moved_tag_is_noticed_when_the_commit_is_gone(tmp_path: Path) -> None:
    upstream = tmp_path / "upstream"
    first = repository(upstream, {"setup.py": "one"}, "v1.0")
    (upstream / "setup.py").write_text("two")
    git(upstream, "commit", "-aq", "--amend", "-m", "another")
    git(upstream, "tag", "-f", "v1.0")
    git(upstream, "reflog", "expire", "--expire=now", "--all")
    git(upstream, "gc", "-q", "--prune=now")
    with pytest.raises(DigestMismatchError, match="has moved") as caught:
        prepare("pkg", locked(first), settings(upstream), recipe_folder=tmp_path, work=tmp_path / "w", config=POLICY)
    assert first in caught.value.details[0]
    assert list((tmp_path / "cache/git").glob("*/*.git")) == []


def test_no_repository_there_is_an_error_of_the_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        pin(settings(tmp_path / "none").source, "1.0")
    assert caught.value.details


def test_a_server_that_does_not_answer_is_an_error_of_the_network(tmp_path: Path) -> None:
    source = Source.model_validate({"git": "https://127.0.0.1:9/repo.git"})
    with pytest.raises(NetworkError):
        pin(source, "1.0")


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    source = Source.model_validate({"git": "https://me:hunter22@example.org/repo.git"})
    with pytest.raises(RecipeError) as caught:
        pin(source, "1.0")
    assert "hunter22" not in str(caught.value)


def test_neither_hooks_nor_filters_of_the_users_configuration_run(tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    (hooks / "post-checkout").chmod(0o755)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.gitconfig").write_text(
        f'[core]\n hooksPath = {hooks}\n autocrlf = true\n[filter "up"]\n smudge = tr a-z A-Z\n'
    )
    first = repository(tmp_path / "upstream", {"setup.py": "words\n", ".gitattributes": "* filter=up\n"}, "v1.0")
    (tmp_path / "hooked").unlink(missing_ok=True)
    source = prepare(
        "pkg",
        locked(first),
        settings(tmp_path / "upstream"),
        recipe_folder=tmp_path,
        work=tmp_path / "w",
        config=POLICY,
    )
    assert (source.folder / "setup.py").read_bytes() == b"words\n"
    assert not (tmp_path / "hooked").exists()


def test_a_submodule_may_not_be_a_program(tmp_path: Path) -> None:
    upstream = tmp_path / "upstream"
    repository(upstream, {"setup.py": ""})
    repository(tmp_path / "lib", {"lib.c": ""})
    git(upstream, "submodule", "add", "-q", f"file://{tmp_path / 'lib'}", "lib")
    text = (upstream / ".gitmodules").read_text().replace(f"file://{tmp_path / 'lib'}", f"ext::touch {tmp_path}/ran")
    first = commit(upstream, {".gitmodules": text}, "v1.0")
    with pytest.raises(SourceError):
        prepare("pkg", locked(first), settings(upstream), recipe_folder=tmp_path, work=tmp_path / "w", config=POLICY)
    assert not (tmp_path / "ran").exists()


def test_a_link_out_of_the_repository_is_refused(tmp_path: Path) -> None:
    upstream = tmp_path / "upstream"
    repository(upstream, {"setup.py": ""})
    (upstream / "link").symlink_to("/etc/passwd")
    first = commit(upstream, {}, "v1.0")
    with pytest.raises(UnsafeArchiveError) as caught:
        prepare("pkg", locked(first), settings(upstream), recipe_folder=tmp_path, work=tmp_path / "w", config=POLICY)
    assert caught.value.details == ("link -> /etc/passwd",)


@pytest.mark.parametrize(
    ("template", "version", "tag"),
    [
        ("v{version}", "1.2.3", "v1.2.3"),
        ("v{minor}.{micro}", "5.29.1", "v29.1"),
        ("{major}_{minor}_{micro}{pre}", "1.0rc2", "1_0_0rc2"),
        ("r{major}-post{post}", "1.0.post4", "r1-post4"),
        ("e{epoch}/{version}", "2!1.0", "e2/2!1.0"),
        ("{major}{post}", "7", "7"),
    ],
)
def test_tags_are_made_from_versions(template: str, version: str, tag: str) -> None:
    assert tag_for(template, version) == tag


@pytest.mark.parametrize(
    "template",
    ["{verison}", "{version.__class__}", "{version!r}", "{version:>99999999}", "{0}", "{}", "{version", "a{version} b"],
)
def test_a_template_reaches_nothing_but_its_placeholders(template: str) -> None:
    with pytest.raises(RecipeError) as caught:
        tag_for(template, "1.0")
    if template == "{verison}":
        assert "did you mean 'version'" in str(caught.value)


def test_two_runs_that_fetch_the_same_commit_at_once_both_get_it(tmp_path: Path) -> None:
    first = repository(tmp_path / "upstream", {"setup.py": "", "data": "x" * 100_000}, "v1.0")
    script = (
        "import sys; from pathlib import Path; from wheelyard.sources.git import checkout;"
        f"checkout('file://{tmp_path}/upstream', '{first}', 'v1.0', Path(sys.argv[1]), submodules=True)"
    )
    both = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path / name)], env=os.environ) for name in "ab"]
    assert [process.wait(60) for process in both] == [0, 0]
    assert files_in(tmp_path / "a") == files_in(tmp_path / "b") == ["data", "setup.py"]
