from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.project import PYPROJECT, make_project
from wheelyard.core.errors import RecipeError, UnknownPackageError
from wheelyard.project import loader
from wheelyard.project.inheritance import Explained
from wheelyard.project.loader import effective, list_recipes, load_recipe, makers, project_name
from wheelyard.project.validation import cibuildwheel_options

if TYPE_CHECKING:
    from pathlib import Path

PATCH = '[[patch]]\nfile = "{file}"\nwhy = "needed"\nstatus = "To upstream [soon]"\n'
STATUSES = "'Issue [url]', 'Submitted [url]', 'Backport [url]', 'To upstream [comment]', 'Inappropriate [reason]'"
BY_SITE = "is not for recipes: the site decides it ([tool.wheelyard] image, or --image)"


def mistakes(root: Path, text: str, **others: str) -> list[str]:
    """What is said of a recipe, a line each, without the file's name where it is the recipe's own."""
    files = {"demo/recipe.toml": text, **{name.replace("__", "/"): content for name, content in others.items()}}
    with pytest.raises(RecipeError) as caught:
        load_recipe(make_project(root, files), "demo")
    error = caught.value
    lines = list(error.details) or [f"{error.where}: {error.what}"]
    return [line.removeprefix("recipes/demo/recipe.toml:") for line in lines]


def test_the_empty_file_is_a_recipe(tmp_path: Path) -> None:
    recipe = load_recipe(make_project(tmp_path, {"demo/recipe.toml": ""}), "Demo")
    settings, explanation = effective(recipe, "1.0")
    assert recipe.package == "demo"
    assert settings.build.timeout == 3 * 3600
    assert explanation["build.timeout"] == Explained(10800, "pyproject.toml:6")
    assert explanation["build.network"] == Explained(value=True, where="built-in default")
    assert {"source.tag", "test.command", "upstream.note"} <= set(explanation)


def test_layers_from_the_site_to_the_version(tmp_path: Path) -> None:
    project = make_project(
        tmp_path,
        {
            "_shared/rust.toml": 'build.extras = ["rust"]\n[build.environment]\nRUST = "1"\nSHARED = "rust"\n',
            "_shared/openssl.toml": '[build.environment]\nSHARED = "openssl"\n',
            "demo/recipe.toml": """\
[build]
uses = ["rust", "openssl"]
timeout = "45min"
environment.OWN = "1"

[[version]]
match = "<2"
build.timeout = "1h"
test.command = "old"

[[version]]
match = ">=1.5,<2"
[version.build.environment]
OWN = "2"
""",
        },
    )
    recipe = load_recipe(project, "demo")
    new, _ = effective(recipe, "2.0")
    old, explanation = effective(recipe, "1.9rc1")
    assert new.build.environment == {"RUST": "1", "SHARED": "openssl", "OWN": "1"}
    assert (new.build.timeout, new.test.command) == (2700, None)
    assert (old.build.timeout, old.test.command, old.build.environment["OWN"]) == (3600, "old", "2")
    shown = {key: explanation[key].where for key in explanation if not explanation[key].where.startswith("built-in")}
    assert shown == {
        "build.uses": "recipes/demo/recipe.toml:2",
        "build.extras": "recipes/_shared/rust.toml:1",
        "build.timeout": "recipes/demo/recipe.toml:8",
        "build.environment.RUST": "recipes/_shared/rust.toml:3",
        "build.environment.SHARED": "recipes/_shared/openssl.toml:2",
        "build.environment.OWN": "recipes/demo/recipe.toml:14",
        "test.command": "recipes/demo/recipe.toml:9",
    }


def test_a_patch_is_explained_by_the_line_that_names_it(tmp_path: Path) -> None:
    text = '\n[[patch]]\nfile = "a.patch"\nwhy = "needed"\nstatus = "Inappropriate [ours]"\n'
    recipe = load_recipe(make_project(tmp_path, {"demo/recipe.toml": text, "demo/a.patch": ""}), "demo")
    _, explanation = effective(recipe, "1.0")
    assert explanation["patch[0]"].where == "recipes/demo/recipe.toml:2"


