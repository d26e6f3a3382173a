from typing import Any, ClassVar, Literal

import pytest

from minimr.errors import UsageError
from minimr.job import REQUIRED, Job


class Search(Job):
    pattern: str
    words: Literal["space", "letters", "ascii"] = "space"
    ignore_case: bool = False
    limit: int | None = None
    share: float = 0.5
    stop: list[str] = []  # noqa: RUF012 - this is how a user writes it
    input_format: ClassVar[str] = "text"
    _cache: dict[str, int] | None = None
    anything: Any = None
    seen: frozenset[str] = frozenset()


class Narrower(Search):
    pattern: str = "a"
    depth: int = 1


def test_the_table_lists_the_options_and_nothing_else():
    table = Search.option_table()
    assert list(table) == ["pattern", "words", "ignore_case", "limit", "share", "stop"]
    assert table["pattern"].default is REQUIRED
    assert table["words"].choices == ("space", "letters", "ascii")
    assert table["limit"].optional


def test_a_subclass_adds_options_and_changes_defaults():
    job = Narrower(depth=3)
    assert (job.pattern, job.depth, job.words) == ("a", 3, "space")


def test_a_job_without_options_has_an_empty_table():
    assert Job.option_table() == {}
    assert Job().options() == {}


def test_options_make_an_equal_job():
    job = Search(pattern="x", limit=3, share=1)
    again = Search(**job.options())
    assert again.options() == job.options()
    assert job.share == 1.0
    assert type(job.share) is float


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Search needs the option pattern"),
        ({"pattern": "x", "word": "space"}, "no option 'word'; it has: pattern, words"),
        ({"pattern": 3}, "pattern must be str, not 3"),
        ({"pattern": "x", "words": "greek"}, "words must be one of space, letters, ascii"),
        ({"pattern": "x", "ignore_case": 1}, "ignore_case must be bool, not 1"),
        ({"pattern": "x", "limit": True}, "limit must be int or None, not True"),
        ({"pattern": "x", "limit": 1.0}, "limit must be int or None, not 1.0"),
        ({"pattern": None}, "pattern must be str, not None"),
        ({"pattern": "x", "stop": "the"}, "stop must be list, not 'the'"),
    ],
)
def test_wrong_options_are_named_with_what_would_be_right(options, message):
    with pytest.raises(UsageError, match=message):
        Search(**options)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("pattern", "12", "12"),
        ("words", "ascii", "ascii"),
        ("ignore_case", "true", True),
        ("ignore_case", "No", False),
        ("limit", "12", 12),
        ("share", "1e-3", 0.001),
        ("share", "2", 2.0),
        ("stop", '["a", "the"]', ["a", "the"]),
    ],
)
def test_words_of_a_command_line_are_parsed(name, text, value):
    parsed = Search.option_table()[name].parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("words", "greek"), ("ignore_case", "maybe"), ("limit", "1.5"), ("stop", "a"), ("stop", "3")],
)
def test_words_that_do_not_parse_are_refused(name, text):
    with pytest.raises(UsageError, match=f"Option {name} must be"):
        Search.option_table()[name].parse(text)


def test_an_annotation_that_cannot_be_evaluated_is_an_error_of_usage():
    class Broken(Job):
        pattern: "Missing" = "x"  # noqa: F821

    with pytest.raises(UsageError, match="Broken: an annotation cannot be read"):
        Broken()


def test_an_instance_option_does_not_leak_into_the_class():
    Search(pattern="x", words="ascii")
    assert Search(pattern="y").words == "space"
