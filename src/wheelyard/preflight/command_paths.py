"""Whether the paths that a test command names are there.

Only what can be told without a shell is judged: words with variables or command substitutions are passed over, and so
is a relative path where the folder that it counts from is not known.
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
_UNTOLD = re.compile(r"[$`~<>]")
# Options of pytest that take the word behind them, which is no path to tests (pytest's command-line reference).
_TAKES = frozenset(
    {
        *("-k", "-m", "-o", "-p", "-c", "-n", "-W", "--rootdir", "--confcutdir", "--basetemp", "--import-mode"),
        *("--override-ini", "--timeout", "--durations", "--maxfail", "--tb", "--junitxml", "--cov", "--log-level"),
        *("--color", "--dist", "--numprocesses", "--pythonwarnings", "--config-file", "--ignore-glob", "--log-file"),
    }
)
_LARGEST = 4 << 20  # bytes of a file that is looked into
_PATTERN = re.compile(r"[*?[]")
_MOST_DEPTHS = 2  # "**" in a pattern: what each may be goes into the others'
_LEFT_OUT = ("--ignore", "--deselect")


@dataclass
class Paths:
    """What a test command names and the source does not have.

    Attributes:
        missing: paths without which the tests cannot run.
        idle: what ``--ignore`` and ``--deselect`` name: the tests run, and more of them than was meant.
        looked_at: how many paths were looked at.
    """

    missing: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    looked_at: int = 0


def look_for_paths(
    commands: Sequence[str], *, tree: Path, subdirectory: str = ".", sources: Sequence[str] = ()
) -> Paths:
    """Return what *commands* name that is not there.

    Args:
        commands: test commands as cibuildwheel takes them: ``{project}`` is where cibuildwheel is started, which is
            the root of the source, ``{package}`` its folder with the package.
        tree: the root of the source.
        subdirectory: the package's folder in it.
        sources: ``test-sources``, which are copied to where the commands start.
    """
    tree = tree.resolve()  # paths are compared with it
    shell = _Shell(tree, subdirectory, tuple(sources))
    for source in sources:
        shell.need(source, tree / source)
    for command in commands:
        shell.run(command)
    return shell.found


class _Shell:
    """Follows a command from folder to folder, as far as that can be told."""

    def __init__(self, tree: Path, subdirectory: str, sources: tuple[str, ...]) -> None:
        self.found = Paths()
        self._tree, self._package, self._sources = tree, tree / subdirectory, sources
        self._here: Path | None = None  # None: the folder of its own that cibuildwheel starts in

    def need(self, word: str, path: Path) -> bool:
        self.found.looked_at += 1
        if not self._there(path):
            if word not in self.found.missing:
                self.found.missing.append(word)
            return False
        return True

    def run(self, text: str) -> None:
        self._here = None
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
            self._go(words[1])
        elif program in {"pytest", "py.test"}:
            self._pytest(words[1:])
        elif module[:1] == ["pytest"]:
            self._pytest(module[1:])
        elif module[:1] == ["unittest"]:
            self._unittest(module[1:])
        else:
            self._anything(words)

    def _go(self, word: str) -> None:
        path = self._path(word)
        known = path is not None and self.need(word, path)
        self._here = path if known else self._tree / "\0"  # somewhere: nothing relative can be judged from here on

    def _path(self, word: str) -> Path | None:
        """Return what *word* means, None if that cannot be told."""
        for name, folder in (("{project}", self._tree), ("{package}", self._package)):
            if word == name or word.startswith(f"{name}/"):
                return folder / word[len(name) + 1 :] if not _UNTOLD.search(word) else None
        if word.startswith("/") or _UNTOLD.search(word) or "{" in word:
            return None
        if self._here is None:
            first = PurePosixPath(word)
            copied = any(first.is_relative_to(source) or PurePosixPath(source) == first for source in self._sources)
            # What was not copied is not there: a name that no file has.
            return self._tree / word if copied or word == "." else self._tree / "\0" / word
        return None if "\0" in str(self._here) else self._here / word

    def _anything(self, words: Sequence[str]) -> None:
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
            if option in _LEFT_OUT:
                self._left_out(option, value if equals else next(rest, ""))
            elif word in _TAKES:
                next(rest, "")
            elif word.startswith("-"):
                self._anything([word])
            elif "--pyargs" not in words and not (before.startswith("--") and "=" not in before and _plain(word)):
                path = self._path(word.partition("::")[0])
                if path is not None:
                    self.need(word, path)
            before = word

    def _left_out(self, option: str, value: str) -> None:
        name, _, node = value.partition("::")
        if not PurePosixPath(name).name:
            return
        path = self._path(name)
        if path is None or "\0" in str(path):
            path = self._tree / name
        # Node ids count from pytest's root, which may be the source's root or the folder of the tests.
        suffix = f"/{PurePosixPath(name)}"
        candidates = [path, *(each for each in self._named[PurePosixPath(name).name] if str(each).endswith(suffix))]
        files = [each for each in candidates if self._there(each)]
        self.found.looked_at += 1
        last = re.sub(r"\[.*", "", node.rpartition("::")[2])
        if not files or (last and not any(_mentions(file, last) for file in files)):
            self.found.idle.append(f"{option} {value}")

    def _unittest(self, words: Sequence[str]) -> None:
        if self._here is None or "\0" in str(self._here):
            self._anything(["unittest", *words])
            return
        if words[:1] == ["discover"]:
            return
        for word in words:
            if word.startswith("-"):
                continue
            parts = word.removesuffix(".py").replace("/", ".").split(".")
            # A module, a class in it, or a method of that.
            ways = [self._here.joinpath(*parts[:length]) for length in range(max(len(parts) - 2, 1), len(parts) + 1)]
            self.found.looked_at += 1
            if not any(self._there(way) or self._there(way.with_name(f"{way.name}.py")) for way in ways):
                self.found.missing.append(word)

    def _there(self, path: Path) -> bool:
        """Tell whether there is such a file or folder, or one that a pattern matches.

        What cannot be told counts as there: what is outside of the source, and what is no path at all.
        """
        if "\0" in str(path):
            return False
        path = Path(os.path.normpath(path))
        if not path.is_relative_to(self._tree):
            return True
        inside = str(path.relative_to(self._tree))
        try:
            if _PATTERN.search(inside):
                # Not by the glob module: with "**" it follows links, which may lead to where they are.
                return inside.count("**") > _MOST_DEPTHS or any(True for _ in self._tree.glob(inside))
            return path.exists()
        except (OSError, ValueError):  # longer than any path may be; a pattern that is none
            return True

    @functools.cached_property
    def _named(self) -> Mapping[str, Sequence[Path]]:
        """All files and folders by their own names."""
        found: defaultdict[str, list[Path]] = defaultdict(list)
        for folder, folders, names in os.walk(self._tree):
            for name in (*folders, *names):
                found[name].append(Path(folder, name))
        return found


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
    """Tell whether a word behind an option that we do not know may be its value."""
    return "/" not in word and "::" not in word and not word.endswith(".py")


def _mentions(file: Path, name: str) -> bool:
    if not file.is_file() or file.stat().st_size > _LARGEST:
        return True
    return re.search(rf"\b{re.escape(name)}\b", file.read_text(encoding="utf-8", errors="replace")) is not None
