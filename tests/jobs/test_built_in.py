"""The table of built-in jobs."""

from importlib import import_module

import pytest

from minimr.job import Job
from minimr.jobs import BUILT_IN


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_name_stands_for_a_documented_job(name):
    module_name, _, class_name = BUILT_IN[name].partition(":")
    module = import_module(module_name)
    assert issubclass(getattr(module, class_name), Job)
    assert f"minimr run {name} " in module.__doc__
