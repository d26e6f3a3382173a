"""The coordinator against peers that know the token and still do not behave."""

import gc
import socket
import time
import weakref

import pytest

import minimr as mr
from minimr.cluster import client_desk, jobs, listener, performer, recall
from minimr.cluster import messages as m
from minimr.cluster.connect import connect
from minimr.cluster.connection import Connection, encode_messages
from minimr.cluster.coordinator import LOOK_UP_S, Coordinator
from minimr.cluster.gang_messages import MemberNotes
from minimr.cluster.joined import joined
from minimr.cluster.journal import Journal
from minimr.cluster.wire import Blob
from minimr.cluster.worker import holding
from minimr.errors import MinimrError, NoCoordinator
from minimr.scheduler.state import AttemptId


@pytest.fixture
def coordinator():
    each = Coordinator()
    each.start()
    yield each
    each.stop()


@pytest.fixture
def peer(coordinator):
    """Connects in a role; closed at the end."""
    opened = []

    def work(role):
        opened.append(Connection(connect(coordinator.address(0), role)))
        return opened[-1]

    yield work
    for connection in opened:
        connection.close()


def test_a_coordinator_whose_journal_fails_stops_and_says_why(tmp_path, monkeypatch):
    """Nothing is told to anybody that the disk does not hold."""
    with Journal.open(tmp_path / "journal") as journal:
        each = Coordinator(journal=journal)
        each.start()
        client = Connection(connect(each.address(0), "client"))

        def full(values):
            raise MinimrError("Cannot write the journal: no space left")

        monkeypatch.setattr(journal, "append", full)
        client.send([submit()])
        assert each.wait(10)
        assert "no space left" in str(each.failed)
        client.close()


def test_jobs_that_ended_long_ago_leave_the_journal_at_a_restart(tmp_path, monkeypatch):
    """With their cargo. Those that ended last are known as before."""
    for module in (jobs, recall):
        monkeypatch.setattr(module, "KEPT_MAX", 2)
    known, records = [], []
    for epoch in range(3):
        with Journal.open(tmp_path / "journal") as journal:
            records.append(len(journal.records))
            each = Coordinator(journal=journal)
            each.start()
            client = Connection(connect(each.address(0), "client"))
            for number in range(0 if epoch else 6):
                client.send([submit(watch=False), m.CancelJob(2, f"job-{number + 1}")])
                answers(client)
            known.append([(job["job"], job["state"]) for job in status(client)["jobs"]])
            client.close()
            each.stop()
    assert known == [[("job-5", "cancelled"), ("job-6", "cancelled")]] * 3
    assert records == [0, 12, 4], "accepted and closed: two for each job"


def test_how_long_a_job_took_that_ended_before_a_restart_is_not_known(tmp_path):
    known = []
    for epoch in range(2):
        with Journal.open(tmp_path / "journal") as journal:
            each = Coordinator(journal=journal)
            each.start()
            client = Connection(connect(each.address(0), "client"))
            if not epoch:
                client.send([submit(watch=False), m.CancelJob(2, "job-1")])
                answers(client)
            known += [job["seconds"] is None for job in status(client)["jobs"]]
            client.close()
            each.stop()
    assert known == [False, True]


def test_whoever_waits_for_its_end_looks_up_now_and_then(coordinator, monkeypatch):
    """A signal that another thread of the process takes does not end the wait for a lock."""
    waits = []

    class Stopped:
        def wait(self, timeout_s=None):
            waits.append(timeout_s)
            return len(waits) == 3

    with monkeypatch.context() as patch:
        patch.setattr(coordinator, "_stopped", Stopped())
        assert coordinator.wait()
    assert waits == [LOOK_UP_S] * 3


def test_a_worker_that_comes_back_forgets_jobs_that_ended_without_it(tmp_path):
    """The coordinator of the next epoch knows no such job; the worker still has its files."""
    for epoch in range(2):
        with Journal.open(tmp_path / "journal") as journal:
            each = Coordinator(journal=journal)
            each.start()
            if epoch:
                worker = Connection(connect(each.address(0), "worker"))
                held = AttemptId("job-7", "map", 0, 0)
                worker.send(
                    [m.Register(1, "127.0.0.1", 1, 1, "worker-1", 0, [held], [], ["job-7"])]
                )
                told = answers(worker)
                while not any(isinstance(message, m.Forget) for message in told):
                    told += answers(worker)
                assert [x.kept for x in told if isinstance(x, m.Registered)] == [True]
                assert [x.job for x in told if isinstance(x, m.Forget)] == ["job-7"]
                worker.close()
            each.stop()


