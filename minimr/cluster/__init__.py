"""Real processes and sockets around the sans-IO core.

Read in this order: wire (bytes to frames), messages (frames to dataclasses), handshake (who may
talk), connection (one socket, its reader and its writer), coordinator, worker, nursery, slot,
shuffle_server, fetch, client, launcher.
"""
