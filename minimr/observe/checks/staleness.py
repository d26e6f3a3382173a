"""Invariant of a parameter server: no member runs ahead by more than the staleness that was asked.

A member at clock c has finished c clocks. The bound says: when it reads at clock c, every member
has finished at least c - s of them. Lines of different members come in no particular order, so no
rule here compares their times. Each member says what it saw, and the rules ask

    of each read       whether it saw enough: for every key range at least c - s finished clocks
    of each member     whether its clocks follow one another, in each epoch from where it started,
                       and whether what it sees never goes back
    at the end         whether what was seen was true: nobody saw clocks that not all have finished

The lines are `member_note`s with `job`, `rank`, `epoch` and `what`:

    parameter_server   clock (the first it will train), staleness (None: no bound), members, fresh
                       (its range is new; a gang that starts again as a whole starts so)
    read               clock, versions (finished clocks, by key range)
    clock_finished     clock
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Event = Mapping[str, Any]


@dataclass(slots=True)
class Member:
    """What one member said; `finished` is how many clocks it surely has behind it."""

    epoch: int = 0
    clock: int = 0
    has_read: bool = False
    finished: int = 0
    versions: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Server:
    """One job's parameter server. `seen` is the highest version that any read saw."""

    members: int
    staleness: int | None
    by_rank: dict[int, Member] = field(default_factory=dict)
    seen: int = 0
    seen_by: str = ""


def check_staleness(events: Iterable[Event]) -> list[str]:
    """What is wrong in a whole log, in sentences; lines are counted as in the log's file."""
    servers: dict[str, Server] = {}
    found = [
        f"line {line}: {finding}"
        for line, event in enumerate(events, start=2)
        if event["event"] == "member_note"
        for finding in _judge(event, servers)
    ]
    for job, server in servers.items():
        found += [f"at the end: {finding} ({job})" for finding in _was_true(server)]
    return found


def _judge(event: Event, servers: dict[str, Server]) -> Iterator[str]:
    job, what = event.get("job", ""), event.get("what")
    if what == "parameter_server":
        server = servers.setdefault(job, Server(event["members"], event["staleness"]))
        yield from _starts(event, server)
    elif what in ("read", "clock_finished"):
        if job not in servers or event["rank"] not in servers[job].by_rank:
            yield f"{_who(event)} speaks before it has started"
        elif what == "read":
            yield from _reads(event, servers[job])
        else:
            yield from _finishes(event, servers[job])


def _starts(event: Event, server: Server) -> Iterator[str]:
    member = server.by_rank.setdefault(event["rank"], Member())
    if event["epoch"] <= member.epoch:
        yield f"{_who(event)} starts, but epoch {member.epoch} was there before"
    if event["staleness"] != server.staleness or event["members"] != server.members:
        yield f"{_who(event)} starts with other terms than the members before it"
    if event["fresh"]:
        member.finished, member.versions, server.seen = 0, [], 0
    if event["clock"] < member.finished:
        yield f"{_who(event)} starts at clock {event['clock']}, but {member.finished} are finished"
    member.epoch, member.clock, member.has_read = event["epoch"], event["clock"], False
    member.finished = max(member.finished, event["clock"])


def _reads(event: Event, server: Server) -> Iterator[str]:
    member, clock, versions = server.by_rank[event["rank"]], event["clock"], event["versions"]
    if event["epoch"] != member.epoch or clock != member.clock or member.has_read:
        yield f"{_who(event)} reads at clock {clock}, where {member.clock} was due"
    least = min(versions)
    if server.staleness is not None:
        if clock - least > server.staleness:
            gap = f"{clock - least} ahead of the slowest; at most {server.staleness} are allowed"
            yield f"{_who(event)} reads at clock {clock}, {gap}"
        if max(versions) > server.seen:
            server.seen, server.seen_by = max(versions), _who(event)
    if any(new < old for new, old in zip(versions, member.versions, strict=False)):
        yield f"{_who(event)} reads versions {versions} after {member.versions}: time went back"
    member.has_read, member.versions = True, versions


def _finishes(event: Event, server: Server) -> Iterator[str]:
    member, clock = server.by_rank[event["rank"]], event["clock"]
    if event["epoch"] != member.epoch or clock != member.clock or not member.has_read:
        yield f"{_who(event)} finishes clock {clock}, but {member.clock} was due, after a read"
    member.clock, member.has_read = clock + 1, False
    member.finished = max(member.finished, clock + 1)


def _was_true(server: Server) -> Iterator[str]:
    """A member that died after its last push never said that it had finished; it was one clock."""
    if len(server.by_rank) < server.members:
        yield f"{len(server.by_rank)} members ever spoke, and there are {server.members}"
    for rank, member in server.by_rank.items():
        may_have = member.finished + (1 if member.has_read else 0)
        if may_have < server.seen:
            yield (
                f"{server.seen_by} saw {server.seen} clocks finished by all, but member {rank} "
                f"finished {may_have}"
            )


def _who(event: Event) -> str:
    return f"member {event['rank']} in epoch {event['epoch']}"
