"""Shared by all tests: property tests are repeatable, and the home is not the user's."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("minimr", derandomize=True, deadline=None)
settings.load_profile("minimr")


@pytest.fixture(scope="session", autouse=True)
def _another_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runs without an output leave their event logs in the home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield
