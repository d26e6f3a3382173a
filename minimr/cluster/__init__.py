"""Real processes and sockets around the sans-IO core.

Read in this order: wire (bytes to frames), messages (frames to dataclasses), handshake (who may
talk), connection and listener (sockets), loop (the one that owns the state), coordinator and
performer (its hands), worker, nursery, slot, shuffle_server and fetch, client, local and standing
(a whole cluster, for one process or for many).
"""
