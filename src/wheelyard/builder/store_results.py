"""Store finished wheels in ``dist/<pkg>/<version>/``: built here, or collected from another machine."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from wheelyard.core.errors import CheckError
from wheelyard.core.tags import WheelName
from wheelyard.io import files
from wheelyard.records.wheel_records import read_verdict, write_record, write_verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from wheelyard.records.models import Verdict, WheelRecord

_verdict_lock = threading.Lock()  # jobs at once share one verdict.json


def store_results(folder: Path, wheels: Iterable[Path], records: Iterable[WheelRecord], verdict: Verdict) -> None:
    """Copy *wheels* into *folder*, with their verdict and their records.

    The caller has locked the version. After an interruption the same call completes it.

    Raises:
        DiskError: no space, or no right to write there.
    """
    for wheel in wheels:
        _remove_replaced(folder, wheel.name)
        files.copy_whole(wheel, folder / wheel.name)
    with _verdict_lock:
        write_verdict(folder, _with_earlier(folder, verdict))
    # Last: the next run reuses what has a record, so the other files must exist by then.
    for record in records:
        write_record(folder, record)


def _remove_replaced(folder: Path, new: str) -> None:
    """Remove the wheel that the new one replaces under another name: the same tags, another glibc floor."""
    name = WheelName.parse(new)
    for old in folder.glob("*.whl"):
        try:
            old_name = WheelName.parse(old.name)
        except ValueError:
            continue  # not ours; publishing reports it
        if old.name != new and (old_name.pythons, old_name.abis) == (name.pythons, name.abis):
            files.remove(old.with_name(f"{old.name}.json"))
            files.remove(old)


def _with_earlier(folder: Path, verdict: Verdict) -> Verdict:
    """Return *verdict* with the findings of earlier runs on the other wheels in the folder."""
    try:
        earlier = read_verdict(folder).wheels
    except CheckError:
        return verdict
    names = {wheel.wheel for wheel in verdict.wheels}
    still_present = [wheel for wheel in earlier if wheel.wheel not in names and (folder / wheel.wheel).is_file()]
    return verdict.model_copy(update={"wheels": (*verdict.wheels, *still_present)})
