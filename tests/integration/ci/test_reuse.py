"""``ci reuse`` over GitHub's artifacts, over real HTTPS: what is taken, and what is built all the same."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from support.built_wheels import record_of, verdict_of
from support.github import Fault, GitHub
from support.github.app import serve
from support.project import PYPROJECT, make_project
from support.remote import Bare, git
from support.wheels import WheelSpec
from wheelyard.ci.outcome import outcomes
from wheelyard.ci.reuse import reuse, since_last
from wheelyard.ci.run_planned_job import artifact_name
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import NetworkError, PlanError
from wheelyard.forges.artifacts import GitHubArtifacts
from wheelyard.forges.github_api import GitHubApi
from wheelyard.io import http
from wheelyard.io.body import Patience
from wheelyard.planning import selection as due
from wheelyard.planning.fingerprint import tool_digest
from wheelyard.project.config import seek_project
from wheelyard.records import lockfile
from wheelyard.records.models import LockedVersion
from wheelyard.records.wheel_records import read_record, releasable, write_record, write_verdict
from wheelyard.registries import DirectoryRegistry, read_release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from wheelyard.planning.selection import Selection
    from wheelyard.project.config import Project

SITE = (
    PYPROJECT.replace("[tool.wheelyard]", '[tool.wheelyard]\nimage = "official"\nmax-unpacked-mib = 1')
    + """
[tool.wheelyard.change-requests]
forge = "{forge}"
url = "{url}"
project = "ann/yard"
remote = "{remote}"
variable = "PROMOTE_TOKEN"
"""
)
PAIRS = {"cp312": "cp312-cp312", "cp313": "cp313-cp313"}


class Yard:
    """A project whose demo 1.0 is due for two interpreters, and the GitHub where pipelines have run."""

    def __init__(self, root: Path, github: GitHub, url: str) -> None:
        self.root, self.github = root, github
        (root / "site").mkdir()
        self.site = {"url": url, "remote": github.repository.git.url}
        self.project = self.make("github")
        for name in ("demo", "user"):
            entry = {"version": "1.0", "file": f"{name}-1.0.tar.gz", "size": 1, "sha256": "1" * 64}
            pinned = LockedVersion.model_validate(entry | {"wheels": list(PAIRS.values()), "reference": "aarch64"})
            lockfile.pin(lockfile.lock_file(self.project.packages, name), pinned)

    def make(self, forge: str) -> Project:
        recipes = {"demo/recipe.toml": "", "user/recipe.toml": '[build]\nneeds = ["demo"]\n'}
        return make_project(self.root / "site", recipes, pyproject=SITE.format(forge=forge, **self.site))

    def selection(self, *names: str) -> Selection:
        return due.by_name(due.DuePlanner(self.project), names or ("demo",))

    def digest(self, python: str, name: str = "demo") -> str:
        (version,) = self.selection(name).due
        (found,) = (each for wheel, each in version.fingerprints.items() if str(wheel.interpreters[0]) == python)
        return found

    def built(self, python: str = "cp313", *, inputs: str = "", name: str = "demo", **lies: object) -> Path:
        """Return what a job has left of a wheel."""
        folder = self.root / f"machine-{name}-{python}"
        spec = WheelSpec(name=name, python=python, abi=python, **lies)  # type: ignore[arg-type]
        wheel = spec.write(folder)
        write_record(
            folder, record_of(wheel, spec).model_copy(update={"fingerprint": inputs or self.digest(python, name)})
        )
        write_verdict(folder, verdict_of(name, "1.0", [wheel]))
        return folder

    def upload(self, folder: Path, python: str = "cp313", name: str = "demo", **more: bool) -> None:
        raw = io.BytesIO()
        with zipfile.ZipFile(raw, "w") as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, path.name)
        self.put(raw.getvalue(), python, name, **more)

    def put(self, data: bytes, python: str = "cp313", name: str = "demo", **more: bool) -> None:
        self.github.upload(artifact_name(name, "1.0", (python,), self.digest(python, name)), data, run=17, **more)

    def left(self, *names: str) -> dict[str, list[str]]:
        found = reuse(self.project, self.selection(*names))
        return {each.target.package: [wheel.python for wheel in each.wheels] for each in found.due}

    def verb(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``ci reuse`` as a person does, or a pipeline."""
        command = [sys.executable, "-m", "wheelyard", "ci", "reuse", "--format", "github", *words]
        return subprocess.run(command, cwd=self.project.root, capture_output=True, text=True, check=False, timeout=120)

    @property
    def taken(self) -> list[str]:
        return sorted(path.name for path in self.project.dist.rglob("*.whl"))


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("wheelyard.io.retry._PAUSE", 0.01)
    github = GitHub("ann/yard", Bare(tmp_path / "git", {"README.md": "yard\n"}))
    monkeypatch.setenv("PROMOTE_TOKEN", github.add_token("read"))
    with serve(github) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca))
        yield Yard(tmp_path, github, server.url)


