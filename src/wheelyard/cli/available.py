"""``wheelyard available``: check whether requirements install on riscv64, in a checkout or anywhere else."""

from __future__ import annotations

import platform
import re
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import json_option, open_optional, optional_registry_option, python_option
from wheelyard.core.errors import ConfigError, ListError
from wheelyard.core.tags import Interpreter
from wheelyard.io import log
from wheelyard.io.table import table_text
from wheelyard.project.config import default_project, seek_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.watch.availability_report import AvailabilityReport, Found, Need

_WORDS = {"wheel": "public", "pure": "pure", "ours": "ours", "sdist": "compile", "none": "none", "unknown": "unknown"}
_GLIBC = re.compile(r"\A(\d{1,3})\.(\d{1,3})")


class GlibcType(click.ParamType[tuple[int, int]]):
    """A version of the C library on the command line."""

    name = "X.Y"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Read ``2.39``."""
        match = re.fullmatch(_GLIBC.pattern.removeprefix(r"\A"), str(value))
        if not match:
            self.fail(f"{value!r} is not a version of glibc such as 2.39", param, ctx)
        return int(match[1]), int(match[2])


@click.command()
@click.argument("requirements", metavar="[REQUIREMENT...]", nargs=-1)
@click.option(
    "-r",
    "--requirement",
    "files",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file of requirements, as pip takes it, or a pylock.toml (PEP 751); repeatable.",
)
@python_option
@optional_registry_option
@click.option(
    "--glibc", type=GlibcType(), help="The C library of the board; by default any, on riscv64 that of the machine."
)
@click.option("--no-deps", is_flag=True, help="Leave out the dependencies of the requirements.")
@click.option(
    "--lock",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a pylock.toml with hashes (PEP 751), for one interpreter, if everything can be resolved.",
)
@json_option
def available(  # noqa: PLR0917 - the options of one command
    requirements: tuple[str, ...],
    files: tuple[Path, ...],
    pythons: tuple[Interpreter, ...],
    registry: str | None,
    glibc: tuple[int, int] | None,
    lock: Path | None,
    *,
    no_deps: bool,
    as_json: bool,
) -> None:
    """Check which REQUIREMENTs (such as 'numpy>=2', or files of them) have a riscv64 wheel, public or in our registry.

    Resolves them and their dependencies with uv, and shows for each whether an installer takes a wheel or compiles a
    source. The exit code is 0 if all are available, 19 if not, 18 if an index did not answer for some.
    """
    from wheelyard.watch import available as availability

    if not files and not requirements:
        raise click.UsageError("name a requirement, or a file behind -r")
    words = [word for word in requirements if not Path(word).is_file()]
    sources = [*files, *(Path(word) for word in requirements if word not in words)]
    _check_sources(words, sources, lock)
    project = seek_project()
    if project is None:
        project = default_project(Path.cwd(), tuple(map(str, pythons)) or (str(_running()),))
    chosen = sorted(set(pythons or map(Interpreter.parse, project.config.interpreters)))
    if lock and (len(chosen) > 1 or chosen[0].free_threaded):
        raise click.UsageError("--lock goes with one --python that is not free-threaded")
    report = availability.available(
        project,
        words,
        sources,
        pythons=chosen,
        registry=open_optional(project, registry),
        glibc=glibc or _own_glibc(),
        follow=not no_deps,
        lock=lock,
    )
    click.echo(output.model(report) if as_json else requirements_table(report))
    if failure := availability.problem(report):
        raise failure


def _check_sources(words: Sequence[str], sources: Sequence[Path], lock: Path | None) -> None:
    """Check the words and files before anything is resolved.

    Raises:
        ListError: a file is missing.
    """
    missing = [log.clean(str(path))[:200] for path in sources if not path.is_file()]
    missing += [log.clean(word)[:200] for word in words if word.endswith((".txt", ".in", ".toml"))]
    if missing:
        raise ListError(f"there is no file {', '.join(missing)}", fix="name files of requirements behind -r")
    if lock and any(path.suffix == ".toml" for path in sources):
        raise click.UsageError("--lock goes with requirements, not with a lock file")


def requirements_table(report: AvailabilityReport) -> str:
    """Return a report for people: each project, what becomes of it, and then what to type."""
    rows = [
        (need.name if need.direct else f"  {need.name}", *(_cell(need, python) for python in report.interpreters))
        for need in report.needs
    ]
    lines = [table_text(("requirement", *report.interpreters), rows)] if rows else ["nothing is required"]
    kinds = {choice.kind for need in report.needs for choice in need.found.values()}
    meanings = {
        "wheel": "public: a riscv64 wheel on the public index",
        "pure": "pure: a public wheel that runs everywhere",
        "ours": f"ours: a wheel in our registry, {report.registry}",
        "sdist": "compile: a source that pip compiles on the board",
        "none": "none: neither a wheel nor a source",
        "unknown": "unknown: the index did not answer",
    }
    lines += ["", *(text for kind, text in meanings.items() if kind in kinds)]
    lines += [f"not looked at: {log.clean(text)}" for text in report.skipped]
    if report.unread:
        lines.append(f"what these depend on is not known without building them: {', '.join(report.unread)}")
    lines += [f"note: {log.clean(note)}" for note in report.notes]
    if report.glibc:
        lines.append(f"needs glibc {report.glibc} or newer and pip {report.pip} or newer")
    return "\n".join([*lines, "", report.command])


def _cell(need: Need, python: str) -> str:
    choice: Found | None = need.found.get(python)
    return "-" if choice is None else " ".join(filter(None, (_WORDS[choice.kind], choice.version)))


def _running() -> Interpreter:
    """Return the interpreter that runs us: outside of a checkout it is the one that is meant."""
    if sys.implementation.name != "cpython":
        raise ConfigError(
            f"this is {platform.python_implementation()}, and wheels here are for CPython", fix="--python cp313"
        )
    return Interpreter(sys.version_info.minor, bool(sysconfig.get_config_var("Py_GIL_DISABLED")))


def _own_glibc() -> tuple[int, int] | None:
    """Return the C library of this machine if it is one that these wheels are for."""
    name, version = platform.libc_ver()
    match = _GLIBC.match(version)
    return (int(match[1]), int(match[2])) if platform.machine() == "riscv64" and name == "glibc" and match else None
