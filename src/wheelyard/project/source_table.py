"""A recipe's ``[source]``: the keys of every kind of source. A new kind is a file in ``sources/`` and a line here."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

from pydantic import Field, create_model, model_validator

from wheelyard.project.model import Model, PackageName
from wheelyard.project.plugins import plugins

if TYPE_CHECKING:
    from collections.abc import Iterable

# Each is a `SourceKind` (sources/source_kind.py). The key of `[source]` that chooses a kind has the kind's name.
SOURCES = {
    "sdist": "wheelyard.sources.sdist:Sdist",
    "git": "wheelyard.sources.git:Git",
    "path": "wheelyard.sources.path:LocalFolder",
}
GROUP = "wheelyard.sources"  # of entry points: the kinds of other distributions
_DEFAULT = "sdist"

_Table = TypeVar("_Table", bound="SourceTable")


class SourceTable(Model):
    """Where the source comes from. By default the sdist on the package index, under the folder's name."""

    kinds: ClassVar[tuple[str, ...]] = ()

    name: PackageName | None = Field(None, description="The name on the package index, where it is not the folder's.")

    @property
    def kind(self) -> str:
        """The name of its kind."""
        return next(iter(self._chosen()), _DEFAULT)

    def keys_of(self, table: type[_Table]) -> _Table:
        """Return it with the type of the table that a kind adds."""
        if not isinstance(self, table):
            raise TypeError(f"[source] has not the keys of {table.__name__}")
        return self

    def _chosen(self) -> list[str]:
        return [kind for kind in self.kinds if getattr(self, kind.replace("-", "_"), None)]

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        chosen = self._chosen()
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(map(repr, chosen))} exclude each other")
        return self


def load_kind(name: str) -> Any:
    """Return the class of a kind of source, built in or of a plug-in; see ``sources/source_kind.py``."""
    return resolve_name(SOURCES[name]) if name in SOURCES else plugins(GROUP)[name].load()


def source_model(name: str, kinds: Iterable[str]) -> type[SourceTable]:
    """Return the model of ``[source]`` with the keys of *kinds*."""
    kinds = tuple(kinds)
    tables = dict.fromkeys(load_kind(kind).table for kind in reversed(kinds))  # pydantic lists the last base first
    model = cast("type[SourceTable]", create_model(name, __base__=tuple(tables), __doc__=SourceTable.__doc__))
    model.kinds = kinds
    return model