ALL = {"demo": ["cp312", "cp313"]}


def test_what_was_built_from_the_same_inputs_is_taken(yard: Yard) -> None:
    folder = yard.built()
    (folder / "outcome-cp313.json").write_text("{}")
    (folder / "build-cp313.log").write_text("a log\n")
    yard.upload(folder)
    found = reuse(yard.project, yard.selection())
    assert [wheel.python for each in found.due for wheel in each.wheels] == ["cp312"]
    assert found.left_out == (("demo", "1.0", "reused for cp313: run 17 has built it"),)
    ((wheel, record),) = releasable(yard.project.dist / "demo/1.0")
    assert record == read_record(folder / wheel.name)
    assert list(outcomes(yard.project.dist / "demo/1.0")) == []


def test_when_all_is_taken_nothing_is_left_and_the_plan_says_where_from(yard: Yard) -> None:
    for python in PAIRS:
        yard.upload(yard.built(python), python)
    done = yard.verb("demo", "--out", "dist/jobs")
    assert done.returncode == 0, done.stderr
    assert "reused for cp312: run 17 has built it" in done.stdout
    assert (yard.project.dist / "jobs/outputs").read_text().splitlines() == ["jobs=0", "waves=0"]
    assert len(json.loads((yard.project.dist / "jobs/jobs.json").read_text())["left-out"]) == 2
    assert len(yard.taken) == 2


@pytest.mark.parametrize("kind", ["fork", "expired"])
def test_of_a_fork_or_expired_it_is_not_even_downloaded(yard: Yard, kind: str) -> None:
    yard.upload(yard.built(), fork=kind == "fork", expired=kind == "expired")
    assert yard.left() == ALL
    assert not [seen for seen in yard.github.requests if "/zip" in seen.path or "/blob" in seen.path]


def _zip(*members: tuple[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return raw.getvalue()


def _link() -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        member = zipfile.ZipInfo("demo-1.0-cp313-cp313-manylinux_2_39_riscv64.whl")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, "/etc/passwd")
    return raw.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (_zip(("../../../up.whl", b"x")), "leads out"),
        (_zip(("/absolute.whl", b"x")), "leads out"),
        (_zip(("zeros.whl", b"\0" * (2 << 20))), "more than 1 MiB"),
        (_zip(*((f"{number}", b"") for number in range(1001))), "more than 1000 members"),
        (_link(), "leads to"),
        (b"PK no zip", "not an archive"),
        (_zip(("README", b"")), "0 wheels"),
        (b"", "not an archive"),
        (b"x" * (2 << 20), "larger than it may be"),
    ],
    ids=["upwards", "absolute", "bomb", "many", "link", "damaged", "no-wheel", "empty", "large"],
)
def test_a_lying_zip_is_told_and_the_wheel_built(
    yard: Yard, capsys: pytest.CaptureFixture[str], data: bytes, said: str
) -> None:
    before = {path for path in yard.root.rglob("*") if "cache" not in path.parts}
    yard.put(data)
    assert yard.left() == ALL
    assert said in capsys.readouterr().err
    assert {path for path in yard.root.rglob("*") if "cache" not in path.parts} == before
    assert not list((yard.root / "cache/reuse").iterdir())


def test_what_else_lies_beside_a_wheel_does_no_harm(yard: Yard) -> None:
    folder = yard.built()
    members = {path.name: path.read_bytes() for path in folder.iterdir()}
    members |= {"outcome-cp313.json/outcome-cp312.json/x": b"", "x/outcome-cp314.json": b"{", "verdict/y.whl/z": b""}
    yard.put(_zip(*members.items()))
    assert yard.left() == {"demo": ["cp312"]}
    assert list(outcomes(yard.project.dist / "demo/1.0")) == []


