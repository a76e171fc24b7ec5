"""The images of this machine: what there is, making one, removing one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wheelyard import images
from wheelyard.core.values import ImageChoice
from wheelyard.io import engine

if TYPE_CHECKING:
    from wheelyard.core.values import Image
    from wheelyard.project.config import Project

SCHEMA = "wheelyard/images"
VERSION = 1


@dataclass(frozen=True)
class Listing:
    """The images that builds can use.

    Attributes:
        chosen: the one that site policy means.
        stored: those in the engine's storage, the official one too.
    """

    chosen: Image
    stored: tuple[engine.ImageInfo, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the listing for machines."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "chosen": self.chosen.reference,
            "stored": [
                {
                    "reference": info.reference,
                    "digest": info.digest,
                    "platform": info.platform,
                    "size": info.size,
                    "labels": dict(info.labels),
                }
                for info in self.stored
            ],
        }


def list_images(project: Project) -> Listing:
    """Return the images in storage, and which one builds use.

    Raises:
        ConfigError: the image of site policy is none.
        EngineError: there is no container engine.
    """
    policy = project.policy.policy
    chosen = images.resolve(ImageChoice.parse(project.policy.image), policy)
    official = engine.inspect(images.resolve(ImageChoice("official"), policy).reference)
    return Listing(chosen, tuple(images.list_images()) + ((official,) if official else ()))


def build_image(project: Project, text: str | None) -> Image:
    """Pull or make the image that *text* means, site policy's by default; one that is there is left as it is.

    Raises:
        WheelyardError: see :func:`wheelyard.images.ensure`.
    """
    choice = ImageChoice.parse(text or project.policy.image)
    return images.ensure(images.resolve(choice, project.policy.policy))


def remove_images(references: tuple[str, ...], *, every: bool) -> tuple[str, ...]:
    """Remove these images, or all local ones, and return their names.

    Raises:
        ImageError: one is not there, or in use.
        EngineError: there is no container engine.
    """
    names = tuple(info.reference for info in images.list_images()) if every else references
    for name in names:
        images.remove(name)
    return names