def test_no_two_workers_have_one_name(tmp_path):
    """Whatever they say that they were called before the restart."""
    for epoch in range(2):
        with Journal.open(tmp_path / "journal") as journal:
            each = Coordinator(journal=journal)
            each.start()
            if epoch:
                names = []
                workers = [Connection(connect(each.address(0), "worker")) for _ in range(4)]
                for worker, claimed in zip(
                    workers, ("worker-1.2", "", "", "worker-1.3"), strict=True
                ):
                    worker.send([m.Register(1, "127.0.0.1", 1, 1, claimed, 0)])
                    names += [x.worker for x in answers(worker) if isinstance(x, m.Registered)]
                assert names == ["worker-1.2", "worker-1.1", "worker-1.3", "worker-1.4"]
                for worker in workers:
                    worker.close()
            each.stop()


def test_a_worker_that_holds_more_than_one_message_can_name_comes_back_with_all_of_it(
    tmp_path, monkeypatch
):
    held = [AttemptId("job-7", "map", index, 0) for index in range(50_000)]
    joined_as = []
    for epoch in range(2):
        with Journal.open(tmp_path / "journal") as journal:
            each = Coordinator(journal=journal)
            each.start()
            if epoch:
                monkeypatch.setattr(
                    each._scheduler, "react", lambda event, _: joined_as.append(event)
                )
                worker = Connection(connect(each.address(0), "worker"))
                register = m.Register(1, "127.0.0.1", 1, 1, "worker-1", 0)
                worker.send([*holding(held), register])
                assert [x.kept for x in answers(worker)] == [True]
                monkeypatch.undo()
                worker.close()
            each.stop()
    assert joined_as[0].holds == tuple(held)


def answers(connection):
    """The next frame's messages, or None if the coordinator hung up."""
    connection.sock.settimeout(10)
    try:
        return connection.receive()
    except (EOFError, ConnectionError):
        return None


def is_cut_off(connection, capsys):
    """For what it said, and not for its silence since."""
    return answers(connection) is None and "it broke the protocol" in capsys.readouterr().err


def status(connection):
    connection.send([m.GetStatus(1)])
    (reply,) = answers(connection)
    return reply.value


def test_who_waits_for_workers_and_leaves_is_forgotten(coordinator):
    """Whoever it is: a cluster may be without any for long, and many may lose their patience."""
    client = Connection(connect(coordinator.address(0), "client"))
    client.send([m.AwaitWorkers(1, 1), m.Beat()])
    answers(client)
    (waiting,) = [weakref.ref(each.connection) for each in coordinator._peers]
    client.shut()
    assert answers(client) is None
    client.close()
    give_up_at = time.monotonic() + 10
    while waiting() is not None:
        assert time.monotonic() < give_up_at, "it is still known"
        gc.collect()


def test_more_jobs_than_a_message_can_name_are_told_as_the_newest_and_how_many_more(
    coordinator, peer, monkeypatch
):
    monkeypatch.setattr(client_desk, "JOBS_BYTES_MAX", 4_000)
    client = peer("client")
    client.send([submit(name="x" * 100, watch=False)] * 50)
    replies = []
    while len(replies) < 50:
        replies += answers(client)
    client.send([m.GetStatus(1)])
    (reply,) = answers(client)
    told = [each["job"] for each in reply.value["jobs"]]
    assert 10 < len(told) < 40
    assert told == [f"job-{number}" for number in range(51 - len(told), 51)]
    assert reply.value["older_jobs"] == 50 - len(told)


def test_a_job_with_a_name_that_is_no_unicode_has_a_status_as_others(coordinator, peer):
    """A path may hold any bytes, and stands in the status as the place of the job's log."""
    client = peer("client")
    client.send([submit(name="caf\udce9", watch=False)])
    answers(client)
    assert [each["name"] for each in status(client)["jobs"]] == ["caf\udce9"]


def submit(**changes):
    fields = {
        "request": 1, "name": "x", "kind": "job", "maps": 1, "reduces": 1, "source": None,
        "code": "c", "spec": Blob(b""), "inputs": Blob(joined([b""])), "output": None,
        "watch": True, "events": False,
    }  # fmt: skip
    return m.Submit(**{**fields, **changes})


