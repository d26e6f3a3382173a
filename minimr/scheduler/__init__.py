"""The sans-IO core: what happens next, decided without a socket, a clock or a thread.

`Scheduler.handle(event, now)` takes one event, changes the state, and returns the actions that the
world must perform. Whoever calls it owns the loop: the coordinator with real workers over TCP, or
the simulator in virtual time. Nothing here imports socket, time, random, threading, os or numpy.

Read in this order: tables, state, events, actions, policy, scheduler, worker_machine.
"""
