"""What auditwheel copied into a wheel: which package of the image it is from, and whether its source is owed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelyard.checks.grafts import grafted
from wheelyard.images.origin import origins
from wheelyard.io import log
from wheelyard.records.models import GraftRecord

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.core.values import Image


def grafts_of(wheel: Path, image: Image) -> tuple[GraftRecord, ...]:
    """Return the libraries in a wheel that were copied there; one of unknown origin counts as copyleft.

    Raises:
        CheckError: the wheel cannot be read.
        WheelyardError: the image cannot be asked.
    """
    found = grafted(wheel)
    if not found:
        return ()
    with log.step("Tracing grafted libraries"):
        known = origins(image, ((one.name, one.mark) for one in found))
    records = []
    for one in found:
        origin = known.get((one.name, one.mark))
        if origin is not None:
            records.append(
                GraftRecord(
                    file=one.file,
                    name=one.name,
                    package=origin.package,
                    package_version=origin.version,
                    source=origin.source,
                    source_version=origin.source_version,
                    kind=origin.kind,
                    licence=origin.licence.text,
                    copyleft=origin.licence.copyleft,
                )
            )
        elif one.copied:
            records.append(GraftRecord(file=one.file, name=one.name))
    return tuple(records)
