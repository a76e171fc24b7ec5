"""Known vulnerabilities of versions, from a server that speaks OSV's API (https://google.github.io/osv.dev/api/).

One question tells the identifiers for up to a thousand versions (``POST /v1/querybatch``), page by page; each is then
read once (``GET /v1/vulns/{id}``). What databases call by several names is one vulnerability: names that share an
alias are joined (https://ossf.github.io/osv-schema/, "aliases").
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from wheelyard.core.errors import NetworkError
from wheelyard.core.pep440 import read_version
from wheelyard.io import log, threads
from wheelyard.io.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Subject = tuple[str, str]  # a package's canonical name, and a version

_BATCH = 1000  # "a maximum of 1000 package versions" (osv_service_v1.proto, QueryAffectedBatch)
_PAGES = 100  # of one question; a package with as many vulnerabilities is a server that goes in circles
_MOST = 5000  # vulnerabilities of one version; the most that any has are hundreds
_PARALLEL = 8
_OK = 200
_GONE = 404
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{1,80}\Z")
_ECOSYSTEM = "PyPI"
_PAGE = "https://osv.dev/vulnerability/"
_FIX = "run the same command again later; WHEELYARD_OSV, or url in [tool.wheelyard.audit], names the server"


@dataclass(frozen=True)
class Advisory:
    """What is known under one or several names.

    Attributes:
        id: a CVE's name where there is one, else another.
        aliases: the other names, sorted.
        summary: what it is, in one line.
        fixed: versions with which it ends in this package, sorted.
        url: a page about it.
    """

    id: str
    aliases: tuple[str, ...]
    summary: str
    fixed: tuple[Version, ...]
    url: str


def vulnerabilities(url: str, subjects: Sequence[Subject]) -> dict[Subject, tuple[Advisory, ...]]:
    """Return what is known of each version; withdrawn advisories are left out.

    Args:
        url: the server, without ``/v1``.
        subjects: what is asked for.

    Raises:
        NetworkError: it does not answer, or not as OSV does.
    """
    server = Server(url, None)
    known: dict[Subject, list[str]] = {}
    for first in range(0, len(subjects), _BATCH):
        known |= _identifiers(server, subjects[first : first + _BATCH])
    wanted = sorted({each for ids in known.values() for each in ids})
    with log.progress("reading advisories", len(wanted), unit="advisories") as tell:

        def read(number: str) -> dict[str, Any] | None:
            told = _advisory(server, number)
            tell(1)
            return told

        read_ones = dict(zip(wanted, threads.each(read, wanted, parallel=_PARALLEL), strict=True))
    found = {}
    for subject, ids in known.items():
        told = [advisory for each in ids if (advisory := read_ones[each])]
        found[subject] = tuple(_joined(subject[0], group) for group in _groups(told))
    return found


def _identifiers(server: Server, subjects: Sequence[Subject]) -> dict[Subject, list[str]]:
    """Return the identifiers for each of a batch; only queries that have more are asked for their next page."""
    found: dict[Subject, list[str]] = {subject: [] for subject in subjects}
    waiting: list[tuple[Subject, str]] = [(subject, "") for subject in subjects]
    for _ in range(_PAGES):
        if not waiting:
            return found
        queries = [_query(subject, token) for subject, token in waiting]
        results = _post(server, {"queries": queries}).get("results")
        if not isinstance(results, list) or len(results) != len(queries):
            raise _not_osv(server, "it does not answer each question")
        following = []
        for (subject, _token), result in zip(waiting, results, strict=True):
            # An answer that says nothing must not pass for one that nothing is known.
            listed = (result.get("vulns") or []) if isinstance(result, dict) else None
            if not isinstance(listed, list):
                raise _not_osv(server, "an answer tells of no vulnerabilities")
            ids = [str(each.get("id", "")) for each in _dicts(listed)]
            if not all(map(_ID.match, ids)) or len(ids) != len(listed):
                raise _not_osv(server, "an identifier is none")
            found[subject] += ids
            if len(found[subject]) > _MOST:
                raise _not_osv(server, f"more than {_MOST} vulnerabilities of {' '.join(subject)}")
            if token := result.get("next_page_token"):
                following.append((subject, str(token)))
        waiting = following
    raise _not_osv(server, f"more than {_PAGES} pages")


def _query(subject: Subject, token: str) -> dict[str, object]:
    package, version = subject
    query: dict[str, object] = {"package": {"ecosystem": _ECOSYSTEM, "name": package}, "version": version}
    return query | ({"page_token": token} if token else {})


def _post(server: Server, body: object) -> dict[str, Any]:
    """Ask; a question changes nothing, so it may be asked again."""
    what = "POST /v1/querybatch"
    for attempt in server.attempts(what):
        with attempt:
            headers = {"Content-Type": "application/json"}
            answer = attempt.take(server.send("POST", "/v1/querybatch", json.dumps(body).encode(), headers=headers))
            return _object(server, what, answer.status_code, answer.content)
    raise AssertionError("attempts() ends with an error")


def _advisory(server: Server, number: str) -> dict[str, Any] | None:
    """Return an advisory, None if it is withdrawn or gone by now."""
    what = f"GET /v1/vulns/{number}"
    answer = server.get(f"/v1/vulns/{number}")
    if answer.status_code == _GONE:
        return None
    told = _object(server, what, answer.status_code, answer.content)
    if told.get("id") != number:
        raise _not_osv(server, f"{what} tells of another one")
    return None if told.get("withdrawn") else told


def _object(server: Server, what: str, status: int, content: bytes) -> dict[str, Any]:
    if status != _OK:
        raise NetworkError(f"{server.host} answers {status} to {what}", fix=_FIX)
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise _not_osv(server, f"{what} is no JSON object")
    return told


def _not_osv(server: Server, why: str) -> NetworkError:
    return NetworkError(f"{server.host} does not answer as OSV does: {why}", fix=_FIX)


# ------------------------------------------------------------------ judging


def _names(told: Mapping[str, Any]) -> set[str]:
    aliases = told.get("aliases")
    listed = aliases if isinstance(aliases, list) else []
    return {str(told["id"]), *(each for each in listed if isinstance(each, str) and _ID.match(each))}


def _groups(advisories: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return advisories, those that share a name together."""
    groups: list[tuple[set[str], list[Mapping[str, Any]]]] = []
    for told in advisories:
        names, members = _names(told), [told]
        for group in [group for group in groups if group[0] & names]:
            groups.remove(group)
            names |= group[0]
            members = [*group[1], *members]
        groups.append((names, members))
    return [members for _, members in groups]