def test_a_recipe_runs_nothing_on_this_machine_by_the_way_of_cibuildwheel(tmp_path: Path) -> None:
    """cibuildwheel 4.3: platforms/linux.py evaluates test-environment outside the container, audit.py runs there."""
    text = """\
[test]
environment = { JOBS = "$(nproc)" }

[build.cibuildwheel]
audit-command = "true {wheel}"
test-environment = { JOBS = "`nproc`" }
"""
    found = mistakes(tmp_path, text)
    assert [line.partition(":")[0] for line in found] == ["2", "5", "6"]
    assert "on this machine" in found[0]


def test_mistakes_in_options_of_cibuildwheel_are_among_them(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path, '[build]\ntimeout = "3 days"\ncibuildwheel.before-al = "x"\ncibuildwheel.archs = "all"\n'
    )
    assert [line.partition(":")[0] for line in found] == ["2", "3", "4"]


def test_every_mistake_of_a_bad_recipe_at_once(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """\
requires = ["pytest"]

[source]
gitt = "https://example.org/x"
tag = "{version}{branch}"

[build]
timeout = "3 days"
network = "yes"
uses = "rust"
needs = ["Py YAML"]
frontend = "buld"
environment = { A = 1 }

[test]
requires = "pytest"
skip = ["cp313", "py3"]

[[patch]]
file = "../x.patch"
why = "because"
status = "Pending"

[[patch]]
file = "y.patch"

[[version]]
match = "newer than 2"
build.timeot = "1h"

[[version]]
build.timeout = true
""",
    )
    assert found == [
        "1: unknown key 'requires' here; it belongs into [test]",
        "4: unknown key 'gitt' (did you mean 'git'?)",
        "5: source.tag: must contain a placeholder, and none but epoch, major, micro, minor, post, pre, version",
        "8: build.timeout: must be a duration such as '90s', '45min' or '3h', or a number of seconds",
        "9: build.network: must be true or false, not a string",
        "10: build.uses: must be a list, not a string",
        "11: build.needs[0]: 'Py YAML' is not a package name",
        "12: build.frontend: must be 'build', 'build[uv]', 'pip' or 'uv' (did you mean 'build'?)",
        "13: build.environment.A: must be a string, not a number",
        "16: test.requires: must be a list, not a string",
        "17: test.skip[1]: 'py3' is not an interpreter such as cp313 or cp314t",
        "20: patch[0].file: must be a relative path with '/' and without '..'",
        f"22: patch[0].status: must be one of {STATUSES}",
        "24: patch[1] needs 'status'",
        "24: patch[1] needs 'why'",
        "28: version[0].match: must be a version specifier such as '>=2.0,<3' (PEP 440)",
        "29: unknown key 'timeot' (did you mean 'timeout'?)",
        "31: version[1] needs 'match'",
        "32: version[1].build.timeout: must be a duration such as '90s', '45min' or '3h', or a number of seconds",
    ]


