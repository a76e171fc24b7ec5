"""The verbs by heading, each with its short help; a verb's module is imported when the verb runs, not before.

The command of ``wheelyard registry smoke-test`` is the function of the same name in its module,
``wheelyard.cli.registry_smoke_test.registry_smoke_test``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click

from wheelyard import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

REGISTRY = {
    "list": "Show the published files.",
    "verify": "Compare the registry with our records.",
    "adopt": "Record published files that no record lists.",
    "smoke-test": "Install published wheels with pip, and import them.",
    "prune": "Delete versions that the site configuration does not keep.",
    "remove": "Delete single files that should not be there.",
    "yank": "Mark a version so that installers skip it.",
    "mirror": "Copy wheels from one registry into another.",
    "index": "Write static index pages for a registry.",
}
CI = {
    "plan": "Make the jobs that build the wheels.",
    "reuse": "Plan jobs, and reuse wheels of earlier pipelines.",
    "run-job": "Build the wheels of one job.",
    "collect": "Check the results of jobs, and copy them into dist/.",
    "retry": "Write the jobs to run once more.",
    "report": "Report the result of each job of a plan.",
}
HEADINGS = {
    "Recipes": {
        "plan": "Show which wheels would be built, and why.",
        "preflight": "Check whether a build would succeed.",
        "build": "Build, test and check the wheels of a package.",
        "check": "Check wheels in dist/ again.",
    },
    "Registry": {
        "publish": "Publish passing wheels to a registry.",
        "registry": "List, verify, yank, prune and copy published wheels.",
        "sources": "Publish the sources of copyleft libraries in wheels.",
        "site": "Write the pages that show the published wheels.",
        "records": "Bring changed records to the base branch.",
    },
    "Upstream": {
        "check-upstream": "Report the status of packages against upstream.",
        "radar": "List popular packages that lack riscv64 wheels.",
        "history": "Show when riscv64 wheels became available.",
        "available": "Check whether requirements install on riscv64.",
    },
    "Operations": {
        "check-tokens": "Report when tokens and renewals expire.",
        "audit": "Report published versions with known vulnerabilities.",
        "review": "Check a change, as far as that needs no build.",
    },
    "CI": {"ci": "Plan, run, collect and report jobs on a forge."},
    "Machine": {
        "doctor": "Check whether this machine can build.",
        "image": "List, make and remove build images.",
    },
}


class LazyGroup(click.Group):
    """A group that imports a command when it runs.

    Args:
        headings: short helps by verb, by heading.
        prefix: the start of each command's module, such as ``registry_``.
        settings: the settings of a :class:`click.Group`.
    """

    def __init__(self, *, headings: Mapping[str, Mapping[str, str]], prefix: str = "", **settings: Any) -> None:
        super().__init__(**settings)
        self.headings = headings
        self._prefix = prefix

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands, in the order of the help."""
        return [name for verbs in self.headings.values() for name in verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, None if there is none of that name."""
        if cmd_name in self.commands or cmd_name not in self.list_commands(ctx):
            return self.commands.get(cmd_name)
        module = f"{self._prefix}{cmd_name}".replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"wheelyard.cli.{module}"), module)
        self.add_command(command, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings."""
        width = max(map(len, self.list_commands(ctx)))
        for heading, verbs in self.headings.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), text) for name, text in verbs.items()])


@click.group(cls=LazyGroup, headings=HEADINGS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="wheelyard")
def cli() -> None:
    """Make tested riscv64 wheels from small recipes."""


@cli.group(cls=LazyGroup, headings={"Commands": REGISTRY}, prefix="registry_")
def registry() -> None:
    """List, verify, yank, prune and copy published wheels."""


@cli.group(cls=LazyGroup, headings={"Commands": CI}, prefix="ci_")
def ci() -> None:
    """Plan, run, collect and report the jobs that build wheels on a forge.

    `plan` or `reuse` writes the jobs of a pipeline, `run-job` builds the wheels of one of them, `collect` brings
    results together in dist/, `retry` selects jobs to run once more, and `report` ends the pipeline.
    """
