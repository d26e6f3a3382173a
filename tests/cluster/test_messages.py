"""Messages: dataclasses to wire and back, checked field by field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.cluster import messages as m
from minimr.cluster.message_codec import from_wire, to_wire
from minimr.cluster.wire import Blob, Limits, encode_frame, read_frame
from minimr.errors import ProtocolError
from minimr.scheduler.state import AttemptId
from tests.cluster.test_wire import PLAIN, reader

ATTEMPT = AttemptId("job-1", "map", 3, 0)

EXAMPLES = [
    m.Register(2, "127.0.0.1", 4711, 99),
    m.Holds([ATTEMPT]),
    m.Beat(),
    m.Done(ATTEMPT, [Blob(b"one"), Blob(b"")], {"records_in": 1}, {"seen": 2}, None, "hello\n"),
    m.Done(ATTEMPT, None, {}, {}, {"name": "part-00000"}, ""),
    m.Failed(ATTEMPT, "user", "ValueError: x", "books:17", ""),
    m.FetchMissed(ATTEMPT, [ATTEMPT, AttemptId("job-1", "map", 4, 1)], "no answer"),
    m.MapsAt("job-1", [ATTEMPT], ["worker-1"], ["127.0.0.1"], [4711], [100], ["d1"]),
    m.Run(ATTEMPT, Blob(b"cargo"), Blob(b"inline")),
    m.Reply(7, {"any": ["thing", 1, None]}, None),
    m.Fetch(2, [ATTEMPT]),
    m.Segments([10, -1], [10, -1]),
]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda each: type(each).__name__)
def test_a_message_survives_the_wire(message):
    data = b"".join(map(bytes, encode_frame(1, to_wire(message))))
    assert from_wire(read_frame(reader(data), Limits()).value) == message


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        ["Nonsense"],
        [["Beat"]],
        ["Beat", 1],
        ["Registered", 3],
        ["Register", True, "127.0.0.1", 1, 1],
        ["Register", 1, "127.0.0.1", "1", 1],
        ["Cancel", ["job-1", "map", "3", 0]],
        ["Cancel", ["job-1", "map", 3]],
        ["Segments", [1, "2"]],
        ["FetchMissed", ["j", "map", 0, 0], [["j", "map", 0]], "text"],
        ["FetchMissed", ["j", "map", 0, 0], [7], "text"],
        [*to_wire(m.Ended("j", True, False, "", {}, [], [b"a blob", 7]))],
    ],
    ids=str,
)
def test_anything_else_is_a_protocol_error(value):
    with pytest.raises(ProtocolError):
        from_wire(value)


@given(st.sampled_from([type(each).__name__ for each in EXAMPLES]), st.lists(PLAIN, max_size=8))
def test_fuzzed_fields_give_a_message_or_a_protocol_error(name, values):
    try:
        message = from_wire([name, *values])
    except ProtocolError:
        return
    assert type(message).__name__ == name
