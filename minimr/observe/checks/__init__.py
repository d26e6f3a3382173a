"""Checkers that judge a run by its event log alone.

"If a property must hold, let something check it that does not share the bug." The rules here know
the events and the promises, and nothing of the scheduler: no line is shared, nothing is imported.
They judge real runs and simulated ones alike.

    check(events)   the violations of the 15 invariants in CHECKS, in the order of the log
    judged(events)  the same, with the invariants that the log is too silent to judge
    Judge           the same, event by event, beside a run that goes on

An invariant whose fields the log lacks is *not judged*, which is not the same as held: a log of an
older minimr must neither fail nor pass for what it does not tell.

Read in this order: ledger, folds, rules, then the themes (commits, attempts, gangs,
staleness, shuffle, jobs, workers, results, aftermath), judge, published.

Two kinds of lines are for these checkers. After a restart the coordinator says what its journal
gave back, since the last lines before the crash may never have reached the log: job_restored (the
fields of job_submitted, and `state`), then for each finished task task_restored (the fields of
attempt_done), and for a job that has ended its end again. The simulator writes
journal_checked{ok, at} or journal_mismatch{...}, and world_closed{leftovers} as the last line.
"""

from minimr.observe.checks.judge import CHECKS, Judge, Verdict, Violation, check, judged
from minimr.observe.checks.ledger import Expected

__all__ = ["CHECKS", "Expected", "Judge", "Verdict", "Violation", "check", "judged"]