def _other_inputs(yard: Yard) -> Path:
    return yard.built(inputs=yard.digest("cp313")[:16] + "0" * 48)  # the name has the first sixteen only


def _no_record(yard: Yard) -> Path:
    folder = yard.built()
    next(folder.glob("*.whl.json")).unlink()
    return folder


def _not_its_record(yard: Yard) -> Path:
    folder = yard.built()
    wheel = next(folder.glob("*.whl"))
    write_record(folder, read_record(wheel).model_copy(update={"sha256": "0" * 64}))
    return folder


def _two(yard: Yard) -> Path:
    folder = yard.built()
    yard.built("cp312")
    shutil.copy(next((yard.root / "machine-demo-cp312").glob("*.whl")), folder)
    return folder


def _for_another_interpreter(yard: Yard) -> Path:
    """All of its papers are in order, but for whom it is."""
    return yard.built("cp312", inputs=yard.digest("cp313"))


def _bomb(yard: Yard) -> Path:
    return yard.built(files={"demo/zeros": b"\0" * (4 << 20)})


def _no_version(yard: Yard) -> Path:
    return yard.built(metadata_version="9" * 5000, requires_python=f">={'9' * 5000}")


def _fails_checks(yard: Yard) -> Path:
    return yard.built(lies=("demo/__init__.py",), metadata_version="2.0")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_other_inputs, "has another fingerprint"),
        (_no_record, "without a record"),
        (_not_its_record, "sha256 or size differ"),
        (_two, "2 wheels"),
        (_fails_checks, "2 check(s) failed"),
        (_for_another_interpreter, "unexpected: demo-1.0-cp312"),
        (_bomb, "unpacks to 4 MiB, 1 are allowed"),
        (_no_version, "which is none (PEP 440)"),
    ],
)
def test_a_wheel_that_is_not_in_order_is_told_and_built(
    yard: Yard, capsys: pytest.CaptureFixture[str], make: Callable[[Yard], Path], said: str
) -> None:
    yard.upload(make(yard))
    assert yard.left() == ALL
    assert said in capsys.readouterr().err
    assert yard.taken == []


def test_an_older_one_does_when_the_newest_is_not_in_order(yard: Yard) -> None:
    yard.upload(yard.built())
    yard.put(b"")
    assert yard.left() == {"demo": ["cp312"]}


def test_what_needs_it_is_looked_for_once_it_is_there(yard: Yard) -> None:
    for python in PAIRS:
        yard.upload(yard.built(python), python)
    assert yard.left("demo", "user") == {"user": ["cp312", "cp313"]}  # demo is in the index now: digests are known
    for python in PAIRS:
        yard.upload(yard.built(python, name="user"), python, "user")
    shutil.rmtree(yard.project.dist)
    assert yard.left("demo", "user") == {}
    assert len(yard.taken) == 4 + 2  # dist, and demo's in the index folder


@pytest.mark.parametrize(("fault", "status"), [("status", 503), ("status", 410), ("status", 422), ("reset", 0)])
def test_a_server_that_is_down_is_told_once_and_all_is_built(
    yard: Yard, capsys: pytest.CaptureFixture[str], fault: str, status: int
) -> None:
    yard.upload(yard.built())
    yard.github.fault(Fault(fault, status=status))  # type: ignore[arg-type]
    assert yard.left() == ALL
    assert capsys.readouterr().err.count("no more wheels are reused") == 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault("stall", after=True, seconds=2), "127.0.0.1 cannot be reached"),
        (Fault("drip", path="/blob/", seconds=0.05), "127.0.0.1 sends too slowly"),
    ],
)
def test_a_server_that_is_too_slow_is_told_and_all_is_built(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: Fault, told: str
) -> None:
    monkeypatch.setattr(http, "TIMEOUT", (1.0, 0.2))
    hasty = functools.partial(GitHubApi, patience=Patience(window=0.2))
    monkeypatch.setattr("wheelyard.forges.artifacts.GitHubApi", hasty)
    yard.github.fault(fault)
    for python in PAIRS:
        yard.upload(yard.built(python), python)
        yard.upload(yard.built(python), python)
    assert yard.left() == ALL
    assert capsys.readouterr().err.count(told) == 1


