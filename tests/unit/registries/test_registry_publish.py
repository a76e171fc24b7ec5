"""In which order wheels are sent and read back, and what is left out once something hopeless has happened."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import InterruptedRunError, NetworkError
from wheelyard.registries import (
    DirectoryRegistry,
    Journal,
    Outcome,
    Registry,
    Release,
    plan_uploads,
    publish,
    read_release,
)
from wheelyard.registries.registry import nobody

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Event

    from wheelyard.registries.registry import Progress


class Watched(DirectoryRegistry):
    """A folder where sending the second wheel, and reading the first one back, can be held up or fail."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.sent: list[str] = []
        self.confirmed: list[str] = []
        self.second_begun = threading.Event()
        self.second_may_end = threading.Event()
        self.second_may_end.set()

    def put(self, release: Release, *, advance: Progress = nobody, stop: Event | None = None) -> bool:
        self.sent.append(release.name.file)
        if len(self.sent) == 2:
            self.second_begun.set()
            assert self.second_may_end.wait(10)
        return super().put(release, advance=advance, stop=stop)

    def confirm(self, project: str, file: str, sha256: str) -> None:
        super().confirm(project, file, sha256)
        self.confirmed.append(file)


def sent(registry: Registry, folder: Path) -> list[Outcome]:
    """Publish three wheels of one version."""
    wheels = [WheelSpec(python=python, abi=python).write(folder / "dist") for python in ("cp312", "cp313", "cp314")]
    with Journal.of(folder / "journal", registry.title) as journal:
        releases = [read_release(wheel, sha256=sha256_file(wheel)) for wheel in wheels]
        plan = plan_uploads(registry, releases, begun=journal.begun)
        return publish(registry, plan, journal, parallel=4)


def test_a_wheel_is_read_back_while_the_next_one_goes_out(tmp_path: Path) -> None:
    class Patient(Watched):
        def confirm(self, project: str, file: str, sha256: str) -> None:
            assert self.second_begun.wait(10), "the second wheel waited for the first one's way back"
            super().confirm(project, file, sha256)

    outcomes = sent(Patient(tmp_path / "index"), tmp_path)
    assert [outcome.error for outcome in outcomes] == [None] * 3


def test_what_is_not_read_back_any_more_is_not_called_published(tmp_path: Path) -> None:
    class Dying(Watched):
        """Reading the first wheel back fails, while the second one goes out."""

        def confirm(self, project: str, file: str, sha256: str) -> None:  # noqa: ARG002
            assert self.second_begun.wait(10)
            threading.Timer(0.2, self.second_may_end.set).start()  # the run has heard of it by then
            raise NetworkError("does not answer")

    registry = Dying(tmp_path / "index")
    registry.second_may_end.clear()
    first, second, third = (outcome.error for outcome in sent(registry, tmp_path))
    assert isinstance(first, NetworkError)
    assert isinstance(second, InterruptedRunError)
    assert "was sent and not read back" in str(second)
    assert isinstance(third, InterruptedRunError)
    assert "was not sent" in str(third)
    assert len(registry.sent) == 2
    again = Watched(tmp_path / "index")  # the next run reads back what this one only sent
    assert [outcome.error for outcome in sent(again, tmp_path)] == [None] * 3
    assert len(again.confirmed) == 3
