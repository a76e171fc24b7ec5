"""The errors that GitLab's answers mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wheelyard.core.errors import CredentialsError, NetworkError, PublishError
from wheelyard.io import log
from wheelyard.registries.gitlab.upload import message_of

if TYPE_CHECKING:
    from wheelyard.io.http import Response

FORBIDDEN = 403


@dataclass(frozen=True)
class AnswerErrors:
    """The errors of one registry.

    Attributes:
        title: the registry, as people call it.
        credential: where the credential is from.
    """

    title: str
    credential: str

    def refusal(self, answer: Response) -> PublishError | NetworkError | None:
        """Return the error of an answer that is about who we are or where we went, None for any other."""
        match answer.status_code:
            case 401:
                return CredentialsError(
                    f"the credential from {self.credential} is not accepted: wrong, expired or revoked",
                    where=self.title,
                    fix="wheelyard check-tokens says which; docs/how-to/tokens.md says how to renew it",
                )
            case 403 if "protected" not in message_of(answer).lower():
                return CredentialsError(
                    f"the credential from {self.credential} may not do this",
                    where=self.title,
                    details=[message_of(answer)],
                    fix="a deploy token needs write_package_registry, an access token api and the role Developer",
                )
            case 404:
                return self.unknown()
            case status if 300 <= status < 400:  # noqa: PLR2004
                host = urlsplit(answer.headers.get("Location", "")).netloc or "elsewhere"
                return NetworkError(
                    f"{self.title} redirects to {log.clean(host)[:100]}; credentials are not sent there",
                    fix="if the server has moved, change the registry's url in [tool.wheelyard]",
                )
        return None

    def unknown(self) -> PublishError:
        """Return the error of a project that is not found."""
        return PublishError(
            "there is no such project, or it is private and the credential has no access",
            where=self.title,
            fix="check the registry's url and project in [tool.wheelyard.registries]",
        )

    def rejection(self, file: str, answer: Response) -> PublishError:
        """Return the error of a file that the server refuses."""
        if answer.status_code == FORBIDDEN:
            fix = "a package protection rule shuts deploy tokens out: change it, or use an access token of its role"
        else:
            fix = "the server gives the reason; a limit on sizes is a setting of the project or the server"
        return PublishError(
            f"{self.title} does not take {file}",
            details=[f"{answer.status_code}: {message_of(answer)}"],
            fix=fix,
        )
