"""Find the paths in a test command that do not exist.

Words that only a shell can expand (variables, command substitutions) are skipped, and so are relative paths after a
``cd`` that cannot be followed.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_OPERATOR = re.compile(r"\A[();&|]+\Z")
_PLACED = re.compile(r"\{(?:project|package)\}[\w./+*?\[\]-]*")
_ASSIGNMENT = re.compile(r"\A[A-Za-z_]\w*=")
_UNRESOLVED = re.compile(r"[$`~<>]")
# Options of pytest whose value is the next word, which is no path to tests (pytest's command-line reference).
_OPTIONS_WITH_VALUE = frozenset(
    {
        *("-k", "-m", "-o", "-p", "-c", "-n", "-W", "--rootdir", "--confcutdir", "--basetemp", "--import-mode"),
        *("--override-ini", "--timeout", "--durations", "--maxfail", "--tb", "--junitxml", "--cov", "--log-level"),
        *("--color", "--dist", "--numprocesses", "--pythonwarnings", "--config-file", "--ignore-glob", "--log-file"),
    }
)
_MAX_SIZE = 4 << 20  # bytes of a file that is searched
_PATTERN = re.compile(r"[*?[]")
_MOST_DEPTHS = 2  # of "**" in a pattern: the cost grows with each
_DESELECTING = ("--ignore", "--deselect")


@dataclass
class CommandPaths:
    """Paths in a test command that the source does not have.

    Attributes:
        missing: paths without which the tests cannot run.
        unused: values of ``--ignore`` and ``--deselect``: the tests run, and more of them than intended.
        checked_count: the number of checked paths.
    """

    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    checked_count: int = 0


def find_missing_paths(
    commands: Sequence[str], *, tree: Path, subdirectory: str = ".", sources: Sequence[str] = ()
) -> CommandPaths:
    """Return the paths in *commands* that do not exist.

    Args:
        commands: test commands as cibuildwheel takes them: ``{project}`` is the root of the source, ``{package}`` the
            folder of the package in it.
        tree: the root of the source.
        subdirectory: the package's folder in it.
        sources: ``test-sources``, which are copied to the folder where the commands start.
    """
    tree = tree.resolve()  # paths are compared with it
    shell = _Shell(tree, subdirectory, tuple(sources))
    for source in sources:
        shell.need(source, tree / source)
    for command in commands:
        shell.run(command)
    return shell.paths


class _Shell:
    """Follow a command from folder to folder."""

    def __init__(self, tree: Path, subdirectory: str, sources: tuple[str, ...]) -> None:
        self.paths = CommandPaths()
        self._tree, self._package, self._sources = tree, tree / subdirectory, sources
        self._folder: Path | None = None  # None: the scratch folder where cibuildwheel starts tests

    def need(self, word: str, path: Path) -> bool:
        self.paths.checked_count += 1
        if not self._exists(path):
            if word not in self.paths.missing:
                self.paths.missing.append(word)
            return False
        return True

    def run(self, text: str) -> None:
        self._folder = None
        try:
            words = _words(text)
        except ValueError:  # a quote that is not closed
            words = text.split()
        simple: list[str] = []
        for word in [*words, ";"]:
            if _OPERATOR.match(word):
                self._simple(simple)
                simple = []
            else:
                simple.append(word)

    def _simple(self, words: list[str]) -> None:
        while words and (_ASSIGNMENT.match(words[0]) or words[0] in {"env", "time", "exec", "!"}):
            words = words[1:]
        if not words:
            return
        program = PurePosixPath(words[0]).name
        module = words[words.index("-m") + 1 :] if "-m" in words[:-1] and program.startswith("python") else []
        if program == "cd" and len(words) > 1:
            self._change_folder(words[1])
        elif program in {"pytest", "py.test"}:
            self._pytest(words[1:])
        elif module[:1] == ["pytest"]:
            self._pytest(module[1:])
        elif module[:1] == ["unittest"]:
            self._unittest(module[1:])
        else:
            self._other(words)

    def _change_folder(self, word: str) -> None:
        path = self._path(word)
        exists = path is not None and self.need(word, path)
        self._folder = path if exists else self._tree / "\0"  # unknown: relative paths after it are skipped

    def _path(self, word: str) -> Path | None:
        """Return the path that *word* names, None if only a shell can expand it."""
        for name, folder in (("{project}", self._tree), ("{package}", self._package)):
            if word == name or word.startswith(f"{name}/"):
                return folder / word[len(name) + 1 :] if not _UNRESOLVED.search(word) else None
        if word.startswith("/") or _UNRESOLVED.search(word) or "{" in word:
            return None
        if self._folder is None:
            first = PurePosixPath(word)
            copied = any(first.is_relative_to(source) or PurePosixPath(source) == first for source in self._sources)
            # A file that is not copied does not exist there: a name that no file has.
            return self._tree / word if copied or word == "." else self._tree / "\0" / word
        return None if "\0" in str(self._folder) else self._folder / word

    def _other(self, words: Sequence[str]) -> None:
        for word in words:
            for match in _PLACED.finditer(word):
                path = self._path(match[0].rstrip(".") if not match[0].endswith("..") else match[0])
                if path is not None:
                    self.need(match[0], path)
        script = next((word for word in words[1:] if not word.startswith("-")), "")
        if PurePosixPath(words[0]).name.startswith("python") and script.endswith(".py") and "-c" not in words:
            path = self._path(script)
            if path is not None and not _PLACED.search(script):
                self.need(script, path)

    def _pytest(self, words: Sequence[str]) -> None:
        rest = iter(words)
        before = ""
        for word in rest:
            option, equals, value = word.partition("=")
            if option in _DESELECTING:
                self._deselected(option, value if equals else next(rest, ""))
            elif word in _OPTIONS_WITH_VALUE:
                next(rest, "")
            elif word.startswith("-"):
                self._other([word])
            elif "--pyargs" not in words and not (before.startswith("--") and "=" not in before and _plain(word)):
                path = self._path(word.partition("::")[0])
                if path is not None:
                    self.need(word, path)
            before = word

    def _deselected(self, option: str, value: str) -> None:
        name, _, node = value.partition("::")
        if not PurePosixPath(name).name:
            return
        path = self._path(name)
        if path is None or "\0" in str(path):
            path = self._tree / name
        # Node ids count from pytest's root, which may be the source's root or the folder of the tests.
        suffix = f"/{PurePosixPath(name)}"
        candidates = [
            path,
            *(
                candidate
                for candidate in self._paths_by_name[PurePosixPath(name).name]
                if str(candidate).endswith(suffix)
            ),
        ]
        files = [candidate for candidate in candidates if self._exists(candidate)]
        self.paths.checked_count += 1
        last = re.sub(r"\[.*", "", node.rpartition("::")[2])
        if not files or (last and not any(_mentions(file, last) for file in files)):
            self.paths.unused.append(f"{option} {value}")

    def _unittest(self, words: Sequence[str]) -> None:
        if self._folder is None or "\0" in str(self._folder):
            self._other(["unittest", *words])
            return
        if words[:1] == ["discover"]:
            return
        for word in words:
            if word.startswith("-"):
                continue
            parts = word.removesuffix(".py").replace("/", ".").split(".")
            # A module, a class in it, or a method of that.
            ways = [self._folder.joinpath(*parts[:length]) for length in range(max(len(parts) - 2, 1), len(parts) + 1)]
            self.paths.checked_count += 1
            if not any(self._exists(way) or self._exists(way.with_name(f"{way.name}.py")) for way in ways):
                self.paths.missing.append(word)

    def _exists(self, path: Path) -> bool:
        """Check whether the file or folder exists, or one that a pattern matches.

        Paths outside of the source, and words that are no path, count as existing.
        """
        if "\0" in str(path):
            return False
        path = Path(os.path.normpath(path))
        if not path.is_relative_to(self._tree):
            return True
        inside = str(path.relative_to(self._tree))
        try:
            if _PATTERN.search(inside):
                # Not with the glob module: with "**" it follows links, which may form a loop.
                return inside.count("**") > _MOST_DEPTHS or any(True for _ in self._tree.glob(inside))
            return path.exists()
        except (OSError, ValueError):  # longer than any path may be; not a valid pattern
            return True

    @functools.cached_property
    def _paths_by_name(self) -> Mapping[str, Sequence[Path]]:
        """All files and folders by their names."""
        paths_by_name: defaultdict[str, list[Path]] = defaultdict(list)
        for folder, folders, names in os.walk(self._tree):
            for name in (*folders, *names):
                paths_by_name[name].append(Path(folder, name))
        return paths_by_name


def _words(text: str) -> list[str]:
    lexer = shlex.shlex(text.replace("\\\n", " ").replace("\n", " ; "), posix=True, punctuation_chars="();&|<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(_without_redirections(lexer))


def _without_redirections(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        if "<" in word or ">" in word:
            if not _OPERATOR.sub("", word).endswith("&"):
                next(words, "")
        else:
            yield word


def _plain(word: str) -> bool:
    """Check whether a word behind an option that we do not know may be its value."""
    return "/" not in word and "::" not in word and not word.endswith(".py")


def _mentions(file: Path, name: str) -> bool:
    if not file.is_file() or file.stat().st_size > _MAX_SIZE:
        return True
    return re.search(rf"\b{re.escape(name)}\b", file.read_text(encoding="utf-8", errors="replace")) is not None
