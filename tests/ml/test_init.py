"""The package's front door."""

import subprocess
import sys

import pytest

import ml


def test_every_public_name_is_there():
    for name in ml.__all__:
        assert getattr(ml, name) is not None


def test_a_prompt_offers_every_public_name():
    program = "import ml; print(sorted(set(ml.__all__) - set(dir(ml))))"
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert printed == "[]\n"


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'ml' has no attribute 'nothing'"):
        ml.nothing  # noqa: B018


def test_importing_it_is_cheap():
    program = "import sys, ml; print(sorted({'numpy', 'minimr', 'ml.linear'} & set(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert printed == "[]\n"
