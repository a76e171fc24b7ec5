"""Pages of a list (lib/gitlab/pagination/offset_pagination.rb, offset_header_builder.rb)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from support.gitlab.wire import HaltError, as_json, site

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from support.gitlab.state import GitLab
    from support.gitlab.wire import Answer, Request

Row = TypeVar("Row")
LONGEST = 100  # Kaminari's max_per_page
COUNTED = 10_000  # Kaminari::ActiveRecordRelationMethods::MAX_COUNT_LIMIT


def number(params: Mapping[str, Any], key: str, default: int, largest: int | None = None) -> int:
    """Return a whole number that is not 0, as Grape coerces it."""
    text = str(params.get(key, default))
    if not text.isdigit():
        raise HaltError(as_json({"error": f"{key} is invalid"}, 400))
    if not int(text) or (largest is not None and int(text) > largest):
        raise HaltError(as_json({"error": f"{key} does not have a valid value"}, 400))
    return int(text)


def paged(gitlab: GitLab, request: Request, rows: Sequence[Row], entity: Callable[[Row], object]) -> Answer:
    """Return the page that is asked for; above 10,000 rows without totals, and without a link to the last page."""
    page = number(request.query, "page", 1)
    per_page = min(number(request.query, "per_page", 20), LONGEST)
    last = max(1, -(-len(rows) // per_page))
    following = page + 1 if page < last else None
    links = {"prev": page - 1 if 1 < page <= last + 1 else None, "next": following, "first": 1, "last": last}
    headers = {
        "X-Per-Page": str(per_page),
        "X-Page": str(page),
        "X-Next-Page": str(following or ""),
        "X-Prev-Page": str(links["prev"] or ""),
    }
    if len(rows) > COUNTED:
        del links["last"]
    else:
        headers |= {"X-Total": str(len(rows)), "X-Total-Pages": str(last)}
    here = site(request, gitlab.project_setting.external_url) + request.raw_path
    listed = []
    for relation, target in links.items():
        if target:
            query = urlencode({**request.query, "page": target, "per_page": per_page})
            listed.append(f'<{here}?{query}>; rel="{relation}"')
    headers["Link"] = ", ".join(listed)
    shown = rows[(page - 1) * per_page : page * per_page]
    return as_json([entity(row) for row in shown], headers=headers)
