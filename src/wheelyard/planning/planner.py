"""Plans of several versions of one project, each image looked up once; nothing is asked of any server."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from wheelyard.core.values import ImageChoice
from wheelyard.images import resolve
from wheelyard.planning.plan import make_plan

if TYPE_CHECKING:
    from wheelyard.core.tags import Interpreter
    from wheelyard.core.values import Image
    from wheelyard.planning.plan import Plan
    from wheelyard.planning.target import Target
    from wheelyard.project.config import Project


def site_image(project: Project) -> str | None:
    """Return the image of the wheels that the site publishes, for :class:`Planner`; None is site configuration's own.

    ``auto`` is the official one, whether or not its registry can be reached from this machine: what is planned here is
    built elsewhere.

    Raises:
        ConfigError: site configuration names no image that there is.
    """
    return "official" if ImageChoice.parse(project.config.image).kind == "auto" else None


@dataclass
class Planner:
    """Plans versions of one project. Threads may share it.

    Attributes:
        project: the project.
        image: another image than the site configuration's.
        pythons: only these interpreters.
    """

    project: Project
    image: str | None = None
    pythons: tuple[Interpreter, ...] = ()
    _images: dict[tuple[str, ...], Image] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @classmethod
    def of_site(cls, project: Project) -> Self:
        """Return one whose plans are the same on every machine, see :func:`site_image`."""
        return cls(project, site_image(project))

    @functools.cached_property
    def choice(self) -> ImageChoice:
        """Which image is wanted, before a recipe's extras.

        Raises:
            ConfigError: there is no such image.
        """
        return ImageChoice.parse(self.image or self.project.config.image)

    def plan(self, target: Target) -> Plan:
        """Return the plan of one version.

        Raises:
            PlanError: nothing is left to build.
            ConfigError: there is no such image.
        """
        config, extras = self.project.config, target.settings.build.extras
        with self._lock:
            if extras not in self._images:
                self._images[extras] = resolve(self.choice.with_extras(extras), config.policy, offline=True)
        return make_plan(target.package, target.settings, target.locked, self._images[extras], config, self.pythons)