def test_one_mistake_is_said_in_one_line_with_a_fix(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(make_project(tmp_path, {"demo/recipe.toml": "\n[tests]\n"}), "demo")
    assert str(caught.value) == (
        "recipes/demo/recipe.toml:2: unknown key 'tests' (did you mean 'test'?)\n"
        "  fix: see docs/reference/recipe.md for every key"
    )


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[build]\ntimeout = \n", 2, "is not valid TOML: Invalid value"),
        ('a = """\n', 2, "is not valid TOML: Unterminated string"),
        ("a = 1\na = 2\n", 2, "is not valid TOML: Cannot overwrite a value"),
    ],
)
def test_broken_toml_names_the_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    assert mistakes(tmp_path, text)[0].startswith(f"{line}: {said}")


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    project = make_project(tmp_path, {"demo/recipe.toml": ""})
    (project.recipes / "demo" / "recipe.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(RecipeError, match=r"recipe\.toml:1: is not UTF-8 text \(byte 5\)"):
        load_recipe(project, "demo")


def test_mistakes_of_each_file_bear_its_name(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        'build.uses = ["rust", "opensl"]\nbuild.timeout = 0\n',
        **{"_shared__rust.toml": '[build]\nuses = ["x"]\n[test]\ncomand = "x"\n', "_shared__openssl.toml": ""},
    )
    assert found == [
        "recipes/_shared/rust.toml:2: only a recipe's own [build] may use fragments",
        "recipes/_shared/rust.toml:4: unknown key 'comand' (did you mean 'command'?)",
        "1: there is no fragment 'opensl' in recipes/_shared (did you mean 'openssl'?)",
        "2: build.timeout: input should be greater than 0",
    ]


def test_a_mistake_in_the_sites_defaults_names_pyproject(tmp_path: Path) -> None:
    pyproject = PYPROJECT + "netwerk = true\n"
    project = make_project(tmp_path, {"demo/recipe.toml": ""}, pyproject=pyproject)
    with pytest.raises(RecipeError, match=r"pyproject\.toml:7: unknown key 'netwerk' \(did you mean 'network'\?\)"):
        load_recipe(project, "demo")


def test_files_a_recipe_names_must_be_there(tmp_path: Path) -> None:
    text = '[sdist]\nrun = "sdist.sh"\n' + PATCH.format(file="fix-a.patch") + PATCH.format(file="b.patch")
    found = mistakes(tmp_path, text, **{"demo__fix_a.patch": "", "demo__b.patch": ""})
    assert found == [
        "1: no [[patch]] names 'fix_a.patch', which is beside the recipe",
        "2: sdist.run: 'sdist.sh' does not exist in the recipe's folder",
        "4: the patch 'fix-a.patch' does not exist in the recipe's folder (did you mean 'fix_a.patch'?)",
    ]


def test_a_patch_named_twice(tmp_path: Path) -> None:
    text = PATCH.format(file="a.patch") + PATCH.format(file="a.patch") + '[[version]]\nmatch = ">1"\n'
    text += PATCH.format(file="a.patch").replace("[[patch]]", "[[version.patch]]")
    found = mistakes(tmp_path, text, **{"demo__a.patch": ""})
    assert [line.partition(":")[0] for line in found] == ["6", "12", "12"]
    assert found[0] == "6: the patch 'a.patch' is there already, at recipes/demo/recipe.toml:2"


def test_a_patch_may_be_named_by_two_overrides_or_for_two_ranges(tmp_path: Path) -> None:
    one = PATCH.format(file="a.patch")
    text = one + 'versions = "<1"\n' + one + 'versions = ">2"\n'
    for bound in ("<3", ">5"):
        text += f'[[version]]\nmatch = "{bound}"\n' + PATCH.format(file="b.patch").replace(
            "[[patch]]", "[[version.patch]]"
        )
    files = {"demo/recipe.toml": text, "demo/a.patch": "", "demo/b.patch": ""}
    recipe = load_recipe(make_project(tmp_path, files), "demo")
    assert [patch.file for patch in effective(recipe, "6")[0].patch] == ["a.patch", "a.patch", "b.patch"]


def test_links_are_refused(tmp_path: Path) -> None:
    files = {"demo/recipe.toml": PATCH.format(file="a.patch"), "real/recipe.toml": ""}
    project = make_project(tmp_path, files)
    (tmp_path / "elsewhere").write_text("secret")
    (project.recipes / "demo" / "a.patch").symlink_to(tmp_path / "elsewhere")
    (project.recipes / "link").symlink_to(project.recipes / "real")
    with pytest.raises(RecipeError, match="symbolic link"):
        load_recipe(project, "demo")
    with pytest.raises(RecipeError, match="symbolic link"):
        load_recipe(project, "link")
    assert list_recipes(project) == ("demo", "real")


@pytest.mark.parametrize("name", ["../demo", "demo/../demo", "", "a b", "/etc"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownPackageError, match="is not a package name"):
        load_recipe(make_project(tmp_path, {"demo/recipe.toml": ""}), name)


def test_an_unknown_package_suggests_another_and_says_how_to_begin(tmp_path: Path) -> None:
    project = make_project(tmp_path, {"markupsafe/recipe.toml": "", "psutil/recipe.toml": "", "no-recipe/notes.md": ""})
    with pytest.raises(UnknownPackageError) as caught:
        load_recipe(project, "markup-safe")
    assert "(did you mean 'markupsafe'?)" in caught.value.what
    assert caught.value.fix is not None
    assert "mkdir -p recipes/markup-safe && touch recipes/markup-safe/recipe.toml" in caught.value.fix
    assert list_recipes(project) == ("markupsafe", "psutil")


def test_a_folder_under_another_spelling_says_how_to_rename_it(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(make_project(tmp_path, {"PyYAML/recipe.toml": ""}), "pyyaml")
    assert caught.value.fix == "git mv recipes/PyYAML recipes/pyyaml"


def test_options_of_cibuildwheel_are_checked_against_its_own_schema(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """\
[build.cibuildwheel]
before-al = "true"
build = "cp313-*"
test-skip = "*"
manylinux-x86_64-image = "x"
config-settings = { a = "b" }
environment = "A=1"
inherit.before-all = "before"
inherit.befor-build = "append"
[[build.cibuildwheel.overrides]]
select = "*"
""",
    )
    assert found == [
        "2: cibuildwheel has no option 'before-al' here (did you mean 'before-all'?)",
        "3: cibuildwheel's 'build' is not for recipes: set it in [interpreters] only",
        "4: cibuildwheel's 'test-skip' is not for recipes: set it in [test] skip",
        f"5: cibuildwheel's 'manylinux-x86_64-image' {BY_SITE}",
        "7: build.cibuildwheel.environment: must be a table of strings",
        "8: build.cibuildwheel.inherit.before-all: must be 'none', 'append' or 'prepend'",
        "9: cibuildwheel has no option 'befor-build' to inherit (did you mean 'before-build'?)",
        "10: cibuildwheel's 'overrides' is not for recipes: set it by version, in [[version]]",
    ]


def test_what_tests_run_is_said_in_one_place(tmp_path: Path) -> None:
    text = '[build.cibuildwheel]\ntest-command = "a"\ntest-requires = ["x"]\n[test]\ncommand = "b"\n'
    assert mistakes(tmp_path, text) == [
        "2: cibuildwheel's 'test-command' is also set in [test] command: set it there only"
    ]


def test_the_schema_that_options_are_checked_against_is_there() -> None:
    # cibuildwheel 4: resources/cibuildwheel.schema.json, the options of an override.
    assert {"before-all", "before-build", "config-settings", "environment", "inherit"} <= cibuildwheel_options()


def test_layers_that_contradict_each_other_only_together(tmp_path: Path) -> None:
    text = '[source]\ngit = "https://example.org/x"\n[[version]]\nmatch = ">1"\nsource.path = "here"\n'
    assert mistakes(tmp_path, text) == ["5: source: 'git' and 'path' exclude each other"]


def test_overrides_that_contradict_each_other_are_found_for_the_version(tmp_path: Path) -> None:
    text = '[[version]]\nmatch = ">1"\nsource.git = "https://example.org/x"\n'
    text += '[[version]]\nmatch = "<3"\nsource.path = "x"\n'
    recipe = load_recipe(make_project(tmp_path, {"demo/recipe.toml": text}), "demo")
    effective(recipe, "1")
    with pytest.raises(RecipeError, match=r"recipe\.toml:6: source: 'git' and 'path' exclude each other"):
        effective(recipe, "2")


def test_the_digest_follows_what_decides_the_wheel(tmp_path: Path) -> None:
    text = PATCH.format(file="a.patch") + 'versions = "<2"\n'
    files = {"demo/recipe.toml": text, "demo/a.patch": "one"}

    def digest(version: str, **changed: str) -> str:
        project = make_project(tmp_path, files | {name.replace("__", "/"): text for name, text in changed.items()})
        recipe = load_recipe(project, "demo")
        return loader.digest(recipe, effective(recipe, version)[0], version)

    old, new = digest("1"), digest("2")
    assert digest("1", **{"demo__recipe.toml": "# a comment\n" + text}) == old
    assert digest("1", **{"demo__recipe.toml": text + '[upstream]\nnote = "hello"\n'}) == old
    assert digest("1", **{"demo__recipe.toml": text + '[test]\ncommand = "true"\n'}) != old
    assert digest("1", **{"demo__a.patch": "two"}) != old
    assert digest("2", **{"demo__a.patch": "two"}) == new


def test_wheels_may_have_another_name_than_their_recipe(tmp_path: Path) -> None:
    recipes = {"a/recipe.toml": "", "b/recipe.toml": '[source]\nname = "Other.One"\n', "_shared/x.toml": ""}
    project = make_project(tmp_path, recipes | {"c/recipe.toml": '[source]\nname = "a"\n'})
    assert makers(project) == {"a": ("a", "c"), "other-one": ("b",)}
    assert [project_name(project, name) for name in ("a", "b", "c", "nobody", "_shared")] == [
        "a",
        "other-one",
        "a",
        "nobody",
        "_shared",
    ]
