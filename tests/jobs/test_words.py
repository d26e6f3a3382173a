"""What a word is, against a slow and plain definition."""

import string
from collections import Counter
from itertools import groupby

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minimr.block import TextBlock
from minimr.jobs import word_numbers
from minimr.jobs import words as words_module
from minimr.jobs.words import word_counts, words_in
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


PIECES = st.sampled_from(
    ["a", "Bc", "eightabc", "nineletter", "  ", "\t", "\n", "\x1f", "\0", "é", "\u2003", "½", "-"]
)
ENCODINGS = ["utf-8", "latin-1", "iso2022_jp", "utf-7"]
"""In the last two, characters beyond ASCII are written in bytes of ASCII."""


@pytest.fixture
def counted_as_numbers(monkeypatch):
    """However small the text, and in pieces of a few bytes."""
    monkeypatch.setattr(words_module, "LARGE_BYTES", 0)
    monkeypatch.setattr(word_numbers, "WHOLE_BYTES", 10)
    monkeypatch.setattr(word_numbers, "PIECE_BYTES", 10)
    asked = []
    count = word_numbers.count_words
    monkeypatch.setattr(word_numbers, "count_words", lambda text: asked.append(text) or count(text))
    return asked


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, max_size=20).map("".join), st.sampled_from(ENCODINGS), st.booleans())
@pytest.mark.parametrize("words", ["space", "letters", "ascii"])
def test_numbers_are_counted_as_words_are(counted_as_numbers, words, text, encoding, fold):
    data = text.encode(encoding, "ignore")
    block = TextBlock(data, 0, "text", encoding, "surrogateescape")
    assert dict(word_counts(block, words, fold)) == Counter(words_in(block.text(), words, fold))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
@pytest.mark.parametrize("words", ["space", "ascii"])
def test_bytes_that_are_no_utf8_are_words_too(counted_as_numbers, words, data):
    block = TextBlock(data, 0, "text")
    assert dict(word_counts(block, words, False)) == Counter(words_in(block.text(), words, False))


@pytest.mark.parametrize(
    ("text", "words", "fold", "as_numbers"),
    [
        ("plain words", "space", True, True),
        ("plain words", "letters", True, True),
        ("naïve words", "space", False, True),
        ("naïve words", "space", True, False),
        ("naïve words", "letters", False, False),
        ("naïve words", "ascii", True, True),
        ("no\u00a0break", "space", False, False),
        ("em\u2003space", "space", False, False),
        ("a NUL \0", "space", False, False),
        ("a NUL \0", "ascii", False, True),
    ],
)
def test_which_texts_are_counted_as_numbers(counted_as_numbers, text, words, fold, as_numbers):
    block = TextBlock(text.encode(), 0, "text")
    assert dict(word_counts(block, words, fold)) == Counter(words_in(text, words, fold))
    assert bool(counted_as_numbers) is as_numbers
