"""What faults cost: the same job on ten workers that are well, with one killed, with one slow."""

from tests.bench.answers import number
from tests.bench.case import OUT, Candidate, Case, Goal
from tests.bench.setting import Setting

WELL = "ten workers, all well"
KILLED = "ten workers, one killed"
SLOW = "ten workers, one ten times slow"


def faults(setting: Setting) -> list[Candidate]:
    return [
        Candidate(name, setting.ours("with_faults.py", fault, OUT))
        for name, fault in ((WELL, "none"), (KILLED, "kill"), (SLOW, "slow"))
    ]


CASES = {
    "faults": Case(
        "A job of waiting tasks on ten workers, with faults",
        faults,
        number,
        [Goal(1.25, WELL, of=KILLED), Goal(1.3, WELL, of=SLOW)],
    )
}
