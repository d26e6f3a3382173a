"""Shared by all tests: property tests are repeatable, and the home is not the user's.

What takes too long for every run is marked `soak`. It runs with MINIMR_SOAK (`make soak`), which
also multiplies the numbers of simulated seeds, of real kills, and of what property tests try.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

SOAK = int(os.environ.get("MINIMR_SOAK", "1"))

settings.register_profile("minimr", derandomize=True, deadline=None, max_examples=50)
settings.register_profile("soak", deadline=None, max_examples=20 * SOAK)
settings.load_profile("minimr" if SOAK == 1 else "soak")

LONG_FIRST = (
    "tests/simulator/test_ten_thousand.py",
    "tests/docs/test_documents.py",
    "tests/simulator/museum/test_museum.py",
    "tests/cluster/test_chaos.py",
    "tests/cli/test_end_to_end.py",
    "tests/ml/test_golden.py",
    "tests/cluster/test_many_kills.py",
    "tests/jobs/test_both_forms.py",
    "tests/simulator/test_explore.py",
    "tests/tasks/test_memory_use.py",
    "tests/simulator/test_osdi04.py",
)
"""The modules that take long: one that comes last leaves the other cores idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {path: place for place, path in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))
    for item in items:
        if SOAK == 1 and item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason="`make soak` runs it"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half again as many processes as cores, since some tests wait for time-outs."""
    return 3 * (os.cpu_count() or 1) // 2


@pytest.fixture(scope="session", autouse=True)
def _another_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runs without an output leave their event logs in the home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield
