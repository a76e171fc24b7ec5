"""``image``: list, make and remove the images of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from wheelyard import images
from wheelyard.core.model import Model
from wheelyard.core.values import ImageChoice
from wheelyard.io import engine

if TYPE_CHECKING:
    from wheelyard.core.values import Image
    from wheelyard.project.config import Project


class StoredImage(Model):
    """An image in the container engine's storage."""

    reference: str
    digest: str
    platform: str
    size: int
    labels: dict[str, str]


class ImagesReport(Model):
    """``image list --json``: the images that builds can use.

    Attributes:
        chosen: the reference of the image that the site configuration chooses.
        interpreters: its interpreters.
        stored: the local images in the engine's storage, and the official one if it is there.
    """

    schema_: Literal["wheelyard/images"] = Field("wheelyard/images", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    chosen: str
    interpreters: tuple[str, ...]
    stored: tuple[StoredImage, ...]


def list_images(project: Project) -> ImagesReport:
    """Return the images in storage, and the one that builds use.

    Raises:
        ConfigError: the image of the site configuration is not valid.
        EngineError: there is no container engine.
    """
    policy = project.config.policy
    chosen = images.resolve(ImageChoice.parse(project.config.image), policy)
    official = engine.inspect(images.resolve(ImageChoice("official"), policy).reference)
    stored = [*images.list_images(), *([official] if official else [])]
    return ImagesReport(
        chosen=chosen.reference,
        interpreters=tuple(map(str, chosen.interpreters)),
        stored=tuple(
            StoredImage(
                reference=image.reference,
                digest=image.digest,
                platform=image.platform,
                size=image.size,
                labels=dict(image.labels),
            )
            for image in stored
        ),
    )


def build_image(project: Project, text: str | None) -> Image:
    """Pull or make the image *text*, by default the site configuration's; an image that exists is left as it is.

    Raises:
        WheelyardError: see :func:`wheelyard.images.ensure`.
    """
    choice = ImageChoice.parse(text or project.config.image)
    return images.ensure(images.resolve(choice, project.config.policy))


def remove_images(references: tuple[str, ...], *, every: bool) -> tuple[str, ...]:
    """Remove these images, or all local ones, and return their names.

    Raises:
        ImageError: an image does not exist, or is in use.
        EngineError: there is no container engine.
    """
    names = tuple(info.reference for info in images.list_images()) if every else references
    for name in names:
        images.remove(name)
    return names
