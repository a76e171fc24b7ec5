"""Jobs as child pipelines of GitLab: one generated file each, complete in itself.

Every job runs as soon as those that it ``needs`` are done, and takes their wheels as artifacts; GitLab leaves out only
what needs a job that failed. What hangs together stays in one pipeline, as ``needs`` do not reach into another.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.core.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.ci.github_matrix import PlannedJob

# app/validators/json_schemas and ci_builds: a job's name takes 255 characters.
_LONGEST_NAME = 255
# Minutes of a job's time that are left when its script is ended: a job that runs out of time itself leaves nothing
# (docs.gitlab.com, "Set script and after_script timeouts").
_CLOSING = 10


@dataclass(frozen=True)
class Limits:
    """What a GitLab server allows.

    Attributes:
        jobs: the most jobs of a pipeline.
        needs: the most jobs that one waits for.
        tags: the tags of the site's runners.
        label: the site's label on GitHub, which stands for them.
    """

    jobs: int
    needs: int
    tags: tuple[str, ...]
    label: str


def pipelines(planned_jobs: Sequence[PlannedJob], needs: Sequence[Sequence[int]], limits: Limits) -> tuple[str, ...]:
    """Return the text of each child pipeline, at least one.

    Args:
        planned_jobs: the jobs, in the order in which they should start.
        needs: for each the numbers of those it waits for.
        limits: the server's.

    Raises:
        PlanError: a job waits for too many, or more jobs than a pipeline takes hang together.
    """
    _check(planned_jobs, needs, limits)
    if not planned_jobs:
        return (_text(_NOTHING),)
    bins = enumerate(_bins(needs, limits), 1)
    return tuple(_text(_pipeline(planned_jobs, needs, numbers, limits, index)) for index, numbers in bins)


def _text(pipeline: dict[str, object]) -> str:
    """Return *pipeline* as JSON that is also YAML, which has no escapes in pairs for characters beyond 16 bits."""
    text = json.dumps(pipeline, indent=2, ensure_ascii=False)
    plain = (char if char.isprintable() or char == "\n" or char > "\uffff" else f"\\u{ord(char):04x}" for char in text)
    return "".join(plain) + "\n"


def pipeline_of(needs: Sequence[Sequence[int]], limits: Limits) -> tuple[int, ...]:
    """Return for each job the number of the pipeline that it is in, counted from 1."""
    index_by_job = {number: index for index, numbers in enumerate(_bins(needs, limits), 1) for number in numbers}
    return tuple(index_by_job[number] for number in range(len(needs)))


def _bins(needs: Sequence[Sequence[int]], limits: Limits) -> list[list[int]]:
    """Return the jobs of each pipeline: what hangs together stays together."""
    bins: list[list[int]] = []
    for group in _groups(needs):
        target = next((jobs for jobs in bins if len(jobs) + len(group) <= limits.jobs), None)
        if target is None:
            bins.append(target := [])
        target += group
    return [sorted(numbers) for numbers in bins]


def _check(planned_jobs: Sequence[PlannedJob], needs: Sequence[Sequence[int]], limits: Limits) -> None:
    problems = [
        f"{planned_job.job.name} waits for {len(job_needs)} jobs"
        for planned_job, job_needs in zip(planned_jobs, needs, strict=True)
        if len(job_needs) > limits.needs
    ]
    if problems:
        raise PlanError(
            f"GitLab lets a job wait for {limits.needs} others at most",
            details=problems,
            fix="have the server's administrator raise ci_needs_size_limit, and gitlab-needs in the site configuration "
            "with it",
        )
    large = [group for group in _groups(needs) if len(group) > limits.jobs]
    if large:
        raise PlanError(
            f"{len(large[0])} jobs hang together, and one pipeline takes {limits.jobs}",
            details=sorted({planned_jobs[number].job.build.package for number in large[0]}),
            fix="plan fewer packages at once, or raise gitlab-jobs in the site configuration",
        )


def _groups(needs: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the numbers that hang together, each group sorted, the groups by their first."""
    root = list(range(len(needs)))

    def find(number: int) -> int:
        while root[number] != number:
            root[number] = root[root[number]]
            number = root[number]
        return number

    for number, job_needs in enumerate(needs):
        for other in job_needs:
            low, high = sorted((find(number), find(other)))
            root[high] = low
    groups: dict[int, list[int]] = {}
    for number in range(len(needs)):
        groups.setdefault(find(number), []).append(number)
    return list(groups.values())


def _head(index: int) -> dict[str, object]:
    stages = ["build", "test", "deploy"]
    return {"stages": stages, "variables": {"WHEELYARD_PIPELINE": str(index)}, "default": _DEFAULT}


def _pipeline(
    planned_jobs: Sequence[PlannedJob],
    needs: Sequence[Sequence[int]],
    numbers: Sequence[int],
    limits: Limits,
    index: int,
) -> dict[str, object]:
    jobs = {_name(planned_jobs[number]): _job(planned_jobs, number, needs[number], limits) for number in numbers}
    return {**_head(index), ".build": _TEMPLATE, **jobs, **_LAST}


