"""Every order of events, for a world small enough: model checking with the real state machines.

Random runs visit likely orders often and unlikely ones never. Here a job of two maps and two
reduces on two workers is run in *all* orders in which messages may arrive and attempts may end,
with at most one crash and one duplicated report put in at every place (and, if asked for, one
restart of the coordinator).

Depth first, with states that were met before cut off (Holzmann, The Spin model checker, 2003). To
step back, the path is run again from its beginning: a few dozen steps cost less than a copy of two
state machines.
"""

from dataclasses import dataclass, field

from minimr.simulator.timeless import Broken, Choice, Limits, Model

DEPTH_MAX = 400


@dataclass
class Found:
    """What an exploration saw. `broken` has the choices that led to each broken promise."""

    states: int = 0
    steps: int = 0
    ends: int = 0
    broken: list[tuple[str, list[Choice]]] = field(default_factory=list)


def explore(limits: Limits | None = None, states_max: int = 5_000_000, stop_at: int = 1) -> Found:
    """Visit every state. Stops after `stop_at` broken promises, or at `states_max` states."""
    limits = limits or Limits()
    found, seen = Found(), {Model(limits).key()}
    stack: list[list[Choice]] = [[choice] for choice in Model(limits).choices()]
    while stack and len(found.broken) < stop_at and len(seen) < states_max:
        path = stack.pop()
        try:
            _walk(limits, path, seen, stack, found)
        except Broken as error:
            found.broken.append((str(error), path))
    found.states = len(seen)
    return found


def _walk(
    limits: Limits, path: list[Choice], seen: set[bytes], stack: list[list[Choice]], found: Found
) -> None:
    """Run a path, then go on with the first choice at every new state, and note the others.

    `path` grows as the walk goes on, so that whoever catches Broken knows the way.
    """
    model = Model(limits)
    model.watched = False
    for choice in path[:-1]:
        model.apply(choice)
    model.watched = True
    model.apply(path[-1])
    found.steps += len(path)
    while True:
        key = model.key()
        if key in seen:
            return
        seen.add(key)
        choices = list(model.choices())
        if not choices:
            model.check_end()
            found.ends += 1
            return
        if len(path) > DEPTH_MAX:
            raise Broken(f"after {DEPTH_MAX} steps the job has still not ended")
        stack += [[*path, choice] for choice in choices[1:]]
        path.append(choices[0])
        model.apply(choices[0])
        found.steps += 1
