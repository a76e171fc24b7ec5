"""cibuildwheel's configuration: what is inherited, added, replaced and dropped."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
import tomli_w
from cibuildwheel.options import CommandLineArguments, Options
from hypothesis import given, settings
from hypothesis import strategies as st

from wheelyard.builder import cibuildwheel_config
from wheelyard.builder.cibuildwheel_config import Composed, Container, compose, upstream_table
from wheelyard.core.errors import SourceError
from wheelyard.io.engine import Engine
from wheelyard.project.recipe import Settings

CONTAINER = Container(Engine("podman", "/usr/bin/podman"), ("--network=host",), {}, (), Path("constraints.txt"))
SCHEMA = json.loads((resources.files("cibuildwheel") / "resources/cibuildwheel.schema.json").read_text("utf-8"))
VALID = fastjsonschema.compile(SCHEMA, use_default=False)


def make(upstream: dict[str, Any], recipe: dict[str, Any] | None = None, container: Container = CONTAINER) -> Composed:
    composed = compose(upstream, Settings.model_validate(recipe or {}), "localhost/image:1", container)
    VALID(table(composed))  # whatever goes in, cibuildwheel takes what comes out
    assert tomllib.loads(tomli_w.dumps(composed.table)) == composed.table
    return composed


def table(composed: Composed) -> dict[str, Any]:
    result: dict[str, Any] = composed.table["tool"]["cibuildwheel"]
    return result


def last(composed: Composed) -> dict[str, Any]:
    """What is said last: the override that is ours."""
    override: dict[str, Any] = table(composed)["overrides"][-1]
    return override


def test_upstream_options_are_kept() -> None:
    upstream = {"before-build": "make deps", "environment": {"A": "1"}, "linux": {"test-command": "pytest"}}
    composed = make(upstream)
    assert table(composed)["before-build"] == "make deps"
    assert table(composed)["environment"] == {"A": "1"}
    assert table(composed)["linux"] == {"test-command": "pytest"}
    assert composed.dropped == ()


def test_environment_is_added_to_never_erased() -> None:
    composed = make({"environment": {"A": "1"}}, {"build": {"environment": {"B": "2"}}})
    assert table(composed)["environment"] == {"A": "1"}
    assert last(composed)["environment"] == {"B": "2"}
    assert last(composed)["inherit"]["environment"] == "append"


def test_a_recipe_may_say_that_nothing_is_inherited() -> None:
    recipe = {"build": {"cibuildwheel": {"before-all": "true", "inherit": {"before-all": "none"}}}}
    assert last(make({"before-all": "yum install x"}, recipe))["inherit"]["before-all"] == "none"


def test_the_recipes_tests_replace_upstreams() -> None:
    upstream = {"test-command": "tox", "test-requires": ["tox"]}
    composed = make(upstream, {"test": {"command": "pytest {project}/tests", "requires": ["pytest"]}})
    assert last(composed)["test-command"] == "pytest {project}/tests"
    assert last(composed)["test-requires"] == ["pytest"]
    assert "test-requires" not in last(composed).get("inherit", {})


def test_a_recipes_command_leaves_nothing_of_upstreams_tests() -> None:
    upstream = {"test-command": "tox", "test-extras": ["test"], "test-groups": ["dev"], "before-test": "make certs"}
    said = last(make(upstream, {"test": {"command": "pytest"}}))
    assert (said["test-requires"], said["test-extras"], said["test-groups"], said["before-test"]) == ([], [], [], "")
    assert "inherit" not in said


def test_without_a_command_a_recipes_groups_are_added_to_upstreams() -> None:
    upstream = {"test-command": "pytest", "test-groups": ["test"]}
    said = last(make(upstream, {"build": {"cibuildwheel": {"test-groups": ["more"], "before-test": "true"}}}))
    assert said["test-groups"] == ["more"]
    assert said["inherit"] == {"test-groups": "append", "before-test": "append"}


def test_requirements_alone_keep_upstreams_command() -> None:
    said = last(make({"test-command": "pytest", "test-extras": ["test"]}, {"test": {"requires": ["pytest"]}}))
    assert said["test-requires"] == ["pytest"]
    assert "test-command" not in said
    assert "test-extras" not in said


@pytest.mark.parametrize("key", ["build", "skip", "test-skip", "archs", "enable", "manylinux-riscv64-image"])
def test_selectors_are_the_plans_business(key: str) -> None:
    composed = make({key: "cp313-*"})
    assert table(composed).get(key) in {None, "localhost/image:1"}
    assert composed.dropped == ()  # not a fault of upstream's: nothing to warn of


def test_images_and_engines_in_upstreams_overrides_go_too() -> None:
    upstream = {"overrides": [{"select": "*-manylinux*", "manylinux-riscv64-image": "old", "before-all": "x"}]}
    assert table(make(upstream))["overrides"][0] == {"select": "*-manylinux*", "before-all": "x"}


@pytest.mark.parametrize(
    ("upstream", "dropped"),
    [
        ({"enable": "cpython-freethreading"}, ()),  # owned by the plan; an error in 4.x if it stayed
        ({"free-threaded-support": True}, ("free-threaded-support",)),
        ({"linux": {"free-threaded-support": True}}, ("linux.free-threaded-support",)),
        ({"overrides": [{"select": "*", "old-option": 1, "before-all": "x"}]}, ("overrides.0.old-option",)),
        ({"environment": 3}, ("environment",)),
        ({"build-verbosity": "loud", "before-all": 7}, ("before-all", "build-verbosity")),
    ],
)
def test_options_of_other_times_are_dropped_and_named(upstream: dict[str, Any], dropped: tuple[str, ...]) -> None:
    assert tuple(sorted(make(upstream).dropped)) == dropped


# What cibuildwheel 4.3 does on the host: audit.py runs audit-command in a shell and installs audit-requires;
# linux.py evaluates test-environment with bashlex_eval's local executor; util/file.py copies test-sources from the
# project folder joined with whatever they say; options.py takes environment-pass from the host's variables.
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("audit-command", "touch /tmp/owned {wheel}"),
        ("audit-requires", ["evil"]),
        ("environment-pass", ["CI_JOB_TOKEN"]),
        ("test-sources", ["/etc/shadow"]),
        ("test-sources", ["tests/../../../../root"]),
        ("test-sources", "tests '/etc/shadow'"),
        ("test-sources", "tests 'unbalanced"),
        ("test-environment", {"A": "$(touch /tmp/owned)"}),
        ("test-environment", {"A": "`touch /tmp/owned`"}),
        ("test-environment", {"A": "${B:-$(touch /tmp/owned)}"}),
        ("test-environment", {"A": "$\\\n(touch /tmp/owned)"}),
        ("test-environment", {"A=$(touch /tmp/owned) B": "1"}),
        ("test-environment", "A=$(touch /tmp/owned)"),
    ],
)
@pytest.mark.parametrize("place", ["", "linux.", "overrides.0."])
def test_what_would_reach_beyond_the_container_is_dropped_and_named(option: str, value: Any, place: str) -> None:
    wrapped: dict[str, Any] = {
        "": {option: value},
        "linux.": {"linux": {option: value}},
        "overrides.0.": {"overrides": [{"select": "*", option: value, "inherit": {option: "append"}}]},
    }[place]
    composed = make(wrapped)
    assert composed.dropped == (place + option,)
    levels = (table(composed), table(composed).get("linux", {}), *table(composed)["overrides"])
    assert [level[option] for level in levels if level.get(option)] == []


def test_cibuildwheel_itself_reads_nothing_hostile_out_of_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is what cibuildwheel makes of the file: its own reader, with a secret in the environment."""
    hostile: dict[str, Any] = {
        "audit-command": "touch owned {wheel}",
        "environment-pass": ["MY_SECRET"],
        "container-engine": {"name": "docker", "create-args": ["--volume=/:/host"]},
        "manylinux-riscv64-image": "evil",
        "dependency-versions": {"file": "/etc/passwd"},
        "build-frontend": "pip",
    }
    upstream = {
        **hostile,
        "linux": {**hostile, "test-environment": {"A": "$(touch owned)"}, "test-sources": ["/etc"]},
        "overrides": [{"select": "*", **hostile, "test-environment": "A=`touch owned`"}],
    }
    constraints = tmp_path / "constraints.txt"
    constraints.touch()
    composed = make(upstream, {}, replace(CONTAINER, constraints=constraints))
    (tmp_path / "c.toml").write_text(tomli_w.dumps(composed.table))
    monkeypatch.chdir(tmp_path)
    arguments = CommandLineArguments.defaults()
    arguments.config_file, arguments.package_dir = str(tmp_path / "c.toml"), tmp_path
    read = Options(platform="linux", command_line_arguments=arguments, env={"MY_SECRET": "hunter2"})
    options = read.build_options("cp313-manylinux_riscv64")
    assert (options.audit_command, options.audit_requires, options.test_sources) == ([], [], [])
    assert options.test_environment.as_dictionary({}) == {}
    assert "hunter2" not in str(options.environment)
    engine = options.container_engine
    assert (engine.name, engine.create_args, engine.disable_host_mount) == ("podman", ("--network=host",), True)
    assert (options.manylinux_images or {})["riscv64"] == "localhost/image:1"
    assert options.build_frontend.name == "build[uv]"
    assert options.dependency_constraints.base_file_path == constraints
    assert not (tmp_path / "owned").exists()


