"""Every error a user can meet: an exit code of its own, what happened, where, and what to do next.

A :class:`WheelyardError` is somebody's input or the machine's state; anything else that escapes is a bug of
ours and keeps its traceback. Codes follow the stages of the pipeline and never change their meaning; 1 is
left to bugs and 2 to the command line's own syntax, as is the custom of command-line programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class WheelyardError(Exception):
    """Something the user can mend.

    Args:
        what: what happened, one sentence.
        fix: what to do next, a command where there is one.
        where: the place that caused it, ``file:line`` or a name.
        details: every single finding, when there are several.
    """

    exit_code: ClassVar[int] = 3
    news: ClassVar[bool] = False  # nothing went wrong here; pipelines pass over it once an issue or request tells of it

    def __init__(
        self, what: str, *, fix: str | None = None, where: str | None = None, details: Iterable[str] = ()
    ) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.where = where
        self.details = tuple(details)

    @property
    def head(self) -> str:
        """Its first line: where, and what happened."""
        return f"{self.where}: {self.what}" if self.where else self.what

    def __str__(self) -> str:
        """The whole message, as a person reads it."""
        lines = [self.head, *(f"  - {detail}" for detail in self.details)]
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class ConfigError(WheelyardError):
    """Site configuration (``[tool.wheelyard]``) or the project folder is not usable."""

    exit_code = 4


class ListError(WheelyardError):
    """A list that was given, of requirements or of names, cannot be read."""

    exit_code = 5


class RecipeError(WheelyardError):
    """A recipe or fragment does not say what a recipe may say."""

    exit_code = 10


class UnknownPackageError(WheelyardError):
    """No recipe, or nothing on the index, of that name."""

    exit_code = 11


class UnknownVersionError(WheelyardError):
    """The package has no such version, or it is yanked."""

    exit_code = 12


class SourceError(WheelyardError):
    """The source cannot be had: no sdist, a missing tag, an sdist script that fails."""

    exit_code = 13


class DigestMismatchError(SourceError):
    """Bytes are not those that were promised: hash or size differ."""

    exit_code = 14


class UnsafeArchiveError(SourceError):
    """An archive tries to leave its folder or to fill the disk."""

    exit_code = 15


class PatchError(SourceError):
    """A patch does not apply or does not say where it stands upstream."""

    exit_code = 16


class UpstreamNewsError(WheelyardError):
    """Upstream has changed: there is something to do."""

    exit_code = 17
    news = True


class UpstreamUnknownError(WheelyardError):
    """Of some packages nobody could tell how they stand."""

    exit_code = 18


class UnavailableError(WheelyardError):
    """A requirement cannot be had on riscv64: there is no wheel, and no source to compile."""

    exit_code = 19


class PlanError(WheelyardError):
    """Nothing can be planned: no interpreter is left, or the lock is not usable."""

    exit_code = 20


class PreflightError(WheelyardError):
    """A version would not get through a build: the preflight says why, before anything is built."""

    exit_code = 21


class ReviewError(WheelyardError):
    """A change is not fit to be merged: its commits, its recipes, its records, or what its description asks for."""

    exit_code = 22


class NeededWheelError(PlanError):
    """A wheel that the build takes from us is nowhere: neither built here nor in our registry."""

    exit_code = 23


class EngineError(WheelyardError):
    """No container engine, no binfmt registration, or one that does not work."""

    exit_code = 30


class ImageError(WheelyardError):
    """The build image cannot be pulled or made."""

    exit_code = 31


class BuildError(WheelyardError):
    """The build ran and failed."""

    exit_code = 40


class TestsFailedError(BuildError):
    """The wheel was built, upstream's tests failed on it."""

    __test__ = False  # not a test class, whatever its name says to pytest
    exit_code = 41


class StepTimeoutError(BuildError):
    """A step took longer than its recipe allows."""

    exit_code = 42


class JobsFailedError(WheelyardError):
    """Some jobs of a plan did not build what they were to build."""

    exit_code = 43
    news = True


class GatherError(WheelyardError):
    """Something that jobs brought may not be taken."""

    exit_code = 44


class StalledError(BuildError):
    """A build has used next to no processor time for minutes: under emulation, a deadlock of QEMU's."""

    exit_code = 45


class CheckError(WheelyardError):
    """A wheel is not what was promised."""

    exit_code = 50


class PublishError(WheelyardError):
    """A wheel may not be published, or the registry does not take it."""

    exit_code = 60


class ConflictError(PublishError):
    """Other bytes stand under the same file name already."""

    exit_code = 61


class CredentialsError(PublishError):
    """No credential, or one that the registry does not accept for this."""

    exit_code = 62


class RegistryContentError(PublishError):
    """What a registry has and what the records say are not the same."""

    exit_code = 63


class TokenDueError(WheelyardError):
    """A token or renewal is due soon."""

    exit_code = 64
    news = True


class TokenDeadError(WheelyardError):
    """A token is dead, or the day of a renewal has passed."""

    exit_code = 65


class TokenScopeError(WheelyardError):
    """A token may do more, or less, than the site configuration says."""

    exit_code = 66


class VulnerableError(WheelyardError):
    """Something that is published has a known vulnerability."""

    exit_code = 67
    news = True


class TrialError(WheelyardError):
    """Something that is published cannot be installed from the registry, or not imported."""

    exit_code = 68


class NetworkError(WheelyardError):
    """A server cannot be reached or does not answer as it should."""

    exit_code = 70


class NotServedError(NetworkError):
    """The server answers, but has no such file, or has it no more (404, 410)."""

    exit_code = 73


class DiskError(WheelyardError):
    """No room left, or a folder that cannot be written."""

    exit_code = 71


class ProgramError(WheelyardError):
    """A program that we call is missing or failed where it should not."""

    exit_code = 72


class InterruptedRunError(WheelyardError):
    """The user stopped the run (Ctrl-C); the shell's convention for SIGINT is 130."""

    exit_code = 130


def all_errors() -> tuple[type[WheelyardError], ...]:
    """Return every error class with an exit code of its own, by exit code."""
    classes: set[type[WheelyardError]] = {WheelyardError}
    parents: list[type[WheelyardError]] = [WheelyardError]
    while parents:
        for child in parents.pop().__subclasses__():
            classes.add(child)
            parents.append(child)
    return tuple(sorted((error for error in classes if "exit_code" in vars(error)), key=lambda error: error.exit_code))
