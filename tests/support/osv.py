"""A database of vulnerabilities on the loopback that speaks OSV's API.

What it does is what OSV's documentation has (google/osv.dev, docs/api): ``post-v1-querybatch.md`` (identifiers and
``modified`` alone, one result for each question in its order, a ``next_page_token`` of its own for each),
``post-v1-query.md`` (``package`` by name and ecosystem, ``page_token``), ``get-v1-vulns.md``; a batch has at most 1000
questions (``osv_service_v1.proto``). Advisories are as https://ossf.github.io/osv-schema/ has them.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.loopback import Loopback

MODIFIED = "2026-01-01T00:00:00Z"
_MOST = 1000


class OSV(Loopback):
    """Serves while the context lasts.

    Attributes:
        advisories: by identifier.
        affected: which of them a version of a package has.
        page: how many identifiers a page holds.
        asked: each request's path.
        batches: how many questions each batch had.
        broken: statuses that the next requests are answered with.
        answer: what every question is answered with instead, if anything.
    """

    def __init__(self) -> None:
        self.advisories: dict[str, dict[str, Any]] = {}
        self.affected: dict[tuple[str, str], list[str]] = {}
        self.page = 1000
        self.asked: list[str] = []
        self.batches: list[int] = []
        self.broken: list[int] = []
        self.answer: object = None
        osv = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._say(*osv.batch(self.path, body))

            def do_GET(self) -> None:
                self._say(*osv.one(self.path))

            def _say(self, status: int, value: object) -> None:
                osv.asked.append(self.path)
                if osv.broken:
                    status, value = osv.broken.pop(0), {"code": 13, "message": "broken"}
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), Handler))

    @property
    def url(self) -> str:
        return self.root

    def add(
        self,
        number: str,
        package: str,
        versions: tuple[str, ...],
        *,
        fixed: tuple[str, ...] = (),
        aliases: tuple[str, ...] = (),
        summary: str = "it is bad",
        **more: object,
    ) -> None:
        """Add an advisory on versions of a package."""
        events = [{"introduced": "0"}, *({"fixed": each} for each in fixed)]
        of = {"ecosystem": "PyPI", "name": package, "purl": f"pkg:pypi/{package}"}
        self.advisories[number] = {
            "id": number,
            "modified": MODIFIED,
            "aliases": list(aliases),
            "summary": summary,
            "affected": [{"package": of, "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
            **more,
        }
        for version in versions:
            self.affected.setdefault((package, version), []).append(number)

    def batch(self, path: str, body: dict[str, Any]) -> tuple[int, object]:
        queries = body["queries"]
        self.batches.append(len(queries))
        if path != "/v1/querybatch" or len(queries) > _MOST:
            return 400, {"code": 3, "message": "Too many queries"}
        return 200, self.answer or {"results": [self._result(query) for query in queries]}

    def _result(self, query: dict[str, Any]) -> dict[str, Any]:
        assert query["package"]["ecosystem"] == "PyPI"
        ids = self.affected.get((query["package"]["name"], query["version"]), [])
        first = int(query.get("page_token") or 0)
        shown = ids[first : first + self.page]
        result: dict[str, Any] = {"vulns": [{"id": each, "modified": MODIFIED} for each in shown]} if shown else {}
        if first + self.page < len(ids):
            result["next_page_token"] = str(first + self.page)
        return result

    def one(self, path: str) -> tuple[int, object]:
        found = self.advisories.get(path.removeprefix("/v1/vulns/"))
        return (200, found) if found else (404, {"code": 5, "message": "Bug not found."})
