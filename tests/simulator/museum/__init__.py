"""The bug museum: known mistakes, put into the code one at a time, and what notices each.

A checker that never fired proves nothing, and neither does a fault that no checker would have
noticed. So every exhibit is a *mutant*: a few lines of the scheduler, the journal or the commit as
somebody could have written them, most as somebody did. Each must be killed by the simulator's
seeds, the same ones that the healthy code passes.

    python -m tests.simulator.museum            hunt all, write tutorials/internals/museum.md
    python -m tests.simulator.museum NAME ...   hunt these, and print what was found

Read in this order: mutant, commits (and the other wings), mutants, hunt, run, table.
"""