ATTEMPT = AttemptId("job-1", "map", 0, 0)
OUTPUT = {"staging": "/none/staging", "final": "/none/final", "format": "text"}
PART = {"name": "part-00000", "records": 1, "bytes": 2, "sha256": "0", "kinds": ["str", "int"]}


@pytest.mark.parametrize(
    "message",
    [
        m.Draining(),
        m.Done(ATTEMPT, None, {}, {}, None, "printed"),
        m.Register(1, "127.0.0.1", 1, 1),
        submit(maps=0, inputs=Blob(joined([]))),
        submit(maps=2),
        submit(reduces=0),
        submit(kind="load", reduces=1),
        submit(kind="gang", restart="all", reduces=1),
        submit(kind="round", reduces=-1),
        submit(kind="rounds"),
        submit(reduces=1 << 40),
        submit(kind="load", reduces=0, maps=1 << 40, source="data-7", inputs=None),
        submit(kind="round"),
        submit(kind="gang", restart="all", reduces=0),
        submit(kind="job", source="data-7", inputs=None),
        submit(output={}),
        submit(output={**OUTPUT, "staging": 7}),
        submit(output={**OUTPUT, "final": "a\0b"}),
        submit(output={**OUTPUT, "skip_max": "all"}),
        submit(output={**OUTPUT, "log": 5}),
        submit(output={**OUTPUT, "colour": "red"}),
        submit(kind="load", reduces=0, output=OUTPUT),
    ],
    ids=str,
)
def test_a_client_that_sends_nonsense_is_cut_off(peer, capsys, message):
    client = peer("client")
    client.send([message])
    assert is_cut_off(client, capsys)
    assert status(peer("client"))["workers"] == [], "and the coordinator goes on"


@pytest.mark.parametrize(
    "message",
    [
        m.Draining(),
        submit(),
        m.Register(0, "127.0.0.1", 1, 1),
        m.Register(1, "", 1, 1),
        m.Register(1, "\0", 1, 1),
        m.Register(1, "h" * 300, 1, 1),
        m.Register(1, "127.0.0.1", 65_536, 1),
        m.Register(1, "127.0.0.1", -1, 1),
        m.Shutdown(1),
    ],
    ids=str,
)
def test_a_worker_that_sends_nonsense_is_cut_off(peer, capsys, message):
    worker = peer("worker")
    worker.send([message])
    assert is_cut_off(worker, capsys)
    assert status(peer("client"))["workers"] == []


def done(attempt, segments=None, stats=None, counters=None, part=None, **others):
    return m.Done(attempt, segments, stats or {}, counters or {}, part, "", **others)


def test_a_job_that_failed_has_done_what_it_did(peer):
    """Whether or not somebody asked for its status before."""
    client, worker = peer("client"), peer("worker")
    worker.send([m.Register(1, "127.0.0.1", 1, 1)])
    client.send([submit(maps=2, inputs=Blob(joined([b"", b""])))])
    failed = 0
    while failed < 2:
        for each in answers(worker):
            if isinstance(each, m.Run) and each.attempt.index == 0:
                worker.send([done(each.attempt, [Blob(b"")])])
            elif isinstance(each, m.Run):
                worker.send([m.Failed(each.attempt, "user", "no", "p:0", "")])
                failed += 1
    while not isinstance(answers(client)[-1], m.Ended):
        pass
    (job,) = status(client)["jobs"]
    assert (job["state"], job["maps_done"], job["reduces_done"]) == ("failed", 1, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"stats": {"seconds": float("nan")}},
        {"stats": {"seconds": float("inf")}},
        {"stats": {"seconds": -1.0}},
        {"stats": {"seconds": "1"}},
        {"stats": {"bytes_out": None}},
        {"stats": {"job": 5}},
        {"stats": {"text": 5}},
        {"stats": {"hot": [5]}},
        {"counters": {"n": "1"}},
        {"counters": {"n": {}}},
        {"counters": {"n": 1 << 60}},
        {"counters": {f"n{number}": 1 for number in range(1001)}},
        {"digest": "\ud800"},
        {"digest": "0" * 1000},
        {"skipped": [{"position": 5}]},
        {"segments": []},
        {"segments": [Blob(b""), Blob(b"")]},
        {"part": PART},
    ],
    ids=str,
)
def test_a_worker_whose_answer_makes_no_sense_is_cut_off(peer, capsys, changes):
    worker, client = peer("worker"), peer("client")
    worker.send([m.Register(1, "127.0.0.1", 1, 1)])
    answers(worker)
    client.send([submit()])
    answers(client)
    orders = [each for each in answers(worker) if isinstance(each, m.Run)]
    worker.send([done(orders[0].attempt, **changes)])
    assert is_cut_off(worker, capsys)
    assert status(peer("client"))["workers"] == [], "and the coordinator goes on"


