"""Schedule: jobs from what is due, in order, packed to finish soonest, for GitHub, for GitLab, and on trial."""

from __future__ import annotations

from wheelyard.ci.github_matrix import Matrix, Row, Ticket, again, matrices
from wheelyard.ci.gitlab_pipeline import Limits, pipeline_of, pipelines
from wheelyard.ci.job_model import BuildJob, Piece, Task, keys
from wheelyard.ci.packing import MOST_WHEELS, Layout, Site, lay_out, lower_bound, pack
from wheelyard.ci.simulate import Comparison, Conditions, Night, compare, run
from wheelyard.ci.synthetic import tasks as synthetic_tasks

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