# A refused artifact does not stop the others.
_COLLECT = "collected=0; if [ -d artifacts ]; then ci/bootstrap wheelyard ci collect artifacts/* || collected=$?; fi"
_TOOL: dict[str, object] = {
    "key": {"files": ["ci/requirements.txt", "ci/bootstrap"], "prefix": "tool"},
    "paths": [".cache/wheelyard/"],
}
_DEFAULT: dict[str, object] = {
    "image": "$WHEELYARD_MACHINE",
    "cache": [_TOOL],
    "interruptible": True,
    # A failed machine is worth a retry; a failed build fails again.
    "retry": {"max": 2, "when": ["runner_system_failure", "scheduler_failure"]},
}
# The words of the jobs, once. Values come as variables, so that no name is part of a script.
_TEMPLATE: dict[str, object] = {
    "stage": "build",
    # Jobs of one version write files of the same names: each leaves its own in a folder of its own, as they are done.
    "script": [_COLLECT, 'ci/bootstrap wheelyard ci run-job --out "$WHEELYARD_ARTIFACT"'],
    "artifacts": {"when": "always", "expire_in": "30 days"},
    # A failing package is yellow, and the report shows it; a machine that cannot build is red.
    "allow_failure": {"exit_codes": [13, 14, 16, 23, 40, 41, 42, 45, 50]},
}
# They close a pipeline, as no parent can take artifacts from its children. The first brings the parent's plan, by
# ``needs:pipeline:job``; a job with ``needs`` would not wait for the stage before it, so that none of the others has
# any (lib/gitlab/ci/config/entry/job.rb, scheduling_type).
_LAST: dict[str, dict[str, object]] = {
    "jobs": {
        "stage": "build",
        "needs": [{"pipeline": "$WHEELYARD_PARENT", "job": "$WHEELYARD_PLANNED_BY", "artifacts": True}],
        "script": ["test -s dist/jobs/jobs.json"],
        "artifacts": {"paths": ["dist/jobs/"], "expire_in": "30 days"},
    },
    "report": {
        "stage": "test",
        # In a merge request what fails is red, at night it is yellow and has its issue.
        "rules": [
            {"if": '$WHEELYARD_FOR == "review"', "when": "always", "allow_failure": False},
            {"when": "always"},
        ],
        "script": [
            _COLLECT,
            'if [ "$WHEELYARD_FOR" = nightly ]; then set -- --issues; else set --; fi',
            (
                'ci/bootstrap wheelyard ci report --plan dist/jobs/jobs.json --pipeline "$WHEELYARD_PIPELINE"'
                ' --summary dist/report.md --junit dist/report.xml "$@"'
            ),
            "exit $collected",
        ],
        "artifacts": {
            "when": "always",
            "expire_in": "30 days",
            "expose_as": "results of the packages",
            "paths": ["dist/report.md"],
            "reports": {"junit": "dist/report.xml"},
        },
        "allow_failure": {"exit_codes": [43]},
    },
    "deploy": {
        "stage": "deploy",
        "interruptible": False,
        "resource_group": "deploy",
        "rules": [
            {"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && $WHEELYARD_FOR =~ /^(main|nightly)$/", "when": "always"}
        ],
        # What went out before something failed is recorded all the same.
        "script": [
            _COLLECT,
            "if [ -z \"$(find dist -name '*.whl' -not -path '*/unchecked/*')\" ]; then exit $collected; fi",
            "status=$collected",
            # What keeps one source away keeps back the wheels that ask for it, and no others.
            "ci/bootstrap wheelyard sources --to gitlab || status=$?",
            "ci/bootstrap wheelyard publish --to gitlab || status=$?",
            "ci/bootstrap wheelyard records --propose || status=$?",
            "exit $status",
        ],
    },
}


_NIGHT = {"rules": [{"if": '$WHEELYARD_FOR == "nightly"', "when": "always"}]}
# GitLab refuses a pipeline without jobs (Gitlab::Ci::Pipeline::Chain::Populate), so an empty plan has one. At night the
# report closes issues of what is not due any more.
_NOTHING: dict[str, object] = {
    **_head(1),
    "nothing-due": {"stage": "build", "script": ["echo 'nothing is due'"]},
    "jobs": _LAST["jobs"] | _NIGHT,
    "report": _LAST["report"] | _NIGHT,
}


def _job(planned_jobs: Sequence[PlannedJob], number: int, needs: Sequence[int], limits: Limits) -> dict[str, object]:
    planned_job = planned_jobs[number]
    entry = planned_job.entry()
    artifact_folder = f"artifacts/{entry['artifact']}"
    results = f"dist/{entry['package']}/{entry['version']}"
    return {
        "extends": ".build",
        "tags": list(limits.tags) if planned_job.runner == limits.label else [planned_job.runner],
        "timeout": f"{planned_job.minutes} minutes",
        # The log of what was under way, and what was built and is not checked yet, however the job ends.
        "artifacts": {"paths": [f"{artifact_folder}/", f"{results}/*.log", f"{results}/unchecked/"]},
        # A retried job continues from its cache.
        "cache": [
            {
                "key": f"job-{planned_job.key}",
                "paths": [f"{artifact_folder}/", f"{results}/unchecked/"],
                "when": "always",
            },
            _TOOL,
        ],
        "needs": [{"job": _name(planned_jobs[other]), "artifacts": True} for other in needs],
        "variables": {
            "WHEELYARD_JOB": planned_job.text(),
            "WHEELYARD_ARTIFACT": artifact_folder,
            "RUNNER_SCRIPT_TIMEOUT": f"{max(planned_job.minutes - _CLOSING, 1)}m",
        },
    }


def _name(planned_job: PlannedJob) -> str:
    name = planned_job.job.name
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 17]} {planned_job.key[:16]}"