def _joined(package: str, group: Sequence[Mapping[str, Any]]) -> Advisory:
    names = sorted(
        {name for told in group for name in _names(told)}, key=lambda name: (not name.startswith("CVE-"), name)
    )
    told_of = {str(told["id"]) for told in group}
    summaries = (str(told.get("summary") or "") for told in group)
    page = next((name for name in names if name in told_of), names[0])
    return Advisory(
        id=names[0],
        aliases=tuple(sorted(names[1:])),
        summary=log.clean(next(filter(None, summaries), ""))[:200],
        fixed=tuple(sorted({version for told in group for version in _fixed(package, told)})),
        url=_PAGE + page,
    )


def _fixed(package: str, told: Mapping[str, Any]) -> Iterator[Version]:
    """Yield the versions of *package* with which it ends; commits and other packages' versions say nothing here."""
    for affected in _dicts(told.get("affected")):
        of = affected.get("package")
        if not isinstance(of, dict) or of.get("ecosystem") != _ECOSYSTEM:
            continue
        if canonicalize_name(str(of.get("name"))) != package:
            continue
        for each in _dicts(affected.get("ranges")):
            for event in _dicts(each.get("events")) if each.get("type") != "GIT" else ():
                try:
                    yield read_version(event["fixed"])
                except (KeyError, TypeError, InvalidVersion):
                    continue


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    yield from (each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()
