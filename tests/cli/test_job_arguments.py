from typing import Any, Literal

import pytest

import minimr as mr
from cli.job_arguments import describe_options, job_options


class Job(mr.Job):
    pattern: str
    limit: int
    words: Literal["space", "ascii"] = "space"
    ratio: float = 0.5
    ignore_case: bool = False
    trim: bool = True
    tags: list[str] = []  # noqa: RUF012


TABLE = Job.option_table()


def parse(*arguments: str) -> dict[str, Any]:
    return job_options("grep", TABLE, arguments)


GIVEN = {"pattern": "x", "limit": 3}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["x", "3"], GIVEN),
        (["--pattern", "x", "3"], GIVEN),
        (["--limit", "3", "x"], GIVEN),
        (["--limit=3", "--pattern=x"], GIVEN),
        (["x", "3", "--words", "ascii"], GIVEN | {"words": "ascii"}),
        (["--words=ascii", "x", "--ratio", "2", "3"], GIVEN | {"words": "ascii", "ratio": 2.0}),
        (["x", "3", "--ignore-case"], GIVEN | {"ignore_case": True}),
        (["--ignore-case", "x", "3"], GIVEN | {"ignore_case": True}),
        (["--ignore_case", "x", "3"], GIVEN | {"ignore_case": True}),
        (["x", "3", "--no-trim"], GIVEN | {"trim": False}),
        (["x", "3", "--trim=no"], GIVEN | {"trim": False}),
        (["x", "3", "--no-trim=no"], GIVEN | {"trim": True}),
        (["x", "3", '--tags=["a"]'], GIVEN | {"tags": ["a"]}),
        (["-v", "3"], {"pattern": "-v", "limit": 3}),
        (["--", "--words", "3"], {"pattern": "--words", "limit": 3}),
        (["--pattern=", "3"], {"pattern": "", "limit": 3}),
        (["--pattern", "--words", "3"], {"pattern": "--words", "limit": 3}),
        (["--pattern=a=b", "3"], {"pattern": "a=b", "limit": 3}),
        (["x", "-3"], {"pattern": "x", "limit": -3}),
    ],
)
def test_arguments_become_options(arguments: list[str], expected: dict[str, Any]) -> None:
    assert parse(*arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "needs PATTERN (str) after"),
        (["x"], "needs LIMIT (int) after"),
        (["x", "3", "4"], "takes no argument '4'"),
        (["x", "three"], "limit must be int, not 'three'"),
        (["x", "3", "--words", "tabs"], "words must be one of space, ascii, not 'tabs'"),
        (["x", "3", "--words"], "--words needs a value"),
        (["x", "3", "--colour"], "no option --colour"),
        (["x", "3", "--no-words"], "no option --no-words"),
        (["x", "3", "--no-colour"], "no option --no-colour"),
        (["x", "3", "--trim=perhaps"], "trim must be bool"),
    ],
)
def test_what_does_not_fit_is_refused_with_all_options_on_a_second_line(
    arguments: list[str], said: str
) -> None:
    with pytest.raises(mr.UsageError) as caught:
        parse(*arguments)
    problem, options = str(caught.value).splitlines()
    assert said in problem
    assert options == f"Options of grep: {describe_options(TABLE)}"


def test_the_description_of_options() -> None:
    assert describe_options(TABLE) == (
        "PATTERN LIMIT [--words space|ascii] [--ratio FLOAT] [--ignore-case] [--no-trim] "
        "[--tags LIST]"
    )


def test_a_job_without_options() -> None:
    assert describe_options({}) == "none"
    assert job_options("sort", {}, []) == {}
