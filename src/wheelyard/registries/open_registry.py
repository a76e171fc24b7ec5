"""Which registry a word on the command line means, and what site policy says of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wheelyard.core.errors import ConfigError
from wheelyard.core.names import did_you_mean
from wheelyard.project.config_registries import FolderPolicy, GitLabPolicy
from wheelyard.registries import FolderRegistry, GitLabRegistry, find_credential

if TYPE_CHECKING:
    from wheelyard.project.config import Project
    from wheelyard.registries import Registry


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
        parallel: versions that may be sent at once, and files or index pages read.
        index: the address of its index, for installers.
        credential: where the credential was found, empty if there is none.
        copyleft_sources: ``required`` if wheels go there only with the sources of their copyleft libraries.
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
    copyleft_sources: str = "optional"


def open_place(project: Project, target: str, *, new: bool = True) -> Place:
    """Return the registry that *target* means: a name in site policy, or else a folder.

    A word without a slash that is neither a registry nor a folder is taken for a mistake.

    Args:
        project: the project.
        target: the word.
        new: whether a folder that is not there may be meant, which is empty then.

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
                ca_bundle=_ca_bundle(project, target, policy),
                timeout=policy.timeout,
            )
            source = credential.source if credential else ""
            return _place(target, remote, remote.index_url, policy, parallel=policy.parallel, credential=source)
        case FolderPolicy():
            return _place(target, *_folder(project.root / policy.path), policy)
        case None:
            path = Path(target)
            if not target or not (path.is_dir() or ("/" in target and new)):
                raise _no_registry(project, target, new=new)
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
    return open_place(project, known[0] if target is None else target, new=False)


def _no_registry(project: Project, target: str, *, new: bool) -> ConfigError:
    known = tuple(project.policy.registries)
    if "/" in target:
        return ConfigError(f"there is no folder {target}", fix=f"a folder, or one of {', '.join(known)}")
    folder = f"a new folder is written ./{target}" if new else "or a folder"
    return ConfigError(
        f"there is no registry {target!r}{did_you_mean(target, known)}",
        where="[tool.wheelyard.registries]",
        fix=f"one of {', '.join(known) or 'none so far'}; {folder}",
    )


def _ca_bundle(project: Project, name: str, policy: GitLabPolicy) -> str:
    """Return the file with the certificates to trust, relative ones below the project; empty for the system's."""
    if not policy.ca_bundle:
        return ""
    path = project.root / policy.ca_bundle
    if not path.exists():
        raise ConfigError(
            f"there is no file {path}",
            where=f"[tool.wheelyard.registries.{name}]",
            fix="ca-bundle names a file with certificates (PEM)",
        )
    return str(path)


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
        copyleft_sources=policy.copyleft_sources,
    )
