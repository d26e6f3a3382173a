"""wordcount against collections.Counter."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimr.errors import UsageError
from minimr.jobs.wordcount import WordCount
from minimr.jobs.words import words_in
from tests.jobs.harness import TEXTS, run, write_text


@settings(max_examples=40)
@given(TEXTS, st.booleans())
@pytest.mark.parametrize("words", ["space", "letters", "ascii"])
@pytest.mark.parametrize("form", ["records", "blocks", "records combined", "blocks combined"])
def test_every_form_counts_like_a_counter(tmp_path_factory, form, words, text, ignore_case):
    path = write_text(tmp_path_factory.mktemp("jobs") / "a", text)
    expected = Counter(words_in(text, words, ignore_case))
    job = WordCount(words=words, ignore_case=ignore_case)
    assert repr(run(job, [path], form)) == repr(sorted(expected.items()))  # counts, not True


def test_words_are_between_whitespace_unless_told_otherwise():
    assert WordCount().options() == {"words": "space", "ignore_case": False}


def test_an_unknown_kind_of_word_is_refused_with_the_choices():
    with pytest.raises(UsageError, match="one of space, letters, ascii"):
        WordCount(words="syllables")
