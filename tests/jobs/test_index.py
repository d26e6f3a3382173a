"""index against a dict of sets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minimr as mr
from minimr.jobs.index import Index
from minimr.jobs.words import words_in
from tests.jobs.harness import TEXTS, run, write_text


@settings(max_examples=40)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.booleans())
@pytest.mark.parametrize("form", ["records", "blocks", "records combined", "blocks combined"])
@pytest.mark.parametrize("words", ["space", "letters"])
def test_every_form_lists_the_files_of_each_word(tmp_path_factory, words, form, texts, ignore_case):
    directory = tmp_path_factory.mktemp("jobs")
    paths = [write_text(directory / str(number), text) for number, text in enumerate(texts)]
    expected: dict[str, set[str]] = {}
    for path, text in zip(paths, texts, strict=True):
        for word in words_in(text, words, ignore_case):
            expected.setdefault(word, set()).add(path)
    job = Index(words=words, ignore_case=ignore_case)
    # The files are given backwards, so that sorting the paths is up to the job.
    assert run(job, paths[::-1], form) == [
        (word, sorted(expected[word])) for word in sorted(expected)
    ]


def test_the_paths_are_those_that_were_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "a", "word")
    for form in ("records", "blocks"):
        assert run(Index(), ["./a"], form) == [("word", ["./a"])]


def test_the_pairs_of_a_block_come_in_the_order_of_its_words():
    """A set would have another order in every process, and spills that fall elsewhere: a map that
    runs again after a kill would then not leave the same output."""
    words = [f"word{number * 7 % 50}" for number in range(100)]
    block = mr.TextBlock(" ".join(words).encode() + b"\n", 0, "a.txt", "utf-8", "strict")
    assert list(Index().map_block(block)) == [(word, "a.txt") for word in dict.fromkeys(words)]
