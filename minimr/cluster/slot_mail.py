"""What a worker says to its slot, which has one thread and mostly no time to listen.

Between attempts the slot reads for itself. A member of a gang must hear, while it computes, that
another one was started again; so from the first gang on a thread reads, hands over at once what is
for the member, and leaves the rest for later.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from minimr.cluster.connection import Connection
from minimr.cluster.messages import Message
from minimr.errors import ProtocolError

Hear = Callable[[Message], bool]
"""Takes a message, or says False: then it waits for `receive`."""


class SlotMail:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: SimpleQueue[list[Message] | None] | None = None
        self._hear: Hear = lambda _: False

    def receive(self) -> list[Message]:
        """The next messages. Raises EOFError or OSError when the worker is gone."""
        if self._waiting is None:
            return self._connection.receive()
        messages = self._waiting.get()
        if messages is None:
            raise EOFError("the worker closed the connection")
        return messages

    def listen(self, hear: Hear) -> None:
        """From now on `hear` is called for each message, by a thread."""
        self._hear = hear
        if self._waiting is None:
            self._waiting = SimpleQueue()
            reader = threading.Thread(
                target=self._read, args=(self._waiting,), name="slot mail", daemon=True
            )
            reader.start()

    def _read(self, waiting: "SimpleQueue[list[Message] | None]") -> None:
        try:
            while True:
                messages = self._connection.receive()
                if rest := [each for each in messages if not self._hear(each)]:
                    waiting.put(rest)
        except (EOFError, OSError, ProtocolError):
            waiting.put(None)
