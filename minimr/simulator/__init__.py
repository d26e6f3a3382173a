"""The scheduler and the worker machine in virtual time, under any fault, from one seed.

A deterministic simulation in the manner of FoundationDB (Zhou et al., SIGMOD 2021, section 4): the
code that decides is the real one; network, disks, clocks and processes are simulated around it, in
one thread, with one source of chance. A failure is a seed, and a seed is a failure for ever.

Read in this order: loop, network, disk, storage; work and computation (what tasks cost and make);
slot, attempt, worker, coordinator, client, world; faults, inject, schedule; judge, run, seeds,
shrink, scenario; explore, which tries all orders. The paper's experiments: cost, osdi04, figure.
"""
