"""Writes the pages and schemas that are made from the code: ``python -m wheelyard.cli.docs [--check]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from wheelyard.builder.build_package import BuildReport
from wheelyard.ci.jobs_report import JobsReport
from wheelyard.ci.outcome import CIReport, WheelOutcome
from wheelyard.ci.review_report import ReviewReport
from wheelyard.cli import docs_checks, docs_commands
from wheelyard.core.errors import all_errors
from wheelyard.images.manage_images import ImagesReport
from wheelyard.io.files import write_text
from wheelyard.preflight.doctor import DoctorReport
from wheelyard.preflight.preflight_report import PreflightReport
from wheelyard.project import reference
from wheelyard.project.config import AuditConfig, IgnoredVulnerability, RunnersConfig, SiteConfig, WatchConfig
from wheelyard.project.config_change_requests import ChangeRequestConfig
from wheelyard.project.config_registries import DirectoryConfig, GitLabConfig
from wheelyard.project.config_tokens import DeployTokenConfig, GroupTokenConfig, IssueConfig, RenewalConfig
from wheelyard.records.copyleft_sources import SOURCES, SourcesReport
from wheelyard.records.durations import DURATIONS
from wheelyard.records.history import HISTORY
from wheelyard.records.models import Verdict, WheelRecord
from wheelyard.records.releases import RELEASES
from wheelyard.registries.registry_reports import PublicationReport, RegistryListing, RegistryVerification
from wheelyard.registries.smoke_test_report import SmokeTestReport
from wheelyard.security.token_report import TokenReport
from wheelyard.security.vulnerability_report import AuditReport
from wheelyard.site.site_report import Site
from wheelyard.watch.availability_report import AvailabilityReport, RadarReport
from wheelyard.watch.records_request import RecordsReport
from wheelyard.watch.status_report import Histories, WatchReport

if TYPE_CHECKING:
    from wheelyard.core.model import Model

_SCHEMAS: dict[str, type[Model]] = {
    "audit": AuditReport,
    "build": BuildReport,
    "doctor": DoctorReport,
    "images": ImagesReport,
    "history": HISTORY.model,
    "durations": DURATIONS.model,
    "history-report": Histories,
    "jobs": JobsReport,
    "ci-report": CIReport,
    "outcome-of-wheel": WheelOutcome,
    "preflight": PreflightReport,
    "publication": PublicationReport,
    "radar": RadarReport,
    "registry-listing": RegistryListing,
    "registry-verification": RegistryVerification,
    "registry-smoke-test": SmokeTestReport,
    "packages": Site,
    "records": RecordsReport,
    "releases": RELEASES.model,
    "available": AvailabilityReport,
    "review": ReviewReport,
    "sources": SOURCES.model,
    "sources-report": SourcesReport,
    "tokens": TokenReport,
    "upstream": WatchReport,
    "verdict": Verdict,
    "wheel": WheelRecord,
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schemas of what is stored, by the stem of their file in ``docs/reference/schemas``."""
    return {
        stem: {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(by_alias=True)}
        for stem, model in _SCHEMAS.items()
    }


def pages() -> dict[str, str]:
    """Return every generated file: its path relative to the project, and its text."""
    texts = {**reference.pages(), **docs_commands.pages()}
    for stem, schema in schemas().items():
        texts[f"docs/reference/schemas/{stem}.schema.json"] = json.dumps(schema, indent=2) + "\n"
    texts[docs_checks.FILE] = docs_checks.checks_page()
    texts["docs/reference/exit-codes.md"] = _errors()
    texts["docs/reference/site-configuration.md"] = _policy()
    return texts


def _errors() -> str:
    rows = [f"| {error.exit_code} | `{error.__name__}` | {_first_line(error.__doc__)} |" for error in all_errors()]
    return "\n".join(
        [
            "# Exit codes",
            "",
            "<!-- Made from src/wheelyard/core/errors.py by `nox -s docs`; change it there. -->",
            "",
            "0 is success, 1 a bug of ours (with its traceback: please report it), 2 a mistake on the command line.",
            "Every other code has one meaning, and the message says what happened, where, and what to do next.",
            "",
            "| code | error | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _keys(model: type[BaseModel]) -> list[str]:
    """Return a model's keys as rows of a table."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        value = "required" if field.is_required() else f"`{json.dumps(_plain(default))}`"
        rows.append(f"| `{field.alias or name}` | {value} | {field.description} |")
    return rows


def _plain(value: object) -> object:
    return value.model_dump(mode="json", by_alias=True) if isinstance(value, BaseModel) else value


def _policy() -> str:
    return "\n".join(
        [
            "# Site configuration",
            "",
            "<!-- Made from src/wheelyard/project/config.py by `nox -s docs`; change it there. -->",
            "",
            "`[tool.wheelyard]` in `pyproject.toml`: what holds for all packages, and no recipe repeats.",
            "`[tool.wheelyard.defaults]` is the outermost layer of every recipe and takes a recipe's tables",
            "([recipe.md](recipe.md)).",
            "",
            *_keys(SiteConfig),
            "",
            "## `[tool.wheelyard.registries.<name>]`",
            "",
            "`wheelyard publish --to <name>` publishes there; see [publishing](../how-to/publishing.md).",
            "Of kind `gitlab`:",
            "",
            *_keys(GitLabConfig),
            "",
            "Of kind `directory`:",
            "",
            *_keys(DirectoryConfig),
            "",
            "## `[tool.wheelyard.watch]`",
            "",
            *_keys(WatchConfig),
            "",
            "## `[tool.wheelyard.change-requests]`",
            "",
            *_keys(ChangeRequestConfig),
            "",
            "## `[tool.wheelyard.audit]`",
            "",
            "See [audit](../how-to/audit.md).",
            "",
            *_keys(AuditConfig),
            "",
            "## `[[tool.wheelyard.audit.ignore]]`",
            "",
            *_keys(IgnoredVulnerability),
            "",
            "## `[tool.wheelyard.runners]`",
            "",
            "See [planning](../how-to/planning.md).",
            "",
            *_keys(RunnersConfig),
            "",
            "## `[[tool.wheelyard.tokens]]`",
            "",
            "What `wheelyard check-tokens` watches; see [tokens](../how-to/tokens.md). Of kind `group`:",
            "",
            *_keys(GroupTokenConfig),
            "",
            "Of kind `deploy`:",
            "",
            *_keys(DeployTokenConfig),
            "",
            "## `[[tool.wheelyard.renewals]]`",
            "",
            *_keys(RenewalConfig),
            "",
            "## `[tool.wheelyard.issues]`",
            "",
            *_keys(IssueConfig),
            "",
        ]
    )


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0].replace("``", "`")


def main(arguments: list[str]) -> int:
    """Write what is out of date; with ``--check`` only report it, and return 1 if there is any."""
    root = Path(__file__).parents[3]
    old = [
        name
        for name, text in pages().items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != text
    ]
    for name in old:
        if "--check" not in arguments:
            write_text(root / name, pages()[name])
        print(f"{'out of date' if '--check' in arguments else 'written'}: {name}")  # noqa: T201
    return 1 if old and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
