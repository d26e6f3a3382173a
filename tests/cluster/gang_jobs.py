"""Programs for gangs: they add up what all members own, and some of them misbehave."""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import minimr as mr

STEPS = 3


class Adds(mr.Job):
    """In each step every member tells all others the sum of its labels; the total is the same for
    all. At step 1 member 1 does its `deed`, once: `marker` is a file that says that it did."""

    deed: str = ""
    marker: str = ""

    def gang(self, blocks, members):
        own = sum(float(block.columns["y"].sum()) for _, block in blocks)
        kept = [agreed(members)]
        (first, total), *_ = kept
        self.count("members")
        for step in range(first, STEPS):
            if step == 1 and self.deed:
                self.come_to_the_deed(members)
            for other in others(members):
                members.send(other, "sum", own)
            try:
                total += own + sum(members.receive(other, "sum") for other in others(members))
            except mr.MemberLost as lost:
                raise RuntimeError("a program may say it in its own words") from lost
            members.note(step=step, total=total)
            kept = [kept[-1], (step + 1, total)]
            members.save(kept)
        indices = [index for index, _ in blocks]
        yield members.rank, (indices, total, members.epoch, members.size)

    def come_to_the_deed(self, members):
        """Only when all have saved step 1: nothing before it is to be done again."""
        if members.rank != 1:
            members.send(1, "saved step 1", None)
            return
        for other in others(members):
            members.receive(other, "saved step 1")
        if not Path(self.marker).exists():
            for other in others(members):
                members.receive(other, "sum")  # Now they have saved what was before this step, too.
            Path(self.marker).touch()
            print("about to", self.deed)
            DEEDS[self.deed](members)


def others(members):
    return [rank for rank in range(members.size) if rank != members.rank]


def agreed(members):
    """The last step that all have saved, and the total there."""
    saved = [(0, 0.0), *(members.saved or [])]
    for other in others(members):
        members.send(other, "saved", [step for step, _ in saved])
    common = {step for step, _ in saved}
    for other in others(members):
        common &= set(members.receive(other, "saved"))
    return next(each for each in saved if each[0] == max(common))


def _raise(_members):
    raise ValueError("step 1 is not to my taste")


def _kill_worker(_members):
    """The slot's parent is the nursery, whose parent is the worker."""
    nursery = Path(f"/proc/{os.getppid()}/stat").read_text()
    os.kill(int(nursery.rpartition(")")[2].split()[1]), signal.SIGKILL)
    time.sleep(60)


DEEDS = {
    "raise": _raise,
    "exit": lambda _members: sys.exit(3),
    "die": lambda _members: os.kill(os.getpid(), signal.SIGKILL),
    "kill the worker": _kill_worker,
    "save too much": lambda members: members.save(bytes((64 << 20) + 1)),
    "note an object": lambda members: members.note(what=object()),
}


class Serves(mr.Job):
    """Member 0 waits for what the others tell it, and for those that have to come back."""

    marker: str = ""

    def gang(self, blocks, members):
        if members.rank == 0:
            told = [self.hear(members, rank) for rank in others(members)]
            for rank in others(members):
                members.send(rank, "end", None)
            yield 0, (told, members.epoch)
            return
        if members.rank == 1 and not Path(self.marker).exists():
            Path(self.marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        members.send(0, "told", len(blocks))
        members.receive(0, "end")
        if members.rank == 1:
            assert members.receive(2, "hello") == "hello"
        else:
            self.greet(members)
        yield members.rank, (members.saved, members.epoch)

    def hear(self, members, rank):
        while True:
            try:
                return members.receive(rank, "told")
            except mr.MemberLost as lost:
                members.await_member(lost.rank)

    def greet(self, members):
        try:
            members.send(1, "hello", "hello")
        except mr.MemberLost:
            members.await_member(1)
            members.send(1, "hello", "hello")


class EndsTooSoon(mr.Job):
    """Member 1 is started again, and then needs member 0, which has only waited for that to end."""

    marker: str = ""

    def gang(self, blocks, members):
        first = not Path(self.marker).exists()
        if members.rank == 0 and first:
            members.send(1, "go", None)
            with suppress(mr.MemberLost):
                members.receive(1, "never")
            members.await_member(1)
        elif first:
            members.receive(0, "go")
            Path(self.marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        elif members.epoch == 2:
            with suppress(mr.MemberLost):
                members.receive(0, "never")
            members.await_member(0)
        yield members.rank, members.epoch