def test_wheels_that_a_build_cannot_take_do_not_count(yard: Yard) -> None:
    """A pull request's job had of what it needs only the wheel for its own interpreter."""
    index = DirectoryRegistry(yard.project.index)

    def there(python: str) -> None:
        wheel = next(yard.built(python, inputs="1" * 64).glob("*.whl"))
        index.put(read_release(wheel, sha256=sha256_file(wheel)))

    there("cp313")
    yard.upload(yard.built("cp313", name="user"), "cp313", "user")
    there("cp312")
    assert yard.left("user") == {"user": ["cp312"]}


@pytest.mark.parametrize(
    "change",
    [
        {"workflow_run": {"id": 17, "repository_id": None, "head_repository_id": None}},
        {"workflow_run": None},
        {"workflow_run": []},
        {"workflow_run": {"id": 17, "repository_id": 1, "head_repository_id": 2}},
        {"id": float("inf")},
        {"id": "x"},
        {"expired": "yes"},
    ],
)
def test_an_artifact_that_does_not_say_where_it_is_from_is_not_taken(change: dict[str, object]) -> None:
    run = {"id": 17, "repository_id": 1, "head_repository_id": 1}
    told = {"id": 1, "name": "w", "size_in_bytes": 1, "expired": False, "workflow_run": run}

    class Told:
        def ask(self, *_: str) -> object:
            return {"artifacts": [self.value]}

        value: object = told

    client = Told()
    artifacts = GitHubArtifacts(client, "ann/yard")  # type: ignore[arg-type]
    assert [each.number for each in artifacts.find("w")] == [1]
    client.value = told | change
    with contextlib.suppress(NetworkError):
        assert artifacts.find("w") == ()


