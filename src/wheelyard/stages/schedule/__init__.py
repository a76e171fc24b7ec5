"""Schedule: jobs from what is due, in order, packed to finish soonest, for GitHub, for GitLab, and on trial."""

from __future__ import annotations

from wheelyard.stages.schedule.github import Matrix, Row, Ticket, again, matrices
from wheelyard.stages.schedule.gitlab import Limits, pipeline_of, pipelines
from wheelyard.stages.schedule.packing import MOST_WHEELS, Layout, Site, lay_out, lower_bound, pack
from wheelyard.stages.schedule.simulate import Comparison, Conditions, Night, compare, run
from wheelyard.stages.schedule.synthetic import tasks as synthetic_tasks
from wheelyard.stages.schedule.tasks import BuildJob, Piece, Task, keys

__all__ = [
    "MOST_WHEELS",
    "BuildJob",
    "Comparison",
    "Conditions",
    "Layout",
    "Limits",
    "Matrix",
    "Night",
    "Piece",
    "Row",
    "Site",
    "Task",
    "Ticket",
    "again",
    "compare",
    "keys",
    "lay_out",
    "lower_bound",
    "matrices",
    "pack",
    "pipeline_of",
    "pipelines",
    "run",
    "synthetic_tasks",
]
