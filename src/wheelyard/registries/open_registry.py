"""The registry that a word on the command line means, with its site configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from wheelyard.core.errors import ConfigError
from wheelyard.core.names import did_you_mean
from wheelyard.project.config_registries import DirectoryConfig

if TYPE_CHECKING:
    from wheelyard.project.config import Project
    from wheelyard.project.config_registries import RegistryConfig
    from wheelyard.registries.registry import Registry


@dataclass(frozen=True)
class NamedRegistry:
    """A registry under the name that people and records use.

    Attributes:
        name: its name in the site configuration, or the folder as it was written.
        adapter: the registry.
        config: its site configuration.
    """

    name: str
    adapter: Registry
    config: RegistryConfig


def open_registry(project: Project, target: str, *, new: bool = True) -> NamedRegistry:
    """Return the registry that *target* means: a name in the site configuration, or else a folder.

    A word without a slash that is neither a registry nor a folder is taken for a mistake.

    Args:
        project: the project.
        target: the word.
        new: whether a folder that is not there may be meant, which is empty then.

    Raises:
        ConfigError: there is no such registry.
        CredentialsError: a credential is named that cannot be used.
    """
    config = project.config.registries.get(target)
    root = project.root
    if config is None:
        path = Path(target)
        if not target or not (path.is_dir() or ("/" in target and new)):
            raise _no_registry(project, target, new=new)
        local_images = project.config.local_images_to_folders
        settings = {"kind": "directory", "path": ".", "record": False, "local-images": local_images}
        config, root = DirectoryConfig.model_validate(settings), path
    adapter: Registry = resolve_name(config.adapter).open(config, name=target, root=root)
    return NamedRegistry(target, adapter, config)


def open_configured(project: Project, target: str | None) -> NamedRegistry:
    """Return the registry that *target* means, by default the only one of the site configuration.

    Raises:
        ConfigError: there is no such registry, or more than one could be meant.
        CredentialsError: a credential is named that cannot be used.
    """
    names = tuple(project.config.registries)
    if target is None and len(names) != 1:
        raise ConfigError("which registry is meant?", fix=f"--registry {'|'.join((*names, 'DIR'))}")
    return open_registry(project, names[0] if target is None else target, new=False)


def _no_registry(project: Project, target: str, *, new: bool) -> ConfigError:
    names = tuple(project.config.registries)
    if "/" in target:
        return ConfigError(f"there is no folder {target}", fix=f"a folder, or one of {', '.join(names)}")
    folder = f"a new folder is written ./{target}" if new else "or a folder"
    return ConfigError(
        f"there is no registry {target!r}{did_you_mean(target, names)}",
        where="[tool.wheelyard.registries]",
        fix=f"one of {', '.join(names) or 'none so far'}; {folder}",
    )
