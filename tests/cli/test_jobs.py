import json

from minimr.jobs import BUILT_IN
from tests.cli.conftest import Minimr


def test_every_built_in_job_is_listed_with_its_options(minimr: Minimr) -> None:
    lines = minimr("jobs").stdout.splitlines()
    named = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[0] for line in named] == list(BUILT_IN)
    assert all(line.endswith(".") for line in named)
    options = lines[lines.index(named[0]) + 1].strip()
    assert options == "-- [--words space|letters|ascii] [--ignore-case]"


def test_the_list_as_json(minimr: Minimr) -> None:
    jobs = {job["job"]: job for job in json.loads(minimr("jobs", "--json").stdout)}
    assert list(jobs) == list(BUILT_IN)
    words, ignore_case = jobs["wordcount"]["options"]
    assert words == {
        "name": "words",
        "type": "str",
        "choices": ["space", "letters", "ascii"],
        "required": False,
        "default": "space",
    }
    assert (ignore_case["default"], ignore_case["choices"]) == (False, [])
    pattern = jobs["grep"]["options"][0]
    assert (pattern["name"], pattern["required"]) == ("pattern", True)
    assert "default" not in pattern
