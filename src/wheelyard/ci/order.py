"""Which package comes before which: waves, cycles, and what a failure stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelyard.core.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    Needs = Mapping[str, Collection[str]]


def waves(needs: Needs) -> tuple[tuple[str, ...], ...]:
    """Return the names of *needs*, sorted, in waves: what a wave needs is in those before it.

    Args:
        needs: what each name needs; names that are no keys are there already, and count for nothing.

    Raises:
        PlanError: some need each other; one such cycle is shown.
    """
    unmet_needs = {name: {other for other in needed_names if other in needs} for name, needed_names in needs.items()}
    users: dict[str, list[str]] = {}
    for name, needed_names in unmet_needs.items():
        for other in needed_names:
            users.setdefault(other, []).append(name)
    wave_list = []
    ready = sorted(name for name, needed_names in unmet_needs.items() if not needed_names)
    while ready:
        wave_list.append(tuple(ready))
        freed = []
        for name in ready:
            del unmet_needs[name]
            for user in users.get(name, ()):
                unmet_needs[user].discard(name)
                if not unmet_needs[user]:
                    freed.append(user)
        ready = sorted(freed)
    if unmet_needs:
        raise _cycle_error(find_cycle(unmet_needs))
    return tuple(wave_list)


def find_cycle(needs: Needs) -> tuple[str, ...]:
    """Return a cycle, each name needing the next and the last one the first, from its smallest name on; or nothing."""
    clear: set[str] = set()
    for start in sorted(needs):
        trail: list[str] = []
        at: dict[str, int] = {}
        todo = [(start, False)]
        while todo:
            name, leaving = todo.pop()
            if leaving:
                trail.pop()
                del at[name]
                clear.add(name)
            elif name in at:
                cycle = trail[at[name] :]
                first = cycle.index(min(cycle))
                return tuple(cycle[first:] + cycle[:first])
            elif name not in clear:
                at[name] = len(trail)
                trail.append(name)
                todo.append((name, True))
                todo += [(other, False) for other in sorted(needs[name], reverse=True) if other in needs]
    return ()


def stopped(needs: Needs, failed: Iterable[str]) -> frozenset[str]:
    """Return the jobs that cannot run after *failed* has failed: the jobs that need it, directly or not."""
    users: dict[str, list[str]] = {}
    for name, needed_names in needs.items():
        for other in needed_names:
            users.setdefault(other, []).append(name)
    roots = set(failed)
    stopped_names: set[str] = set()
    todo = list(roots)
    while todo:
        new_users = [user for user in users.get(todo.pop(), ()) if user not in stopped_names]
        stopped_names.update(new_users)
        todo += new_users
    return frozenset(stopped_names - roots)


def _cycle_error(cycle: tuple[str, ...]) -> PlanError:
    return PlanError(
        f"{len(cycle)} recipe(s) need each other: {' needs '.join((*cycle, cycle[0]))}",
        where=f"recipes/{cycle[0]}/recipe.toml",
        fix="take one of them out of [build] needs or [test] needs",
    )
