"""Shared by all tests: property tests are repeatable and have no clock."""

from hypothesis import settings

settings.register_profile("minimr", derandomize=True, deadline=None)
settings.load_profile("minimr")
