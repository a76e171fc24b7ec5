"""CI: jobs from what is selected, packed and in order, for GitHub and GitLab; what jobs do, and their results."""

from __future__ import annotations

from wheelyard.ci.github_matrix import Matrix, PlannedJob, Row, matrices, retry_matrices
from wheelyard.ci.gitlab_pipeline import Limits, pipeline_of, pipelines
from wheelyard.ci.job_model import MOST_WHEELS, BuildJob, Capacity, Layout, PackageBuild, PlannedWheel, keys
from wheelyard.ci.packing import lay_out, lower_bound, pack

__all__ = [
    "MOST_WHEELS",
    "BuildJob",
    "Capacity",
    "Layout",
    "Limits",
    "Matrix",
    "PackageBuild",
    "PlannedJob",
    "PlannedWheel",
    "Row",
    "keys",
    "lay_out",
    "lower_bound",
    "matrices",
    "pack",
    "pipeline_of",
    "pipelines",
    "retry_matrices",
]
