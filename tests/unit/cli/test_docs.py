"""The pages: what is made from code is current, links lead somewhere, examples are valid, commands exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from typing import Any

import click
import pytest

from support.pages import ALL, ROOT, Snippet, anchors, commands, links, snippets
from support.schemas import validator
from wheelyard.cli import docs, docs_commands
from wheelyard.cli.commands import cli
from wheelyard.core.errors import all_errors
from wheelyard.project.config import SiteConfig

COMMANDS = [command for page in ALL for command in commands(page)]


@pytest.mark.parametrize("name", sorted(docs.pages()))
def test_what_is_made_from_the_code_is_current(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == docs.pages()[name], "run `nox -s docs`"


def test_every_exit_code_has_its_line() -> None:
    page = (ROOT / "docs/reference/exit-codes.md").read_text(encoding="utf-8")
    for error in all_errors():
        assert re.search(rf"(?m)^\| {error.exit_code} \| `{error.__name__}` \| \w", page)


def test_every_verb_and_option_is_in_the_reference() -> None:
    page = docs_commands.pages()["docs/reference/command-line.md"]
    verbs = dict(docs_commands.verbs())
    assert len(verbs) > 25
    assert re.findall(r"(?m)^### (.+)$", page) == list(verbs)
    for verb, command in verbs.items():
        section = page.partition(f"\n### {verb}\n")[2].partition("\n### ")[0]
        for option in command.params:
            if isinstance(option, click.Option):
                assert f"| `{option.opts[0]}" in section, f"{verb} {option.opts}"


def test_every_json_output_has_its_schema() -> None:
    verbs = {
        verb for verb, command in docs_commands.verbs() if any("--json" in option.opts for option in command.params)
    }
    assert docs_commands.OUTPUTS.keys() == verbs
    files = {file.name.partition(".")[0] for file in (ROOT / "docs/reference/schemas").glob("*.schema.json")}
    assert {*docs_commands.OUTPUTS.values(), *docs_commands.FILES.values()} <= files


def test_every_variable_of_ours_is_in_the_reference() -> None:
    """But those that one part of the tool sets for another."""
    names = set()
    for file in (ROOT / "src").rglob("*.py"):
        names |= set(re.findall(r'"(WHEELYARD_[A-Z_]+)"', file.read_text(encoding="utf-8")))
    names -= {"WHEELYARD_ARTIFACT", "WHEELYARD_OWNER", "WHEELYARD_PIPELINE"}
    assert names == {name for name in docs_commands.ENVIRONMENT if name.startswith("WHEELYARD_")} & names
    assert {"WHEELYARD_INDEX", "WHEELYARD_CACHE"} <= names


def test_every_page_can_be_found_from_the_readme() -> None:
    seen, todo = set(), ["README.md"]
    while todo:
        page = todo.pop()
        seen.add(page)
        found = [(ROOT / page).parent / target.partition("#")[0] for target in links(page) if "://" not in target]
        names = [os.path.relpath(path, ROOT) for path in found if path.suffix == ".md"]
        todo += [name for name in names if name not in seen]
    assert seen >= set(ALL)


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    """``nox -s docs-site`` stops at a page that is in no menu."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r"(?m)^ +- (?:[\w ]+: )?(\S+\.md)$", text)
    assert sorted(f"docs/{name}" for name in listed) == [page for page in ALL if page.startswith("docs/")]


@pytest.mark.parametrize("page", ALL)
def test_links_lead_somewhere(page: str) -> None:
    for target in links(page):
        if re.match(r"[a-z]+://|mailto:", target):
            assert target.startswith("https://"), target
            continue
        name, _, anchor = target.partition("#")
        path = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        assert path.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in anchors(os.path.relpath(path, ROOT)), f"{page} links to {target}"


@pytest.mark.parametrize("page", ALL)
def test_files_that_a_page_names_are_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for name in re.findall(r"`((?:src|tests|ci|docs|recipes|benchmarks)/[\w./-]+\.\w+|noxfile\.py)`", text):
        assert (ROOT / name).exists(), f"{page} names {name}"


TOML = [snippet for page in ALL for snippet in snippets(page) if snippet.language == "toml"]


@pytest.mark.parametrize("snippet", TOML, ids=str)
def test_examples_of_recipes_are_valid(snippet: Snippet) -> None:
    validate = validator("recipe")
    table: dict[str, Any] = tomllib.loads(snippet.text)
    if "tool" in table:
        policy = dict(table["tool"]["wheelyard"])
        for key in policy:
            assert key in {field.alias or name for name, field in SiteConfig.model_fields.items()}
        table = policy.pop("defaults", {})
    validate(table)


def test_blocks_say_what_they_are() -> None:
    for page in ALL:
        for snippet in snippets(page):
            assert snippet.language in {"console", "toml", "text", "ini", "json", "diff", ""}, snippet


# --------------------------------------------------------------------- commands


def words(command: Snippet) -> list[str]:
    """What stands behind `ci/bootstrap`, if that is how it is called."""
    return shlex.split(re.sub(r"\Aci/bootstrap ", "", command.text))


@pytest.fixture(scope="module")
def sessions() -> set[str]:
    done = subprocess.run(
        [sys.executable, "-m", "nox", "-l"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return set(re.findall(r"(?m)^[*-] (\S+)", done.stdout))


def read(arguments: list[str]) -> None:
    """Have the command line read *arguments*, and do nothing with them."""
    if arguments == ["--version"]:  # click prints and exits
        return
    context: click.Context = click.Context(cli, info_name="wheelyard", **cli.context_settings)
    group: click.Command = cli
    while isinstance(group, click.Group):
        name, found, arguments = group.resolve_command(context, arguments)
        assert found is not None
        group, context = found, click.Context(found, parent=context, info_name=name)
    group.parse_args(context, arguments)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command}-{command.text}")
def test_a_command_is_one_that_there_is(command: Snippet, sessions: set[str]) -> None:
    program, *rest = words(command)
    if program == "wheelyard":
        read(rest)
    elif program == "nox" and rest[0] == "-s":
        session, *more = rest[1:]
        assert session in sessions
        if more:
            assert more[0] == "--"
            verb = session.removesuffix("-markupsafe") if session.startswith("build-") else session
            if verb in cli.list_commands(click.Context(cli)):
                read([verb, *(["markupsafe"] if verb == "build" else []), *more[1:]])
    else:
        assert program in {"nox", "mkdir", "touch", "source", "pip", "uv", "python3", "ldd"}


def test_two_commands_from_a_fresh_machine() -> None:
    """The promise of the README: nothing before these two, nothing between."""
    first = next(snippet for snippet in snippets("README.md") if snippet.language == "console")
    assert first.text.splitlines() == ["ci/bootstrap nox -s build-markupsafe", "ci/bootstrap nox -s tests"]
