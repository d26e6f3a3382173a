"""What a word is: three answers, for the jobs that have the option `words`.

    space     whatever stands between whitespace:       don't -> don't    3.5 -> 3.5
    letters   runs of Unicode letters:                  don't -> don, t   naïve -> naïve
    ascii     runs of A to Z and a to z:                don't -> don, t   naïve -> na, ve

No word holds a line end, so it makes no difference whether a text is taken line by line or whole.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Literal

from minimr.block import TextBlock

Words = Literal["space", "letters", "ascii"]

# Nearly letters: \w without decimal digits still has other numerals, such as "½" and "²".
_LETTERS_AND_NUMERALS = re.compile(r"[^\W\d_]+")
_ASCII_LETTERS = re.compile(r"[A-Za-z]+")


# What is no part of a word becomes a space, so that `split`, the fastest loop there is, finds the
# words.
_LETTERS = bytes(byte if chr(byte) in string.ascii_letters else 32 for byte in range(256))
_NO_SPACE = bytes(32 if byte < 128 and chr(byte).isspace() else byte for byte in range(256))
ESCAPES = "surrogateescape"
LARGE_BYTES = 1 << 19
"""From here on it pays to import numpy for a text."""


def word_counts(block: TextBlock, words: Words, ignore_case: bool) -> Iterable[tuple[str, int]]:
    """Each word of a block with how often it occurs there, in no order."""
    if len(block.data) >= LARGE_BYTES:
        from minimr.jobs.word_numbers import count_words, has_space_beyond_ascii

        text = _as_bytes(block, words, ignore_case)
        # In words of letters neither a space nor a NUL is left.
        if text is not None and not (b"\0" in text or has_space_beyond_ascii(text)):
            return _decoded(count_words(text))
    return Counter(words_of(block, words, ignore_case)).items()


def _decoded(counts: dict[bytes | memoryview, int]) -> Iterator[tuple[str, int]]:
    """The words as texts. None is held both ways, should it be large."""
    while counts:
        word, count = counts.popitem()
        text = str(word, "utf-8", ESCAPES)
        del word
        yield text, count


def words_of(block: TextBlock, words: Words, ignore_case: bool) -> Iterable[str]:
    """The words of a block in order: `words_in` of its text, if need be."""
    if words == "ascii" and (text := _as_bytes(block, words, ignore_case)) is not None:
        return text.decode("ascii").split()
    return words_in(block.text(), words, ignore_case)


def _as_bytes(block: TextBlock, words: Words, ignore_case: bool) -> bytes | None:
    """The bytes of a block with a space for each that is in no word, folded if the case is ignored.

    None if it takes characters to tell words apart, or to fold them. In UTF-8 a letter of ASCII is
    a byte, and no other character holds that byte.
    """
    if block.data.isascii():
        if not _keeps_ascii(block.encoding):
            return None
    else:
        as_bytes = block.encoding == "utf-8" and block.errors == ESCAPES
        if not as_bytes or words == "letters" or (words == "space" and ignore_case):
            return None
    text = block.data.translate(_NO_SPACE if words == "space" else _LETTERS)
    return text.lower() if ignore_case else text


@cache
def _keeps_ascii(encoding: str) -> bool:
    """Whether bytes of ASCII are ASCII in this encoding; in ISO-2022 they may be Japanese."""
    return bytes(range(128)).decode(encoding, "replace") == "".join(map(chr, range(128)))


def words_in(text: str, words: Words, ignore_case: bool) -> Iterable[str]:
    """The words of a text in order; with `ignore_case`, folded as Unicode folds case.

    Folding makes "The" and "the" one word, and "STRASSE" and "straße" too.
    """
    found = _SPLITTERS[words](text)
    return map(str.casefold, found) if ignore_case else found


def _runs_of_letters(text: str) -> list[str]:
    runs = _LETTERS_AND_NUMERALS.findall(text)
    if all(map(str.isalpha, runs)):
        return runs
    return [word for run in runs for word in _without_numerals(run)]


def _without_numerals(run: str) -> list[str]:
    return "".join(character if character.isalpha() else " " for character in run).split()


_SPLITTERS: dict[Words, Callable[[str], list[str]]] = {
    "space": str.split,
    "letters": _runs_of_letters,
    "ascii": _ASCII_LETTERS.findall,
}