def test_a_partition_of_a_dataset_comes_in_no_message(peer, capsys):
    """It would be nobody's when its worker is lost: a gang over it ended the coordinator."""
    worker, client = peer("worker"), peer("client")
    worker.send([m.Register(1, "127.0.0.1", 1, 1)])
    client.send([submit(kind="load", reduces=0)])
    worker.send([done(next_run(worker).attempt, [Blob(b"rows")])])
    assert is_cut_off(worker, capsys)
    assert status(peer("client"))["workers"] == []


@pytest.mark.parametrize(
    "part",
    [None, {}, {**PART, "name": "part-00001"}, {**PART, "records": "1"}, {**PART, "sha256": 5}],
    ids=str,
)
def test_a_reduce_task_describes_its_part_and_no_other(peer, capsys, part):
    worker, client = peer("worker"), peer("client")
    worker.send([m.Register(1, "127.0.0.1", 1, 1)])
    answers(worker)
    client.send([submit(output=OUTPUT)])
    answers(client)
    worker.send([done(next_run(worker).attempt, [Blob(b"")])])
    worker.send([done(next_run(worker).attempt, part=part)])
    assert is_cut_off(worker, capsys)
    assert status(peer("client"))["workers"] == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [({}, "overwrite"), ({"staging": "/" + "x" * 300, "overwrite": False}, "File name too long")],
)
def test_a_publication_that_cannot_be_ends_the_job_and_says_why(peer, changes, said):
    worker, client = peer("worker"), peer("client")
    worker.send([m.Register(1, "127.0.0.1", 1, 1)])
    answers(worker)
    client.send([submit(output={**OUTPUT, **changes})])
    answers(client)
    worker.send([done(next_run(worker).attempt, [Blob(b"")])])
    worker.send([done(next_run(worker).attempt, part=PART)])
    (ended,) = answers(client)
    assert not ended.ok
    assert said in ended.error


def next_run(worker):
    while True:
        for each in answers(worker):
            if isinstance(each, m.Run):
                return each


def test_counts_that_are_too_large_together_fail_their_job(peer):
    """Each of them is a number that a message can carry; their sum is none, and the client, which
    cannot be told of it, was cut off."""
    maps = 2100
    worker, client = peer("worker"), peer("client")
    worker.send([m.Register(1024, "127.0.0.1", 1, 1), *[m.Beat()] * 2])
    answers(worker)
    client.send([submit(maps=maps, reduces=1, inputs=Blob(joined([b""] * maps)))])
    answers(client)
    finished = 0
    while finished <= maps:
        runs = [each for each in answers(worker) if isinstance(each, m.Run)]
        count = {"n": 1 << 53}
        worker.send([done(each.attempt, [Blob(b"")], counters=count) for each in runs])
        finished += len(runs)
    assert status(peer("client"))["jobs"][0]["state"] == "failed"


def test_late_words_of_a_job_that_nobody_knows_are_ignored(peer):
    worker, client = peer("worker"), peer("client")
    worker.send([m.Register(1, "127.0.0.1", 1, 1)])
    assert answers(worker)[0].worker == "worker-1"
    ghost = AttemptId("job-77", "map", 0, 0)
    worker.send(
        [
            m.Done(ghost, None, {}, {}, None, "late print"),
            m.Failed(ghost, "user", "late", None, "late print"),
            m.FetchMissed(ghost, [ghost], "late"),
        ]
    )
    worker.send([m.Beat()])
    assert [each["name"] for each in status(client)["workers"]] == ["worker-1"]


