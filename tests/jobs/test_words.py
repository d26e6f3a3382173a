"""What a word is, against a slow and plain definition."""

import string
from itertools import groupby

import pytest
from hypothesis import given

from minimr.jobs.words import words_in
from tests.jobs.harness import TEXTS


def runs(text: str, belongs) -> list[str]:
    return ["".join(run) for inside, run in groupby(text, belongs) if inside]


@given(TEXTS)
def test_words_between_whitespace(text):
    expected = runs(text, lambda character: not character.isspace())
    assert list(words_in(text, "space", False)) == expected


@given(TEXTS)
def test_runs_of_unicode_letters(text):
    assert list(words_in(text, "letters", False)) == runs(text, str.isalpha)


@given(TEXTS)
def test_runs_of_ascii_letters(text):
    expected = runs(text, lambda character: character in string.ascii_letters)
    assert list(words_in(text, "ascii", False)) == expected


@given(TEXTS)
@pytest.mark.parametrize("words", ["space", "letters", "ascii"])
def test_ignoring_case_folds_the_words_and_finds_no_others(words, text):
    expected = [word.casefold() for word in words_in(text, words, False)]
    assert list(words_in(text, words, True)) == expected


def test_the_cases_that_tell_the_three_apart():
    text = "Don't x²y naïve"
    assert list(words_in(text, "space", False)) == ["Don't", "x²y", "naïve"]
    assert list(words_in(text, "letters", False)) == ["Don", "t", "x", "y", "naïve"]
    assert list(words_in(text, "ascii", True)) == ["don", "t", "x", "y", "na", "ve"]
    assert list(words_in("STRASSE straße", "space", True)) == ["strasse", "strasse"]
