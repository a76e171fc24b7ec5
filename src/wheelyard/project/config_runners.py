"""Site policy on the machines that a forge runs jobs on (``[tool.wheelyard.runners]``)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from wheelyard.project.model import Model, RunnerLabel, Seconds


class RunnersPolicy(Model):
    """The machines that jobs run on."""

    label: RunnerLabel = Field(
        "ubuntu-24.04-riscv", description="The runner's label on GitHub; a recipe's `[build] runner` says otherwise."
    )
    gitlab_tags: tuple[RunnerLabel, ...] = Field(
        ("riscv64",), min_length=1, description="The runner's tags on GitLab; a recipe's own label takes their place."
    )
    count: int = Field(8, gt=0, le=10_000, description="How many jobs run at once.")
    image_start: Annotated[Seconds, Field(description="How long a job waits until its image has started.")] = 60
    longest: Annotated[Seconds, Field(description="How long the forge lets a job run.")] = 86_400
    gitlab_wheels: int = Field(
        1,
        gt=0,
        le=6,
        description="The most wheels that one job builds on GitLab, which keeps what a job has built only when that "
        "ends: more save starts of the image, and are lost together with their machine. More share one where the "
        "server would not take so many jobs.",
    )
    gitlab_jobs: int = Field(
        450, gt=0, le=10_000, description="The most jobs of one generated pipeline on GitLab; more make another one."
    )
    gitlab_needs: int = Field(
        50, gt=0, le=1000, description="The most jobs that one job may wait for on GitLab (its `ci_needs_size_limit`)."
    )
