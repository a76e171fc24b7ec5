"""The pages' commands, taken from the pages and run in their order: a fresh copy, an empty home, nothing on PATH.

A command that nobody has said how to try fails here. What a whole session of nox is (tests, lint and the like) is not
run inside of itself; `tests/unit/cli/test_docs.py` sees that it exists and takes what is written behind it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from support.pages import PAGES, ROOT, Snippet, commands
from wheelyard.io import engine

# How each command is tried; the first pattern that matches the whole of it counts.
HOW = (
    (r"ci/bootstrap nox -s (tests|unit|lint|hooks|docs|docs-site|release|pins|bench)( -- .*)?", "a session of its own"),
    (
        r"wheelyard image (build|remove) .*",
        "in tests/e2e/images/test_image_variants.py",
    ),  # others use this machine's images
    (r"source \.venv/bin/activate", "activate"),
    (r"(ci/bootstrap )?(nox -s|nox -l|wheelyard) ?.*|mkdir .*|touch .*", "here"),
    (r"(python3 -m pip|ldd|pip install|uv pip install) .*", "board"),
)
COMMANDS = [command for page in PAGES for command in commands(page)]
SITE_PACKAGES = "/root/venv/lib/python3.13/site-packages"


def how(command: Snippet) -> str:
    ways = [way for pattern, way in HOW if re.fullmatch(pattern, command.text)]
    assert ways, f"{command}: nobody has said how to try {command.text!r}; add it to HOW"
    return ways[0]


class Tried(NamedTuple):
    code: int
    output: str


class Newcomer:
    """Somebody with a copy of the project and an empty home, who types what the pages say."""

    def __init__(self, folder: Path) -> None:
        self.root, self.home = folder / "wheelyard", folder / "home"
        self.home.mkdir()
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.root / name)
        (self.root / "requirements.txt").write_text("markupsafe>=3\n", encoding="utf-8")  # an installer's own
        ours = re.compile(r"\A(VIRTUAL_ENV|NOX|PYTEST|PYTHON|CI\Z|GITHUB_|GITLAB_|XDG_|WHEELYARD_|CONTAINERS_CONF)")
        self.env = {key: value for key, value in os.environ.items() if not ours.match(key)} | {"HOME": str(self.home)}
        path = [entry for entry in os.environ["PATH"].split(":") if not Path(entry).is_relative_to(ROOT)]
        self.env["PATH"] = ":".join(path)

    def bash(self, text: str, *, activated: bool) -> Tried:
        if activated:
            text = f"source .venv/bin/activate\n{text}"
        done = subprocess.run(
            ["bash", "-euc", text],
            cwd=self.root,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=1800,
        )
        return Tried(done.returncode, done.stdout)

    def on_a_board(self, texts: list[str]) -> list[Tried]:
        """Run commands in the riscv64 image that the wheel was built in, without a network.

        The index folder is where the page has it; the wheel lies in the current folder.
        """
        wheel = next((self.root / "dist/markupsafe").glob("*/*.whl"))
        image = json.loads(wheel.with_name(f"{wheel.name}.json").read_text())["image"]["reference"]
        script = [
            "/opt/python/cp313-cp313/bin/python -m venv /root/venv",
            "export PATH=/root/venv/bin:$PATH VIRTUAL_ENV=/root/venv",
            # The main index is empty: whatever is installed comes from ours.
            "mkdir -p /srv/empty",
            "export PIP_INDEX_URL=file:///srv/empty/ UV_DEFAULT_INDEX=file:///srv/empty/",
        ]
        for text in texts:
            script.append(f"if ( {text} ) 2>&1; then code=0; else code=$?; fi")
            if "install" in text:
                script.append("[ $code -ne 0 ] || python -Ic 'import markupsafe._speedups' || code=99")
                script.append(f"rm -rf {SITE_PACKAGES}/markupsafe* {SITE_PACKAGES}/MarkupSafe*")
            script.append('echo; echo "== ended with $code"')
        done = engine.run_in(
            image,
            ["bash", "-euc", "\n".join(script)],
            mounts=[(self.root / "dist/index", "/srv/wheels", False), (wheel.parent, "/srv/one", False)],
            workdir="/srv/one",
            timeout=900,
        )
        parts = re.split(r"(?m)^== ended with (\d+)\n", done.stdout)
        return [Tried(int(code), output) for output, code in zip(parts[0:-1:2], parts[1::2], strict=True)]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[Snippet, Tried]:
    newcomer = Newcomer(tmp_path_factory.mktemp("newcomer"))
    results: dict[Snippet, Tried] = {}
    for page in PAGES:
        activated = False
        for command in commands(page):
            way = how(command)
            if way == "activate":
                activated = True
                results[command] = newcomer.bash("command -v nox wheelyard", activated=True)
            elif way == "here":
                results[command] = newcomer.bash(command.text, activated=activated)
    board = [command for command in COMMANDS if how(command) == "board"]
    results |= dict(zip(board, newcomer.on_a_board([command.text for command in board]), strict=True))
    return results


SAYS = {
    "ci/bootstrap nox -s build-markupsafe": (
        r"markupsafe-\S+riscv64\.whl",
        r"tests: \d+ passed",
        r"checked \(",
        "in all",
    ),
    "nox -l": (r"build-markupsafe", r"\[dev\]"),
    "nox -s plan": (r"orjson", r"left out:"),
    "nox -s plan -- markupsafe --explain": (r"test\.command .* recipes/markupsafe/recipe\.toml:\d",),
    "nox -s build-markupsafe -- --python cp313": (r"nothing to build",),
    "nox -s build-markupsafe": (r"nothing to build",),
    "nox -s publish -- --to dist/index": (r"markupsafe-", r"--extra-index-url file://"),
    "nox -s image": (r"manylinux_2_39_riscv64",),
    "wheelyard available -r requirements.txt": (r"markupsafe", r"pip install"),
    "nox -s doctor": (r"This machine can build",),
    # pip and glibc as new as the page wants them: the page's own reader can advance.
    "python3 -m pip --version": (r"pip (2[5-9]|24\.[1-9])",),
    "ldd --version": (r"2\.(39|[4-9]\d)",),
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command}-{command.text}")
def test_a_command_does_what_its_page_says(command: Snippet, tried: dict[Snippet, Tried]) -> None:
    if how(command) not in {"here", "board", "activate"}:
        assert command not in tried
        return
    result = tried[command]
    assert result.code == 0, result.output[-3000:]
    assert "Traceback" not in result.output
    for pattern in SAYS.get(command.text, ()):
        assert re.search(pattern, result.output), result.output[-3000:]


def test_nothing_is_expected_of_commands_that_are_gone() -> None:
    assert set(SAYS) <= {command.text for command in COMMANDS}


def test_a_new_command_must_be_tried() -> None:
    with pytest.raises(AssertionError, match="nobody has said how"):
        how(Snippet("docs/new.md", 1, "console", "frobnicate --all"))
