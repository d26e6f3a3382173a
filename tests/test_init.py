"""The package's front door."""

import subprocess
import sys

import pytest

import minimr


def test_a_prompt_offers_every_public_name():
    """In a process of its own, where none of them was used."""
    program = "import minimr as mr; print(sorted(set(mr.__all__) - set(dir(mr))))"
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert printed == "[]\n"


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'minimr' has no attribute 'nothing'"):
        minimr.nothing  # noqa: B018
