"""``audit``: the real command over records, a database on the loopback that speaks OSV's API, and both forges."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.forges import GitLabPlace, github_place, gitlab_place
from support.osv import OSV
from support.pages import ROOT, commands
from support.project import PYPROJECT, make_project
from wheelyard.core.errors import NetworkError
from wheelyard.records.releases import RELEASES, ReleasedFile, record
from wheelyard.security import osv as client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.forges import Place


class Scene:
    """A project that has published packages, and who knows what is wrong with them."""

    def __init__(self, root: Path, osv: OSV) -> None:
        self.root, self.osv = root, osv
        self.env: dict[str, str] = {"WHEELYARD_OSV": osv.url}
        root.mkdir(exist_ok=True)
        self.policy("")
        for version in ("1.0", "1.1", "2.0+cpu"):
            self.publish("demo", version)
        self.publish("other", "3.0")

    def policy(self, more: str) -> None:
        make_project(self.root, pyproject=f"{PYPROJECT}\n{more}\n")

    def publish(self, name: str, version: str, *, where: str = "gitlab", yanked: str | None = None) -> None:
        file = f"{name}-{version}-cp313-cp313-manylinux_2_39_riscv64.whl"
        entry = {"file": file, "where": where, "sha256": "1" * 64, "size": 1, "tags": ("x",), "yanked": yanked}
        record(RELEASES.path(self.root / "packages", name), [ReleasedFile.model_validate(entry)])

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.shell([sys.executable, "-m", "wheelyard", "audit", *words])

    def shell(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "GITLAB_", "NOX"))}
        return subprocess.run(
            command, cwd=self.root, env=kept | self.env, capture_output=True, text=True, check=False, timeout=120
        )

    def report(self, *words: str, code: int) -> dict[str, Any]:
        done = self.run("--json", *words)
        assert done.returncode == code, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told


@pytest.fixture
def osv() -> Iterator[OSV]:
    with OSV() as served:
        yield served


@pytest.fixture
def scene(tmp_path: Path, osv: OSV) -> Scene:
    return Scene(tmp_path / "site", osv)


def shown(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["package"], each["version"], each["id"]) for each in report["vulnerabilities"]]


def test_nothing_is_known(scene: Scene) -> None:
    done = scene.run()
    assert done.returncode == 0, done.stderr
    assert "4 published versions of 2 packages\nno vulnerability of them is known" in done.stdout
    assert scene.osv.asked == ["/v1/querybatch"]


def test_each_version_by_itself_and_what_has_several_names_once(scene: Scene) -> None:
    scene.osv.add(
        "GHSA-aaaa-bbbb-cccc", "demo", ("1.0", "1.1"), fixed=("1.1.1", "0.9.9", "2.0"), aliases=("CVE-2026-1",)
    )
    scene.osv.add("PYSEC-2026-7", "demo", ("1.0",), aliases=("CVE-2026-1",), summary="")
    scene.osv.add("PYSEC-2026-8", "demo", ("1.0",), aliases=("GHSA-zzzz-zzzz-zzzz",), withdrawn="2026-01-02T00:00:00Z")
    scene.osv.add("PYSEC-2026-9", "demo", ("2.0",))
    report = scene.report(code=67)
    assert shown(report) == [
        ("demo", "2.0", "PYSEC-2026-9"),
        ("demo", "1.1", "CVE-2026-1"),
        ("demo", "1.0", "CVE-2026-1"),
    ]
    first = report["vulnerabilities"][2]
    assert first["aliases"] == ["GHSA-aaaa-bbbb-cccc", "PYSEC-2026-7"]
    assert first["fixed"] == ["1.1.1", "2.0"], "what is older than the version fixes nothing"
    assert first["url"] == "https://osv.dev/vulnerability/GHSA-aaaa-bbbb-cccc"
    assert first["summary"] == "it is bad"
    read = [path for path in scene.osv.asked if path.startswith("/v1/vulns/")]
    assert len(read) == len(set(read)) == 4, "each is read once, however many versions have it"
    table = scene.run("demo")
    assert table.returncode == 67
    assert re.search(r"demo +1\.0 +CVE-2026-1 +1\.1\.1, 2\.0 +it is bad", table.stdout)


def test_names_that_meet_in_a_third_are_one(osv: OSV) -> None:
    osv.add("A-1", "demo", ("1.0",), aliases=("X-1",))
    osv.add("B-1", "demo", ("1.0",), aliases=("Y-1",))
    osv.add("C-1", "demo", ("1.0",), aliases=("X-1", "Y-1"))
    osv.add("D-1", "demo", ("1.0",))
    found = client.vulnerabilities(osv.url, [("demo", "1.0")])["demo", "1.0"]
    assert [(each.id, each.aliases) for each in found] == [("A-1", ("B-1", "C-1", "X-1", "Y-1")), ("D-1", ())]


def test_pages_and_batches(osv: OSV) -> None:
    osv.page = 2
    for number in range(5):
        osv.add(f"A-{number}", "demo", ("1.0",))
    osv.add("B-1", "demo", ("1.1",))
    subjects = [("demo", "1.0"), ("demo", "1.1"), *(("demo", f"2.{number}") for number in range(1500))]
    found = client.vulnerabilities(osv.url, subjects)
    assert len(found["demo", "1.0"]) == 5
    assert len(found["demo", "1.1"]) == 1
    assert osv.batches == [1000, 1, 1, 502], "only who has more is asked again"


def test_what_only_other_packages_fix_is_not_told(osv: OSV) -> None:
    osv.add("A-1", "demo", ("1.0",), fixed=("2.0", "not a version"))
    affected = osv.advisories["A-1"]["affected"]
    affected.append({"package": {"ecosystem": "PyPI", "name": "fork"}, "ranges": [{"events": [{"fixed": "9.0"}]}]})
    affected.append({"package": {"ecosystem": "Debian", "name": "demo"}, "ranges": [{"events": [{"fixed": "8.0"}]}]})
    affected[0]["ranges"].append({"type": "GIT", "events": [{"fixed": "7"}]})
    (found,) = client.vulnerabilities(osv.url, [("demo", "1.0")])["demo", "1.0"]
    assert [str(each) for each in found.fixed] == ["2.0"]


@pytest.mark.parametrize(
    "answer",
    [
        {"results": []},
        {"vulns": []},
        [],
        {"results": [{"vulns": [{"id": "../../v1/other"}]}]},
        {"results": [{"vulns": [{}]}]},
        {"results": [None]},
        {"results": ["x"]},
        {"results": [[]]},
        {"results": [{"vulns": 5}]},
        {"results": [{"vulns": {"id": "A-1"}}]},
        {"results": [{"vulns": ["A-1"]}]},
        {"results": [{"vulns": [{"id": f"A-{number}"} for number in range(5001)]}]},
        {"results": [{"vulns": [{"id": "A-1"}], "next_page_token": "again"}]},
    ],
)
def test_what_is_no_answer_of_osv_passes_for_none(osv: OSV, answer: object) -> None:
    osv.answer = answer or ["x"]
    with pytest.raises(NetworkError, match="does not answer as OSV does"):
        client.vulnerabilities(osv.url, [("demo", "1.0")])


OF_DEMO = {"ecosystem": "PyPI", "name": "demo"}


@pytest.mark.parametrize(
    "lie",
    [
        {"summary": {"a": [1]}},
        {"summary": "\ud800 \x1b[31m\n::error::x \u202e" + "x" * 100_000},
        {"aliases": "CVE-2026-1"},
        {"aliases": [1, None, {"id": "X"}, "../../x", "X" * 5000]},
        {"affected": {"package": 1}},
        {"affected": [1, {"package": "demo"}, {"package": {"ecosystem": "PyPI", "name": 5}}]},
        {
            "affected": [
                {"package": {"ecosystem": "PyPI", "name": "demo"}, "ranges": [{"events": [{"fixed": "9" * 5000}]}]}
            ]
        },
        {"affected": [{"package": OF_DEMO, "ranges": [{"events": [{"fixed": 9}, 8]}]}]},
        {"affected": [{"package": OF_DEMO, "ranges": {"events": []}}]},
        {"withdrawn": []},
    ],
)
def test_an_advisory_of_other_types_is_told_all_the_same(osv: OSV, lie: dict[str, Any]) -> None:
    osv.add("A-1", "demo", ("1.0",))
    osv.advisories["A-1"] |= lie
    (found,) = client.vulnerabilities(osv.url, [("demo", "1.0")])["demo", "1.0"]
    assert (found.id, found.fixed, found.url) == ("A-1", (), "https://osv.dev/vulnerability/A-1")
    assert found.summary.isprintable()
    assert len(found.summary) <= 200
    assert found.aliases == ()


def test_a_server_that_is_broken_for_a_moment_is_asked_again(osv: OSV, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wheelyard.io.retry._PAUSE", 0.01)
    osv.add("A-1", "demo", ("1.0",))
    osv.broken = [503, 429, 503]
    assert len(client.vulnerabilities(osv.url, [("demo", "1.0")])["demo", "1.0"]) == 1
    osv.broken = [400]
    with pytest.raises(NetworkError, match="answers 400"):
        client.vulnerabilities(osv.url, [("demo", "1.0")])


def test_nothing_is_well_when_nobody_answers(scene: Scene) -> None:
    scene.env["WHEELYARD_OSV"] = "http://127.0.0.1:9"
    assert scene.run().returncode == 70
    scene.env["WHEELYARD_OSV"] = "gopher://x"
    assert scene.run().returncode == 4


def test_what_is_yanked_does_not_count(scene: Scene) -> None:
    scene.osv.add("A-1", "other", ("3.0",))
    scene.publish("other", "3.0", yanked="unsafe")
    assert shown(scene.report(code=0)) == []
    scene.publish("other", "3.0", where="front")
    assert scene.report(code=67)["vulnerabilities"][0]["registries"] == ["front"]


def test_a_package_that_is_not_published(scene: Scene) -> None:
    done = scene.run("dmo")
    assert done.returncode == 11
    assert "did you mean 'demo'?" in done.stderr


IGNORE = """
[[tool.wheelyard.audit.ignore]]
id = "{id}"
reason = "the module is not built here"
until = {until}
packages = {packages}
"""


def test_what_was_judged_harmless_counts_again_one_day(scene: Scene) -> None:
    scene.osv.add("GHSA-aaaa-bbbb-cccc", "demo", ("1.0",), aliases=("CVE-2026-1",))
    scene.policy(IGNORE.format(id="CVE-2026-1", until="2999-01-01", packages=["Demo"]))
    report = scene.report(code=0)
    assert report["vulnerabilities"][0]["ignored"]["reason"] == "the module is not built here"
    assert "ignored until 2999-01-01" in scene.run().stdout
    scene.policy(IGNORE.format(id="CVE-2026-1", until="2999-01-01", packages=["other"]))
    scene.report(code=67)
    scene.policy(IGNORE.format(id="CVE-2026-1", until="2020-01-01", packages=[]))
    assert scene.report(code=67)["expired"] == ["CVE-2026-1"]
    scene.policy(IGNORE.format(id="CVE-2026-99", until="2999-01-01", packages=[]))
    assert scene.report(code=67)["expired"] == ["CVE-2026-99"], "nothing that is published has it"


# -------------------------------------------------------------------- issues


@pytest.fixture(params=["gitlab", "github"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = gitlab_place(tmp_path) if request.param == "gitlab" else github_place(tmp_path, monkeypatch)
    with made as served:
        yield served


def settle(scene: Scene, place: Place) -> None:
    given = place.policy.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    table = "\n".join(f"{key} = {json.dumps(value)}" for key, value in given.items())
    scene.policy(f"[tool.wheelyard.change-requests]\n{table}")
    scene.env |= {"T": place.token, "WHEELYARD_CACHE": str(scene.root / "cache"), "HOME": str(scene.root / "home")}
    if "REQUESTS_CA_BUNDLE" in os.environ:
        scene.env["REQUESTS_CA_BUNDLE"] = os.environ["REQUESTS_CA_BUNDLE"]


def issues(place: Any) -> list[tuple[str, str, str]]:
    if isinstance(place, GitLabPlace):
        kept = place.project.issues.values()
        return [(each.state.replace("opened", "open"), each.title, each.description) for each in kept]
    return [(each.state, each.title, each.body) for each in place.github.repository.issues.values()]


def test_one_issue_for_each_package_kept_and_closed(scene: Scene, place: Place) -> None:
    settle(scene, place)
    scene.osv.add("CVE-2026-1", "demo", ("1.0", "1.1"), fixed=("2.0",), summary="a | b @admin <!-- [x](http://evil) `")
    scene.osv.add("CVE-2026-2", "other", ("3.0",))
    assert [each["action"] for each in scene.report("--issues", "--dry-run", code=67)["issues"]] == ["open", "open"]
    assert place.writes() == 0
    assert [each["action"] for each in scene.report("--issues", code=67)["issues"]] == ["open", "open"]
    (state, title, body), _ = issues(place)
    assert (state, title) == ("open", "demo: 1 known vulnerability in published versions")
    assert "| 1.1, 1.0 | 2.0 | a \\| b &#64;admin &lt;!-- &#91;x](http://evil) &#96; |" in body
    written = place.writes()
    assert [each["action"] for each in scene.report("--issues", code=67)["issues"]] == ["keep", "keep"]
    assert place.writes() == written
    scene.osv.affected["demo", "2.0"] = ["CVE-2026-1"]
    del scene.osv.affected["other", "3.0"]
    told = {each["package"]: each["action"] for each in scene.report("--issues", code=67)["issues"]}
    assert told == {"demo": "update", "other": "close"}
    scene.osv.affected.clear()
    done = scene.run("--issues")
    assert (done.returncode, [state for state, *_ in issues(place)]) == (0, ["closed", "closed"])
    assert "no issue is open, and none is needed" in scene.run("--issues").stdout
    assert len(issues(place)) == 2


def test_an_issue_is_cut_to_what_the_forge_takes_and_kept_all_the_same(scene: Scene, place: Place) -> None:
    settle(scene, place)
    for number in range(300):
        scene.osv.add(f"CVE-2026-{number}", "demo", ("1.0",), summary="x" * 199)
    assert [each["action"] for each in scene.report("--issues", code=67)["issues"]] == ["open"]
    assert [each["action"] for each in scene.report("--issues", code=67)["issues"]] == ["keep"]
    ((_, title, body),) = issues(place)
    assert "300 known" in title
    assert ("cut: the rest is too long" in body) == (not isinstance(place, GitLabPlace))
    scene.osv.affected.clear()
    assert scene.run("--issues").returncode == 0
    assert [state for state, *_ in issues(place)] == ["closed"]


def test_without_a_place_for_issues_what_is_known_is_told_all_the_same(scene: Scene) -> None:
    scene.osv.add("CVE-2026-1", "demo", ("1.0",))
    done = scene.run("--issues")
    assert done.returncode == 4  # a pipeline passes over 67, which an issue tells of
    assert "CVE-2026-1" in done.stdout
    assert "1 published version(s) are vulnerable" in done.stderr
    assert "[tool.wheelyard.change-requests]" in done.stderr


# ---------------------------------------------------------------------- page


def test_the_commands_of_the_page(scene: Scene, tmp_path: Path) -> None:
    scene.osv.add("CVE-2026-1", "demo", ("1.0",))
    with gitlab_place(tmp_path) as place:
        settle(scene, place)
        shutil.copy(ROOT / "noxfile.py", scene.root)
        scene.env["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        texts = [command.text for command in commands("docs/how-to/audit.md")]
        assert len(texts) >= 4
        for text in texts:
            done = scene.shell(["bash", "-euc", text])
            assert "CVE-2026-1" in done.stdout, done.stderr
