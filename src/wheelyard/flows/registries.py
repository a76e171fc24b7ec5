"""Which registry a word on the command line means, and what site policy says of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wheelyard.core.errors import ConfigError
from wheelyard.core.names import did_you_mean
from wheelyard.recipe.registries import FolderPolicy, GitLabPolicy
from wheelyard.stages.registry import FolderRegistry, GitLabRegistry, find_credential

if TYPE_CHECKING:
    from wheelyard.recipe.policy import Project
    from wheelyard.stages.registry import Registry


@dataclass(frozen=True)
class Place:
    """A registry, and what holds for it.

    Attributes:
        name: its name in site policy, or the folder as it was written.
        registry: the registry.
        record: whether ``releases.toml`` lists what is there.
        local_images: whether it takes wheels of local images.
        keep: versions of a package that pruning keeps; 0 keeps all.
        keep_referenced: whether pruning keeps versions that a lock pins.
        parallel: versions that may be sent at once.
        index: the address of its index, for installers.
        credential: where the credential was found, empty if there is none.
    """

    name: str
    registry: Registry
    record: bool
    local_images: bool
    keep: int
    keep_referenced: bool
    parallel: int
    index: str
    credential: str


def open_place(project: Project, target: str) -> Place:
    """Return the registry that *target* means: a name in site policy, or else a folder.

    A word without a slash that is neither a registry nor a folder is taken for a mistake.

    Raises:
        ConfigError: there is no such registry.
        CredentialsError: a credential is named that cannot be used.
    """
    policy = project.policy.registries.get(target)
    match policy:
        case GitLabPolicy():
            credential = find_credential(policy.url, policy.variables)
            remote = GitLabRegistry(
                policy.url,
                policy.project,
                credential,
                variables=policy.variables,
                ca_bundle=policy.ca_bundle,
                timeout=policy.timeout,
            )
            source = credential.source if credential else ""
            return _place(target, remote, remote.index_url, policy, parallel=policy.parallel, credential=source)
        case FolderPolicy():
            return _place(target, *_folder(project.root / policy.path), policy)
        case None:
            path = Path(target)
            if "/" not in target and not path.is_dir():
                known = tuple(project.policy.registries)
                raise ConfigError(
                    f"there is no registry {target!r}{did_you_mean(target, known)}",
                    where="[tool.wheelyard.registries]",
                    fix=f"one of {', '.join(known) or 'none so far'}; a new folder is written ./{target}",
                )
            local_images = project.policy.local_images_to_folders
            own = FolderPolicy.model_validate(
                {"kind": "folder", "path": ".", "record": False, "local-images": local_images}
            )
            return _place(target, *_folder(path), own)


def open_own(project: Project, target: str | None) -> Place:
    """Return the registry that *target* means, by default the only one of site policy.

    Raises:
        ConfigError: there is no such registry, or nobody can tell which is meant.
        CredentialsError: a credential is named that cannot be used.
    """
    known = tuple(project.policy.registries)
    if target is None and len(known) != 1:
        raise ConfigError("which registry is meant?", fix=f"--of {'|'.join((*known, 'DIR'))}")
    return open_place(project, target or known[0])


def _folder(path: Path) -> tuple[FolderRegistry, str]:
    return FolderRegistry(path), f"{(path.resolve() / 'simple').as_uri()}/"


def _place(
    name: str,
    registry: Registry,
    index: str,
    policy: GitLabPolicy | FolderPolicy,
    *,
    parallel: int = 1,
    credential: str = "",
) -> Place:
    return Place(
        name=name,
        registry=registry,
        record=policy.record,
        local_images=policy.local_images,
        keep=policy.keep,
        keep_referenced=policy.keep_referenced,
        parallel=parallel,
        index=index,
        credential=credential,
    )
