"""The commands of docs/how-to/your-own-index.md, run in order: an empty folder, an installed tool, two keys."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
from typing import TYPE_CHECKING

import pytest

from support.pages import ROOT, commands, snippets
from wheelyard.io import engine

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "docs/how-to/your-own-index.md"
OUTPUT = {
    "wheelyard --version": "wheelyard",
    "wheelyard doctor": "This machine can build",
    "wheelyard plan markupsafe": r"markupsafe-\S+-cp313-cp313-manylinux_\S+_riscv64\.whl",
    "wheelyard build markupsafe": r"checked \(\d+ findings, all well\)",
    "wheelyard publish --to dist/index": r"upload .*markupsafe-|markupsafe-.* upload",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def install_in_container(text: str, wheel: Path) -> str:
    """Run the page's pip in the image that built the wheel; the public index is an empty folder."""
    record = json.loads(wheel.with_name(f"{wheel.name}.json").read_text(encoding="utf-8"))
    script = (
        "python=/opt/python/cp313-cp313/bin/python; $python -m venv /root/venv; export PATH=/root/venv/bin:$PATH",
        "mkdir -p /srv/empty; export PIP_INDEX_URL=file:///srv/empty/",
        text,
        "python -Ic 'import markupsafe._speedups'",
    )
    return engine.run_in(
        record["image"]["reference"], ["bash", "-euc", "\n".join(script)], network=True, timeout=600
    ).stdout


def test_the_page_makes_an_index(tmp_path: Path) -> None:
    folder, home = tmp_path / "index", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (configuration,) = (snippet.text for snippet in snippets(PAGE) if snippet.language == "toml")
    assert len(tomllib.loads(configuration)["tool"]["wheelyard"]) == 2
    (folder / "pyproject.toml").write_text(configuration, encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if not re.match("VIRTUAL_ENV|WHEELYARD_|GIT_", name)}
    env |= {"UV_TOOL_DIR": f"{home}/tools", "UV_TOOL_BIN_DIR": f"{home}/bin"}
    env["PATH"] = f"{home}/bin:{env['PATH']}"
    port = free_port()
    ran = []
    for command in commands(PAGE):
        text = command.text.replace("8000", str(port))
        if "http.server" in text:
            server = subprocess.Popen(shlex.split(text), cwd=folder, env=env, stderr=subprocess.DEVNULL)
        elif text.startswith("pip install"):
            wait_for(port)
            (wheel,) = folder.glob("dist/markupsafe/*/*.whl")
            try:
                assert "Successfully installed" in install_in_container(text, wheel)
            finally:
                server.terminate()
                server.wait()
        else:
            result = subprocess.run(
                ["bash", "-euc", text], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=1800
            )
            assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
            assert re.search(OUTPUT.get(text, ""), result.stdout), result.stdout
        ran.append(command.text)
    assert OUTPUT.keys() <= set(ran)
    assert ran[-1].startswith("pip install")


def wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("the web server does not start")
