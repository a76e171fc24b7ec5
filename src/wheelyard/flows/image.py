"""``image``: what there is to build in, and making it ahead of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wheelyard.core.values import ImageChoice
from wheelyard.stages.image import ensure, list_images, resolve

if TYPE_CHECKING:
    from wheelyard.core.values import Image
    from wheelyard.io.engine import ImageInfo
    from wheelyard.recipe.policy import Project


@dataclass(frozen=True)
class Survey:
    """The images of this machine.

    Attributes:
        used: what builds would use now; its digest is empty while it is not here.
        local: the local images in storage.
    """

    used: Image
    local: tuple[ImageInfo, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the survey for machines."""
        return {
            "schema": "wheelyard/images",
            "version": 1,
            "used": {"kind": self.used.kind, "reference": self.used.reference, "digest": self.used.digest},
            "local": [
                {"reference": info.reference, "digest": info.digest, "size": info.size, "labels": dict(info.labels)}
                for info in self.local
            ],
        }


def survey(project: Project) -> Survey:
    """Return what there is.

    Raises:
        EngineError: the container engine is missing or does not work.
    """
    used = resolve(ImageChoice.parse(project.policy.image), project.policy.policy)
    return Survey(used, tuple(list_images()))


def have(project: Project, choice: str) -> Image:
    """Make or pull the image that *choice* means, if it is not here; return it with its digest.

    Raises:
        ConfigError: there is no such image.
        ImageError: it cannot be had.
    """
    return ensure(resolve(ImageChoice.parse(choice), project.policy.policy))