def test_what_is_said_of_attempts_before_they_are_assigned_counts_for_nothing(peer):
    """A worker that guesses what it will be given, and says in one frame how all of it ended."""
    worker, client = peer("worker"), peer("client")
    worker.send([m.Register(1, "127.0.0.1", 1, 1)])
    answers(worker)
    client.send([submit()])
    assert any(isinstance(each, m.Run) for each in answers(worker))
    done = m.Done(ATTEMPT, None, {"bytes_out": 1}, {}, None, "", digest="0")
    failures = [
        m.Failed(AttemptId("job-1", "reduce", 0, number), "user", "bad record", "a.txt:7", "")
        for number in (0, 1)
    ]
    worker.send([done, *failures])
    for failure in failures:
        (run,) = [each for each in answers(worker) if isinstance(each, m.Run)]
        assert run.attempt == failure.attempt
        worker.send([failure])
    told = []
    while not any(isinstance(each, m.Ended) for each in told):
        told += answers(client)
    assert "bad record" in told[-1].error
    assert [each["state"] for each in status(client)["jobs"]] == ["failed"]


def test_a_worker_may_be_given_work_and_break_the_protocol_within_one_frame(peer):
    worker, client = peer("worker"), peer("client")
    worker.send([m.Register(1, "127.0.0.1", 1, 1)])
    answers(worker)
    client.send([submit()])
    assert any(isinstance(each, m.Run) for each in answers(worker))
    done = m.Done(ATTEMPT, None, {"bytes_out": 1}, {}, None, "", digest="0")
    pieces = encode_messages([done])
    worker.sock.sendall(b"".join(map(bytes, pieces)) + bytes(100))
    while answers(worker) is not None:
        pass
    assert status(peer("client"))["workers"] == []


def test_many_map_outputs_are_announced_in_several_messages(peer, monkeypatch):
    monkeypatch.setattr(performer, "LOCATIONS_TOGETHER", 2)
    worker, client = peer("worker"), peer("client")
    worker.send([m.Register(1, "127.0.0.1", 1, 1)])
    answers(worker)
    client.send([submit(maps=5, inputs=Blob(joined([b""] * 5)))])
    maps = [AttemptId("job-1", "map", index, 0) for index in range(5)]
    announced, told = [], []
    for each in maps:
        while not any(isinstance(run, m.Run) and run.attempt == each for run in told):
            told += answers(worker)
        worker.send([m.Done(each, None, {"bytes_out": 1}, {}, None, "", digest="0")])
    while not any(isinstance(run, m.Run) and run.attempt.stage == "reduce" for run in told):
        told += answers(worker)
    announced = [news.attempts for news in told if isinstance(news, m.MapsAt)]
    assert announced == [maps[:2], maps[2:4], maps[4:]]


def test_what_comes_together_is_synced_once_and_before_anybody_hears_of_it(tmp_path, monkeypatch):
    with Journal.open(tmp_path / "journal") as journal:
        synced = []
        append = journal.append
        monkeypatch.setattr(
            journal, "append", lambda values: [append(values), synced.append(values)]
        )
        each = Coordinator(journal=journal)
        each.start()
        worker, client = (
            Connection(connect(each.address(0), role)) for role in ("worker", "client")
        )
        worker.send([m.Register(2, "127.0.0.1", 1, 1)])
        answers(worker)
        client.send([submit(maps=2, inputs=Blob(joined([b"", b""])), watch=False)])
        assert isinstance(answers(client)[0], m.Reply)
        accepted = len(synced)
        runs = [each for each in answers(worker) if isinstance(each, m.Run)]
        worker.send(
            [
                m.Done(each.attempt, None, {"bytes_out": 1}, {}, None, "", digest="0")
                for each in runs
            ]
        )
        assert any(isinstance(each, m.Run) for each in answers(worker))
        assert (accepted, len(synced)) == (1, 2)
        assert len(synced[1]) == 2, "the outputs of both maps"
        client.close()
        worker.close()
        each.stop()


def test_a_worker_whose_connection_ends_is_lost_and_its_job_waits(peer):
    worker, client = peer("worker"), peer("client")
    worker.send([m.Register(1, "127.0.0.1", 1, 1)])
    answers(worker)
    client.send([submit()])
    (run,) = [each for each in answers(worker) if isinstance(each, m.Run)]
    assert str(run.attempt) == "job-1/map-0/0"
    answers(client)
    worker.shut()
    heir = peer("worker")
    heir.send([m.Register(1, "127.0.0.1", 1, 1)])
    messages = answers(heir)
    while not any(isinstance(each, m.Run) for each in messages):
        messages = answers(heir)
    (run,) = [each for each in messages if isinstance(each, m.Run)]
    assert str(run.attempt) == "job-1/map-0/1"


