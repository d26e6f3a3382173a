"""What the code of a `map` proves about all that it will ever yield.

Each pair must be looked at before it is taken: a two-letter string unpacks like a pair, and `True`
would count as 1. For a job that counts, that is a tenth of its time, spent on what can be read off
its code once. In

    yield word, 1

the compiler puts a constant, a BUILD_TUPLE of two and a YIELD_VALUE one after the other. If every
yield of a generator function is made so, and no jump leads in between, then whatever the function
does, it yields pairs, and their values are that constant. So does a virtual machine prove before it
runs foreign code that no instruction meets a value of the wrong type (Leroy 2003). Code that does
not look so proves nothing, and its pairs are looked at one by one.
"""

import dis
from inspect import CO_GENERATOR
from types import FunctionType, MethodType
from typing import Any

from minimr.job import Job

CONSTANTS = ("LOAD_CONST", "LOAD_SMALL_INT")


def yields_constant_ints(job: Job) -> bool:
    """Tell whether all that the job's map yields is proven to be pairs with an int as their value.

    True and False are no ints here.
    """
    makers = [job.map] if job.map_block is None else [job.map, job.map_block]
    return all(map(_proves_it, makers))


def _proves_it(function: Any) -> bool:
    if type(function) not in (FunctionType, MethodType):
        return False
    code = function.__code__
    if not code.co_flags & CO_GENERATOR:
        return False
    steps = list(dis.get_instructions(code))
    yields = [at for at, step in enumerate(steps) if step.opname == "YIELD_VALUE"]
    return all(at >= 2 and _is_constant_pair(*steps[at - 2 : at + 1]) for at in yields)


def _is_constant_pair(
    value: dis.Instruction, pair: dis.Instruction, yielded: dis.Instruction
) -> bool:
    """Tell whether these three make and yield (something, an int), wherever one comes from."""
    return (
        value.opname in CONSTANTS
        and type(value.argval) is int
        and (pair.opname, pair.arg) == ("BUILD_TUPLE", 2)
        and not (pair.is_jump_target or yielded.is_jump_target)
    )
