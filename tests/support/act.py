"""GitHub's workflows, run here by act on the host: the project's own files, in a clean clone.

GitHub cannot be reached from the tests, so the few actions that are not ours are stand-ins (``support/actions``):
artifacts are folders that tests look into. act brings a checkout of the local clone itself. What it lacks: it runs no
two events' concurrency groups against each other, and knows no permissions of its token.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.gitlab_ci import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

ACTIONS: Final = Path(__file__).parent / "actions"
ACT: Final = Path(sys.executable).parent / "act"
_USES = re.compile(r"uses: (?P<name>actions/[a-z-]+)@(?P<commit>[0-9a-f]{40})")


class Checkout:
    """A clone, and workflows in it.

    Attributes:
        root: the clone.
        store: where artifacts are, each a folder of its name.
        secrets: those of the repository.
    """

    def __init__(self, root: Path, scratch: Path, secrets: Mapping[str, str]) -> None:
        self.root, self.store, self.secrets = root, scratch / "artifacts", dict(secrets)
        self._scratch = scratch
        scratch.mkdir()
        self.store.mkdir()

    def run(self, workflow: str, event: str, given: object, *words: str, timeout: float = 300) -> Run:
        """Run a workflow for an event with this payload, as act's *words* say."""
        payload = self._scratch / "event.json"
        payload.write_text(json.dumps(given), encoding="utf-8")
        secrets = self._scratch / "secrets"
        secrets.write_text("".join(f"{name}={value}\n" for name, value in self.secrets.items()), encoding="utf-8")
        command = [str(ACT), event, "--workflows", f".github/workflows/{workflow}"]
        command += ["--eventpath", str(payload), "--secret-file", str(secrets), "--no-cache-server", "--rm"]
        command += [f"--platform={label}=-self-hosted" for label in ("ubuntu-24.04", "ubuntu-24.04-riscv")]
        command += [f"--local-repository={name}@{commit}={ACTIONS / name[8:]}" for name, commit in remote_actions()]
        command += ["--env", f"STAND_INS={ACTIONS}", "--env", f"STAND_IN_STORE={self.store}", *words]
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "ACT_", "WHEELYARD_"))
        }
        # The stand-ins for actions take the Python of this run: a version manager's takes its time.
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = kept | {"XDG_CACHE_HOME": str(self._scratch / "cache"), "HOME": str(self._scratch), "PATH": path}
        done = subprocess.run(
            command, cwd=self.root, env=env, capture_output=True, text=True, check=False, timeout=timeout
        )
        return Run(done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr))


class Run:
    """What came of it.

    Attributes:
        status: act's.
        said: all that it printed.
    """

    def __init__(self, status: int, said: str) -> None:
        self.status, self.said = status, said

    @property
    def failed(self) -> list[str]:
        """The steps that failed, as act names them."""
        return re.findall(r"Failure - Main (.*?)(?: \[[^\]]*\])?$", self.said, re.MULTILINE)


def remote_actions() -> list[tuple[str, str]]:
    """Return the actions that are not ours, with their commits, as the workflows have them."""
    texts = [file.read_text("utf-8") for file in [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("ci/actions/*/*")]]
    return sorted({(match["name"], match["commit"]) for text in texts for match in _USES.finditer(text)})
