"""Invariant 15: no member of a parameter server runs ahead by more than the staleness asked for.

A member at clock c has finished c clocks. The bound says: when it reads at clock c, every member
has finished at least c - s of them. Lines of different members come in no particular order, so no
rule here compares their times. Each member says what it saw, and the rules ask

    of each read       whether it saw enough: for every key range at least c - s finished clocks
    of each member     whether its clocks follow one another, in each epoch from where it started,
                       and whether what it sees never goes back
    at the end         whether what was seen was true: nobody saw clocks that not all have finished

The lines are `member_note`s with `rank`, `epoch` and `what`:

    parameter_server_started   clock (the first it will train), staleness (None: no bound), members
    parameter_server_read      clock, versions (finished clocks, by key range)
    parameter_server_pushed    clock

What else a program notes is its own business. A member that dies takes its last notes with it;
where it starts again says what it had finished. When the gang starts as a whole (`gang_started`),
all of this begins anew, and epochs may count from 1 again; so it does when all that had started
were lost, one by one, before any of their successors had (`gang_formed`).
"""

from collections.abc import Iterator

from minimr.observe.checks.ledger import PUSHED, READ, STARTED, Event, Job, Ledger, Server, Trainer
from minimr.observe.checks.rules import ClosingRules, Finding, JobRules


def starts_in_a_new_epoch(event: Event, job: Job, _ledger: Ledger) -> Finding:
    trainer = _trainer(event, job, STARTED)
    if trainer is not None and event["epoch"] <= trainer.epoch:
        return f"{_who(event, job)} starts, but epoch {trainer.epoch} was there before"
    return None


def starts_on_the_same_terms(event: Event, job: Job, _ledger: Ledger) -> Finding:
    if event.get("what") != STARTED or job.server is None:
        return None
    if (event["staleness"], event["members"]) != (job.server.staleness, job.server.members):
        return f"{_who(event, job)} starts with other terms than the members before it"
    return None


def starts_where_it_was(event: Event, job: Job, _ledger: Ledger) -> Finding:
    trainer = _trainer(event, job, STARTED)
    if trainer is not None and event["clock"] < trainer.finished:
        done = trainer.finished
        return f"{_who(event, job)} starts at clock {event['clock']}, but {done} are finished"
    return None


def speaks_after_its_start(event: Event, job: Job, _ledger: Ledger) -> Finding:
    if event.get("what") in (READ, PUSHED) and _trainer(event, job, event["what"]) is None:
        return f"{_who(event, job)} speaks before it has started"
    return None


def reads_what_is_due(event: Event, job: Job, _ledger: Ledger) -> Finding:
    trainer, clock = _trainer(event, job, READ), event.get("clock")
    if trainer is None:
        return None
    if event["epoch"] != trainer.epoch or clock != trainer.clock or trainer.has_read:
        return f"{_who(event, job)} reads at clock {clock}, where {trainer.clock} was due"
    return None


def stays_within_the_bound(event: Event, job: Job, _ledger: Ledger) -> Finding:
    if event.get("what") != READ or job.server is None or job.server.staleness is None:
        return None
    ahead = event["clock"] - min(event["versions"])
    if ahead > job.server.staleness:
        gap = f"{ahead} ahead of the slowest; at most {job.server.staleness} are allowed"
        return f"{_who(event, job)} reads at clock {event['clock']}, {gap}"
    return None


def never_sees_less(event: Event, job: Job, _ledger: Ledger) -> Finding:
    trainer = _trainer(event, job, READ)
    if trainer is None:
        return None
    before, now = trainer.versions, event["versions"]
    if any(new < old for new, old in zip(now, before, strict=False)):
        return f"{_who(event, job)} reads versions {now} after {before}: time went back"
    return None


def pushes_what_it_read(event: Event, job: Job, _ledger: Ledger) -> Finding:
    trainer, clock = _trainer(event, job, PUSHED), event.get("clock")
    if trainer is None:
        return None
    if event["epoch"] != trainer.epoch or clock != trainer.clock or not trainer.has_read:
        due = f"{trainer.clock} was due, after a read"
        return f"{_who(event, job)} finishes clock {clock}, but {due}"
    return None


def what_was_seen_was_true(ledger: Ledger) -> Iterator[str]:
    """Of gangs that ended well: what the others noted last may never have reached the log."""
    for job in ledger.jobs.values():
        if job.server is not None and job.ended == "job_done":
            yield from _untrue(job.server, job.name)


def _untrue(server: Server, job: str) -> Iterator[str]:
    spoke = len(server.trainers)
    if spoke < server.members:
        yield f"{spoke} of the {server.members} members of {job} ever spoke"
    for rank, trainer in server.trainers.items():
        if trainer.finished < server.seen:
            yield (
                f"{server.seen_by} of {job} saw {server.seen} clocks finished by all, but member "
                f"{rank} finished {trainer.finished}"
            )


def _trainer(event: Event, job: Job, what: str) -> Trainer | None:
    """Who says this, if it is of this kind and its rank has spoken before."""
    if event.get("what") != what or job.server is None:
        return None
    return job.server.trainers.get(event["rank"])


def _who(event: Event, job: Job) -> str:
    return f"member {event['rank']} of {job.name} in epoch {event['epoch']}"


JOB_RULES: JobRules = tuple(
    ("member_note", 15, rule)
    for rule in (
        starts_in_a_new_epoch,
        starts_on_the_same_terms,
        starts_where_it_was,
        speaks_after_its_start,
        reads_what_is_due,
        stays_within_the_bound,
        never_sees_less,
        pushes_what_it_read,
    )
)
CLOSING_RULES: ClosingRules = ((15, what_was_seen_was_true),)
