"""Pages of the command line: every verb and option, environment variables, and JSON outputs."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click

from wheelyard.cli.commands import HEADINGS, cli

if TYPE_CHECKING:
    from collections.abc import Iterator

_MADE = "<!-- Made from src/wheelyard/cli by `nox -s docs`; change it there. -->"
_SECRETS = "nothing that is logged shows its value"
ENVIRONMENT = {
    "WHEELYARD_INDEX": "The package index to read; by default that of pip (`PIP_INDEX_URL`, then its configuration).",
    "WHEELYARD_CACHE": "The folder of caches; by default `wheelyard` in `XDG_CACHE_HOME` or `~/.cache`.",
    "WHEELYARD_GITLAB_TOKEN": f"The token that writes to a GitLab registry, unless its `variables` differ; {_SECRETS}.",
    "WHEELYARD_FORGE_TOKEN": (
        "The token for change requests and issues, as `variable` of `[tool.wheelyard.change-requests]` names it here; "
        f"{_SECRETS}."
    ),
    "WHEELYARD_OSV": "The server of the vulnerability database that `audit` asks, instead of the configured `url`.",
    "WHEELYARD_BODY": "The description of a change request, for `review` without `--body`.",
    "WHEELYARD_JOB": "The job that `ci run-job` builds: a row of a matrix that `ci plan` writes.",
    "CI_JOB_TOKEN": "GitLab sets it; the token of last resort for its registry, on the server `CI_SERVER_URL`.",
    "CI": "Set by forges: `check-tokens --rotate` then needs `--token-file`.",
    "GITHUB_ACTIONS": "`true` on GitHub: the log has its folds and commands.",
    "GITHUB_OUTPUT": "A file of GitHub, to which `review` and `ci run-job` append outputs.",
    "GITLAB_CI": "`true` on GitLab: the log has its folds.",
    "COLUMNS": "The width of help and tables.",
    "NO_COLOR": "If set, nothing is coloured.",
}
OUTPUTS = {
    "plan": "plan",
    "preflight": "preflight",
    "build": "build",
    "check": "verdict",
    "publish": "publication",
    "registry list": "registry-listing",
    "registry verify": "registry-verification",
    "registry smoke-test": "registry-smoke-test",
    "sources": "sources-report",
    "records": "records",
    "check-upstream": "upstream",
    "radar": "radar",
    "history": "history-report",
    "available": "available",
    "check-tokens": "tokens",
    "audit": "audit",
    "review": "review",
    "ci plan": "jobs",
    "ci reuse": "jobs",
    "ci report": "ci-report",
    "doctor": "doctor",
    "image list": "images",
}
FILES = {
    "dist/<pkg>/<version>/verdict.json": "verdict",
    "dist/<pkg>/<version>/<wheel>.json": "wheel",
    "dist/<pkg>/<version>/outcome-<pythons>.json": "outcome-of-wheel",
    "jobs.json of `ci plan --out`": "jobs",
    "packages.json of `site --out`": "packages",
}


def pages() -> dict[str, str]:
    """Return the pages by their paths."""
    return {
        "docs/reference/command-line.md": _command_line(),
        "docs/reference/environment.md": _environment(),
        "docs/reference/outputs.md": _outputs(),
    }


def verbs(group: click.Group = cli, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield each verb with its command, in the order of the help."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from verbs(command, f"{prefix}{name} ")
        elif command:
            yield f"{prefix}{name}", command


def _command_line() -> str:
    lines = [
        "# Command line",
        "",
        _MADE,
        "",
        "```text",
        "wheelyard VERB --help",
        "```",
        "",
        "Results are on standard output, everything else on standard error. Exit code 0 is success, 1 a bug, 2 a",
        "mistake on the command line; every other code has one meaning: [exit codes](exit-codes.md). `--registry`",
        "names a registry to read, `--to` a registry to write, and `--out` a folder for files.",
    ]
    commands = dict(verbs())
    for heading, names in HEADINGS.items():
        lines += ["", f"## {heading}"]
        for name in names:
            for verb in [verb for verb in commands if verb == name or verb.startswith(f"{name} ")]:
                lines += ["", *_verb(verb, commands[verb])]
    return "\n".join([*lines, ""])


def _verb(name: str, command: click.Command) -> list[str]:
    # The help option keeps the names of the first context that asks for it.
    context = click.Context(command, info_name=f"wheelyard {name}", **cli.context_settings)
    usage = " ".join([context.info_name or "", *command.collect_usage_pieces(context)])
    options = [option for option in command.params if isinstance(option, click.Option)]
    rows = [f"| `{_spelling(option)}` | {_help(option)} |" for option in options]
    text = inspect.cleandoc(command.help or "").replace("<", "&lt;")
    table = ["", "| option | meaning |", "|---|---|", *rows] if rows else []
    return [f"### {name}", "", "```text", usage, "```", "", text, *table]


def _spelling(option: click.Option) -> str:
    metavar = f" {option.metavar}" if option.metavar else ""
    return ", ".join(option.opts) + metavar.replace("|", "\\|")


def _help(option: click.Option) -> str:
    text = (option.help or "").replace("|", "\\|").replace("<", "&lt;")
    if isinstance(option.type, click.Choice):
        text += f" One of {', '.join(f'`{choice}`' for choice in option.type.choices)}."
    if option.required:
        text += " Required."
    return f"{text} Default: `{option.default}`." if option.show_default else text


def _environment() -> str:
    rows = [f"| `{name}` | {text} |" for name, text in ENVIRONMENT.items()]
    return "\n".join(
        [
            "# Environment variables",
            "",
            _MADE,
            "",
            "A token is also read from the file that `<NAME>_FILE` names. Settings of pip and uv for indexes, proxies",
            "and certificates hold for builds, too.",
            "",
            "| variable | meaning |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def _outputs() -> str:
    rows = [f"| `wheelyard {verb} --json` | {_schema(stem)} |" for verb, stem in OUTPUTS.items()]
    rows += [f"| {path if ' ' in path else f'`{path}`'} | {_schema(stem)} |" for path, stem in FILES.items()]
    return "\n".join(
        [
            "# JSON outputs",
            "",
            _MADE,
            "",
            "Each object has its `schema` and `version`, and no other keys than its schema lists.",
            "[Stability](stability.md) says how they may change.",
            "",
            "| output | schema |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def _schema(stem: str) -> str:
    return f"[{stem}](schemas/{stem}.schema.json)"
