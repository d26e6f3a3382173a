"""All-reduce of one large array between processes on one machine."""

from functools import partial

from tests.bench.answers import number
from tests.bench.case import OUT, Candidate, Case, Goal
from tests.bench.setting import Setting

GLOO = "torch, gloo"


def all_reduce(setting: Setting, members: int) -> list[Candidate]:
    length = setting.scaled(10_000_000)
    arguments = ("all_reduce", OUT, members, length)
    return [
        Candidate("minimr", setting.ours("on_ring.py", *arguments)),
        Candidate(GLOO, setting.peer("on_torch.py", *arguments), "torch"),
    ]


CASES = {
    f"all-reduce-{members}": Case(
        f"All-reduce of 10,000,000 float64 between {members} processes",
        partial(all_reduce, members=members),
        number,
        [Goal(1.0, GLOO)],
        unit="ms",
        digits=0,
    )
    for members in (2, 3, 4)
}
