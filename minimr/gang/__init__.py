"""What the members of a gang do with each other.

MapReduce's tasks never meet: each reads, computes, writes and ends, which is why any of them can be
run again alone. A gang is the other kind of parallel program, as in MPI: K members run at the same
time, know each other by rank (0 to K-1), and send each other messages while they work.

Read in this order: members (what a member can do), in_process (the same with threads), ring (all
add up their arrays), key_range and parameter_server (one vector that all read and update, a range
at each member), compression.
"""