def test_without_a_token_that_may_all_is_built(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROMOTE_TOKEN", "ghp_wrong000000000000000000000000000000")
    yard.upload(yard.built())
    assert yard.left() == ALL
    said = capsys.readouterr().err
    assert "no more wheels are reused" in said
    assert "ghp_wrong" not in said


def test_a_download_that_breaks_off_is_tried_again(yard: Yard) -> None:
    yard.upload(yard.built())
    yard.github.fault(Fault("status", path="/blob/", status=503, times=2))
    assert yard.left() == {"demo": ["cp312"]}


@pytest.mark.parametrize("forge", ["gitlab", None])
def test_where_there_are_no_artifacts_all_is_built(
    yard: Yard, capsys: pytest.CaptureFixture[str], forge: str | None
) -> None:
    yard.upload(yard.built())
    project = yard.make(forge or "github")
    if forge is None:
        site = project.root / "pyproject.toml"
        site.write_text(site.read_text("utf-8").partition("[tool.wheelyard.change-requests]")[0], "utf-8")
        project = seek_project(project.root) or project
    selection = yard.selection()
    assert reuse(project, selection) == selection
    said = capsys.readouterr().err
    assert "all is built" in said
    assert ("GitHub's artifacts only" if forge else "names no forge with pipelines") in said


def test_what_another_tool_has_built_is_built_again(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.upload(yard.built())
    monkeypatch.setattr("wheelyard.ci.run_planned_job.tool_digest", lambda: "another branch has changed it")
    assert yard.left() == ALL
    assert len(tool_digest()) == 64


def test_what_is_checked_out_counts_and_not_the_end_of_a_range(yard: Yard) -> None:
    selection = yard.selection()
    yard.upload(yard.built())
    (yard.project.recipes / "demo/recipe.toml").write_text('[test]\ncommand = "false"\n')  # the base branch has it
    assert [len(each.wheels) for each in reuse(yard.project, selection).due] == [2]
    (yard.project.recipes / "demo/recipe.toml").write_text("")
    assert [len(each.wheels) for each in reuse(yard.project, selection).due] == [1]


def test_a_machine_that_plans_does_not_reuse_for_ever(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for python in PAIRS:
        yard.upload(yard.built(python), python)
    monkeypatch.setattr("wheelyard.ci.reuse._PATIENCE", 0.0)
    assert yard.left() == {"demo": ["cp313"]}
    assert "the rest is built" in capsys.readouterr().err


# ------------------------------------------------- pushes without a run of their own


class History:
    """The yard's project in git: four commits, the oldest first, and one on another branch."""

    def __init__(self, root: Path) -> None:
        self.root = root
        git(root, "init", "--quiet", "--initial-branch=main")
        git(root, "add", "--all")
        self.commits = [self.commit(name) for name in ("first", "second", "third", "head")]
        git(root, "switch", "--quiet", "--create", "other", self.commits[1])
        self.other = self.commit("other")
        git(root, "switch", "--quiet", "main")

    def commit(self, message: str) -> str:
        git(self.root, "commit", "--quiet", "--allow-empty", "--message", message)
        return git(self.root, "rev-parse", "HEAD")


@pytest.fixture
def history(yard: Yard) -> History:
    return History(yard.project.root)


def test_a_range_goes_on_from_the_last_run_that_planned_its_own(yard: Yard, history: History) -> None:
    first, second, third, head = history.commits
    given = f"{third}..{head}"
    for commit in (first, second, history.other, head, "2" * 40):  # later, elsewhere, nowhere
        yard.github.upload("planned", b"", commit=commit)
    yard.github.upload("planned", b"", commit=third, fork=True)
    yard.github.upload("planned", b"", commit=third, expired=True)
    assert since_last(yard.project, given, "planned") == f"{second}..{head}"
    assert since_last(yard.project, f"{second}..{head}", "planned") == f"{second}..{head}"
    yard.github.upload("planned", b"", commit=first)  # an old run was tried again
    for _ in range(250):  # and strangers' runs have left more than a page of them
        yard.github.upload("planned", b"", commit=third, fork=True)
    assert since_last(yard.project, given, "planned") == f"{second}..{head}"
    assert since_last(yard.project, given, "else") == given
    with pytest.raises(PlanError):
        since_last(yard.project, f"{'3' * 40}..{head}", "planned")


@pytest.mark.parametrize("status", [401, 422, 500])
def test_where_nothing_can_be_asked_the_range_is_what_it_is_and_nobody_says_that_all_is_planned(
    yard: Yard, history: History, status: int
) -> None:
    yard.github.upload("planned", b"", commit=history.commits[0])
    out = yard.project.root / "out"

    def asked(*, failing: bool = False) -> str:
        done = yard.verb("--changed", f"{history.commits[2]}..HEAD", "--after", "planned", "--out", "out")
        assert done.returncode == 0, done.stderr
        assert ("that is not built cannot be found" in done.stderr) == failing
        found: str = json.loads((out / "jobs.json").read_text("utf-8"))["selection"]
        return found

    assert asked() == f"{history.commits[0]}..{history.commits[3]}"
    assert (out / "planned").is_file()
    yard.github.fault(Fault("status", path="/actions/artifacts", status=status))
    assert asked(failing=True) == f"{history.commits[2]}..HEAD"
    assert not (out / "planned").exists()


@pytest.mark.parametrize("commit", ["", "--help", "1" * 39, None])
def test_a_commit_that_is_none_hides_no_other(yard: Yard, history: History, commit: str) -> None:
    yard.github.upload("planned", b"", commit=history.commits[1])
    yard.github.upload("planned", b"", commit=commit)
    given = f"{history.commits[2]}..{history.commits[3]}"
    assert since_last(yard.project, given, "planned") == f"{history.commits[1]}..{history.commits[3]}"


def test_the_verb_plans_from_there(yard: Yard, history: History) -> None:
    yard.github.upload("planned", b"", commit=history.commits[0])
    done = yard.verb("--changed", f"{history.commits[2]}..HEAD", "--after", "planned")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["selection"] == f"{history.commits[0]}..{history.commits[3]}"
    assert not found["jobs"]


def test_what_is_left_is_planned_for_the_official_image(yard: Yard) -> None:
    site = yard.project.root / "pyproject.toml"  # a fresh machine has never asked whether the image's registry answers
    site.write_text(site.read_text("utf-8").replace('image = "official"', 'image = "auto"'), "utf-8")
    done = yard.verb("demo")
    assert [job["image"]["kind"] for job in json.loads(done.stdout)["jobs"]] == ["official"], done.stderr
