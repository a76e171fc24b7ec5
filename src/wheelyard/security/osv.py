"""Known vulnerabilities of versions, from a server that speaks OSV's API (https://google.github.io/osv.dev/api/).

One question returns the identifiers for up to a thousand versions (``POST /v1/querybatch``), page by page; each is then
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
    """A vulnerability, under one or several names.

    Attributes:
        id: a CVE's name where there is one, else another.
        aliases: the other names, sorted.
        summary: its description, in one line.
        fixed: versions of this package that fix it, sorted.
        url: a page about it.
    """

    id: str
    aliases: tuple[str, ...]
    summary: str
    fixed: tuple[Version, ...]
    url: str


def vulnerabilities(url: str, subjects: Sequence[Subject]) -> dict[Subject, tuple[Advisory, ...]]:
    """Return the advisories of each version, without withdrawn ones.

    Args:
        url: the server, without ``/v1``.
        subjects: the packages and versions.

    Raises:
        NetworkError: the server does not answer, or not as OSV does.
    """
    server = Server(url, None)
    ids_by_subject: dict[Subject, list[str]] = {}
    for first in range(0, len(subjects), _BATCH):
        ids_by_subject |= _identifiers(server, subjects[first : first + _BATCH])
    identifiers = sorted({identifier for ids in ids_by_subject.values() for identifier in ids})
    with log.progress("reading advisories", len(identifiers), unit="advisories") as advance:

        def read(number: str) -> dict[str, Any] | None:
            record = _advisory(server, number)
            advance(1)
            return record

        advisories_by_id = dict(zip(identifiers, threads.each(read, identifiers, parallel=_PARALLEL), strict=True))
    advisories_by_subject = {}
    for subject, ids in ids_by_subject.items():
        records = [record for identifier in ids if (record := advisories_by_id[identifier])]
        advisories_by_subject[subject] = tuple(_joined(subject[0], group) for group in _groups(records))
    return advisories_by_subject


def _identifiers(server: Server, subjects: Sequence[Subject]) -> dict[Subject, list[str]]:
    """Return the identifiers for each of a batch; only queries that have more are asked for their next page."""
    ids_by_subject: dict[Subject, list[str]] = {subject: [] for subject in subjects}
    waiting: list[tuple[Subject, str]] = [(subject, "") for subject in subjects]
    for _ in range(_PAGES):
        if not waiting:
            return ids_by_subject
        queries = [_query(subject, token) for subject, token in waiting]
        results = _post(server, {"queries": queries}).get("results")
        if not isinstance(results, list) or len(results) != len(queries):
            raise _not_osv(server, "it does not answer each query")
        following = []
        for (subject, _token), result in zip(waiting, results, strict=True):
            # An answer without a list must not pass for one with an empty list.
            listed = (result.get("vulns") or []) if isinstance(result, dict) else None
            if not isinstance(listed, list):
                raise _not_osv(server, "an answer has no list of vulnerabilities")
            ids = [str(item.get("id", "")) for item in _dicts(listed)]
            if not all(map(_ID.match, ids)) or len(ids) != len(listed):
                raise _not_osv(server, "an identifier is not valid")
            ids_by_subject[subject] += ids
            if len(ids_by_subject[subject]) > _MOST:
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
    """Return the answer to a query; it changes nothing, so it may be sent again."""
    request = "POST /v1/querybatch"
    for attempt in server.attempts(request):
        with attempt:
            headers = {"Content-Type": "application/json"}
            answer = attempt.take(server.send("POST", "/v1/querybatch", json.dumps(body).encode(), headers=headers))
            return _object(server, request, answer.status_code, answer.content)
    raise AssertionError("attempts() ends with an error")


def _advisory(server: Server, number: str) -> dict[str, Any] | None:
    """Return an advisory, None if it is withdrawn or removed."""
    request = f"GET /v1/vulns/{number}"
    answer = server.get(f"/v1/vulns/{number}")
    if answer.status_code == _GONE:
        return None
    record = _object(server, request, answer.status_code, answer.content)
    if record.get("id") != number:
        raise _not_osv(server, f"{request} answers with another advisory")
    return None if record.get("withdrawn") else record


def _object(server: Server, request: str, status: int, content: bytes) -> dict[str, Any]:
    if status != _OK:
        raise NetworkError(f"{server.host} answers {status} to {request}", fix=_FIX)
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise _not_osv(server, f"{request} is not a JSON object")
    return record


def _not_osv(server: Server, why: str) -> NetworkError:
    return NetworkError(f"{server.host} does not answer as OSV does: {why}", fix=_FIX)


# ------------------------------------------------------------------ judging


def _names(record: Mapping[str, Any]) -> set[str]:
    aliases = record.get("aliases")
    listed = aliases if isinstance(aliases, list) else []
    return {str(record["id"]), *(alias for alias in listed if isinstance(alias, str) and _ID.match(alias))}


def _groups(advisories: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return groups of advisories that share a name."""
    groups: list[tuple[set[str], list[Mapping[str, Any]]]] = []
    for record in advisories:
        names, members = _names(record), [record]
        for group in [group for group in groups if group[0] & names]:
            groups.remove(group)
            names |= group[0]
            members = [*group[1], *members]
        groups.append((names, members))
    return [members for _, members in groups]


def _joined(package: str, group: Sequence[Mapping[str, Any]]) -> Advisory:
    names = sorted(
        {name for record in group for name in _names(record)}, key=lambda name: (not name.startswith("CVE-"), name)
    )
    ids_of_pages = {str(record["id"]) for record in group}
    summaries = (str(record.get("summary") or "") for record in group)
    page = next((name for name in names if name in ids_of_pages), names[0])
    return Advisory(
        id=names[0],
        aliases=tuple(sorted(names[1:])),
        summary=log.clean(next(filter(None, summaries), ""))[:200],
        fixed=tuple(sorted({version for record in group for version in _fixed(package, record)})),
        url=_PAGE + page,
    )


def _fixed(package: str, record: Mapping[str, Any]) -> Iterator[Version]:
    """Yield the versions of *package* that fix it; commits and other packages' versions are skipped."""
    for affected in _dicts(record.get("affected")):
        of = affected.get("package")
        if not isinstance(of, dict) or of.get("ecosystem") != _ECOSYSTEM:
            continue
        if canonicalize_name(str(of.get("name"))) != package:
            continue
        for versions in _dicts(affected.get("ranges")):
            for event in _dicts(versions.get("events")) if versions.get("type") != "GIT" else ():
                try:
                    yield read_version(event["fixed"])
                except (KeyError, TypeError, InvalidVersion):
                    continue


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    yield from (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()
