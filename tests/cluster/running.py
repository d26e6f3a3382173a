"""A job that runs while the test looks on, and what it leaves."""

import threading
from concurrent.futures import Future
from hashlib import sha256

EVENT_S = 20.0
JOB_S = 40.0


class Running:
    """A job in a thread: its events can be waited for, and its end has a deadline."""

    def __init__(self, cluster, job, books, output):
        self._seen, self._news = [], threading.Condition()
        self._ended = Future()
        cluster._on_event = self._note
        arguments = (cluster, job, [str(books)], output)
        threading.Thread(target=self._run, args=arguments, daemon=True).start()

    def _run(self, cluster, job, inputs, output):
        try:
            self._ended.set_result(cluster.run(job, inputs, output, reducers=3))
        except BaseException as error:
            self._ended.set_exception(error)

    def _note(self, event):
        with self._news:
            self._seen.append(event)
            self._news.notify_all()

    def wait_for(self, **fields):
        def found():
            return [event for event in self._seen if fields.items() <= event.items()]

        with self._news:
            assert self._news.wait_for(found, EVENT_S), f"no {fields}"
            return found()[0]

    def finish(self):
        return self._ended.result(JOB_S)

    def named(self, event):
        return [each for each in self._seen if each["event"] == event]


def digests(output):
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in output.glob("part-*")}
