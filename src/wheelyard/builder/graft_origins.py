"""Trace the libraries that auditwheel grafted into a wheel to packages of the image, and to their licences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelyard.checks.grafts import grafted
from wheelyard.images.origin import origins
from wheelyard.io import log
from wheelyard.records.models import GraftRecord

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.core.values import Image


def trace_grafts(wheel: Path, image: Image) -> tuple[GraftRecord, ...]:
    """Return a record of each grafted library; a library of unknown origin counts as copyleft.

    Raises:
        CheckError: the wheel cannot be read.
        WheelyardError: the packages of the image cannot be listed.
    """
    libraries = grafted(wheel)
    if not libraries:
        return ()
    with log.step("Tracing grafted libraries"):
        origin_by_library = origins(image, ((library.name, library.mark) for library in libraries))
    records = []
    for library in libraries:
        origin = origin_by_library.get((library.name, library.mark))
        if origin is not None:
            records.append(
                GraftRecord(
                    file=library.file,
                    name=library.name,
                    package=origin.package,
                    package_version=origin.version,
                    source=origin.source,
                    source_version=origin.source_version,
                    kind=origin.kind,
                    licence=origin.licence.text,
                    copyleft=origin.licence.copyleft,
                )
            )
        elif library.copied:
            records.append(GraftRecord(file=library.file, name=library.name))
    return tuple(records)