def test_what_a_member_notes_after_it_was_stopped_counts_for_nothing(peer):
    """It may not know yet that its gang has begun again without it."""
    worker, client = peer("worker"), peer("client")
    worker.send([m.Register(2, "127.0.0.1", 1, 1)])
    client.send([submit(kind="load", reduces=0)])
    loaded = m.Done(AttemptId("data-1", "load", 0, 0), None, {}, {}, None, "", digest="0")
    heard(worker, m.Run, 1)
    worker.send([loaded])
    heard(client, m.Ended, 1)
    gang = {"kind": "gang", "maps": 2, "reduces": 0, "inputs": None, "restart": "all"}
    client.send([submit(**gang, source="data-1", events=True)])
    first = [each.attempt for each in heard(worker, m.Run, 2)]
    worker.send([MemberNotes(first[0], [{"step": 1}]), m.Failed(first[1], "died", "", None, "")])
    second = [each.attempt for each in heard(worker, m.Run, 2)]
    worker.send([MemberNotes(first[0], [{"step": 2}]), MemberNotes(second[0], [{"step": 3}])])
    worker.send([m.Failed(second[0], "user", "the end", None, "")])
    lines = [line for each in heard(client, m.Ended, 1, m.Events) for line in each.lines]
    assert [each["step"] for each in lines if each["event"] == "member_note"] == [1, 3]


def heard(connection, kind, count, wanted=None):
    """What was said until so many messages of a kind have come; of it what is wanted."""
    told = []
    while sum(isinstance(each, kind) for each in told) < count:
        told += answers(connection)
    return [each for each in told if isinstance(each, wanted or kind)]


def test_a_member_may_note_an_error_that_is_a_number(peer):
    """Its client hears of it like of any other note."""
    worker, client = peer("worker"), peer("client")
    worker.send([m.Register(2, "127.0.0.1", 1, 1)])
    answers(worker)
    client.send([submit(kind="load", reduces=0, events=True)])
    worker.send([done(next_run(worker).attempt)])
    client.send(
        [submit(kind="gang", restart="all", reduces=0, source="data-1", inputs=None, events=True)]
    )
    member = next_run(worker).attempt
    worker.send([MemberNotes(member, [{"event": "member_note", "error": 0.5, "text": [1]}])])
    told = []
    while not any(line["event"] == "member_note" for line in told):
        told += [
            line for each in answers(client) if isinstance(each, m.Events) for line in each.lines
        ]
    assert told[-1]["error"] == 0.5


def test_notes_that_the_event_log_cannot_hold_are_refused(peer, capsys):
    worker, client = peer("worker"), peer("client")
    worker.send([m.Register(2, "127.0.0.1", 1, 1)])
    answers(worker)
    client.send([submit()])
    worker.send([MemberNotes(next_run(worker).attempt, [{"event": "member_note", "what": b"x"}])])
    while (told := answers(worker)) is not None:
        assert not any(isinstance(each, m.Run) for each in told)
    assert "notes that make no sense" in capsys.readouterr().err, "and not for its silence"


def test_a_stranger_is_not_let_in(coordinator):
    address = coordinator.address(0)
    with socket.create_connection((address.host, address.port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
        sock.settimeout(10)
        received = b""
        try:
            while piece := sock.recv(4096):
                received += piece
        except ConnectionError:
            pass
    assert b"refused" in received
    assert address.token.encode() not in received


def test_who_finds_too_many_strangers_at_the_gate_is_told_so(monkeypatch):
    monkeypatch.setattr(listener, "PENDING_MAX", 1)
    each = Coordinator()
    each.start()
    address = each.address(0)
    with (
        socket.create_connection((address.host, address.port)),
        pytest.raises(NoCoordinator, match="1 others stand at the gate of this port; try again"),
    ):
        connect(address, "client")
    each.stop()


def test_a_port_in_use(coordinator):
    port = coordinator.address(0).port
    with pytest.raises(mr.UsageError, match=f"port {port} .* is in use; name another"):
        Coordinator(port=port)


def test_only_loopback():
    with pytest.raises(mr.UsageError, match="not a loopback address"):
        Coordinator(host="0.0.0.0")


def test_after_the_stop_nobody_answers(coordinator):
    address = coordinator.address(0)
    coordinator.stop()
    with pytest.raises(NoCoordinator, match="minimr up"):
        connect(address, "client")