def test_no_audit_runs_on_the_host() -> None:
    said = table(make({"test-command": "pytest"}))
    assert (said["audit-command"], said["audit-requires"]) == ("", [])


def test_harmless_values_of_the_same_options_stay() -> None:
    upstream = {"test-sources": ["tests", "a b"], "test-environment": {"A": "$HOME/x", "B": "${PATH}"}}
    composed = make(upstream)
    assert composed.dropped == ()
    assert {key: table(composed)[key] for key in upstream} == upstream


def test_an_option_that_nobody_looked_at_stays_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later cibuildwheel may run more on the host: what its schema allows is not what we take."""
    newer = json.loads(json.dumps(SCHEMA))
    newer["properties"]["host-hook"] = {"type": "string"}
    monkeypatch.setattr(cibuildwheel_config, "_validator", lambda: fastjsonschema.compile(newer, use_default=False))
    assert make({"host-hook": "touch /tmp/owned"}).dropped == ("host-hook",)


def test_other_platforms_are_left_out_silently() -> None:
    composed = make({"macos": {"archs": ["arm64"], "nonsense": 1}, "windows": {"skip": "*"}})
    assert not {"macos", "windows"} & table(composed).keys()
    assert composed.dropped == ()


def test_an_override_with_nothing_left_to_say_goes_without_a_warning() -> None:
    composed = make({"overrides": [{"select": "*-musllinux_ppc64le", "build-frontend": "build"}]})
    assert composed.dropped == ()
    assert table(composed)["overrides"] == []


def test_upstream_can_be_left_aside() -> None:
    composed = make({"before-all": "exit 1", "nonsense": True}, {"build": {"upstream": False}})
    assert "before-all" not in table(composed)
    assert composed.dropped == ()


def test_the_host_is_not_mounted() -> None:
    assert table(make({}))["container-engine"] == {
        "name": "podman",
        "create-args": ["--network=host"],
        "disable-host-mount": True,
    }


keys = st.sampled_from([*SCHEMA["properties"], "nonsense", "linux", "overrides"])
values = st.recursive(
    st.one_of(st.booleans(), st.integers(-5, 5), st.text("abc*{}-", max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=6,
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(keys, values, max_size=4))
def test_whatever_upstream_wrote_the_result_is_valid(upstream: dict[str, Any]) -> None:
    make(upstream, {"test": {"command": "true"}})


def test_upstreams_table_is_read_from_its_pyproject(tmp_path: Path) -> None:
    assert upstream_table(tmp_path) == {}
    (tmp_path / "pyproject.toml").write_text('[tool.cibuildwheel]\nbefore-all = "x"\n')
    assert upstream_table(tmp_path) == {"before-all": "x"}


def test_a_broken_pyproject_is_upstreams_fault_and_said_so(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool")
    with pytest.raises(SourceError, match="cannot be read"):
        upstream_table(tmp_path)
