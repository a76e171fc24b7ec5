"""Preflight: what can be told of a build before a minute of it is spent, as judgements over values and files."""

from __future__ import annotations

from wheelyard.preflight.command_paths import Paths, look_for_paths
from wheelyard.preflight.make_sdist import Built, build_sdist, cargo_runs, exposed
from wheelyard.preflight.requirements import Need, Offer, needs_of, requirement_findings
from wheelyard.preflight.source_facts import diff_facts, metadata_of, project_table, sdist_facts
from wheelyard.preflight.stub_wheel import write_stubs

__all__ = [
    "Built",
    "Need",
    "Offer",
    "Paths",
    "build_sdist",
    "cargo_runs",
    "diff_facts",
    "exposed",
    "look_for_paths",
    "metadata_of",
    "needs_of",
    "project_table",
    "requirement_findings",
    "sdist_facts",
    "write_stubs",
]
