"""What a word is: three answers, for the jobs that have the option `words`.

    space     whatever stands between whitespace:       don't -> don't    3.5 -> 3.5
    letters   runs of Unicode letters:                  don't -> don, t   naïve -> naïve
    ascii     runs of A to Z and a to z:                don't -> don, t   naïve -> na, ve

No word holds a line end, so it makes no difference whether a text is taken line by line or whole.
"""

import re
import string
from collections.abc import Callable, Iterable
from typing import Literal

from minimr.block import TextBlock

Words = Literal["space", "letters", "ascii"]

# Nearly letters: \w without decimal digits still has other numerals, such as "½" and "²".
_LETTERS_AND_NUMERALS = re.compile(r"[^\W\d_]+")
_ASCII_LETTERS = re.compile(r"[A-Za-z]+")


# What is no letter becomes a space, so that `split`, the fastest loop there is, finds the words.
_ASCII_BYTES = bytes(byte if chr(byte) in string.ascii_letters else 32 for byte in range(256))
_ASCII_BYTES_FOLDED = _ASCII_BYTES.lower()


def words_of(block: TextBlock, words: Words, ignore_case: bool) -> Iterable[str]:
    """The words of a block in order: `words_in` of its text, but without making the text if the
    bytes will do. In UTF-8 a letter of ASCII is a byte and no other character holds that byte.
    """
    as_bytes = block.encoding == "utf-8" and block.errors == "surrogateescape"
    if words == "ascii" and (as_bytes or block.data.isascii()):
        table = _ASCII_BYTES_FOLDED if ignore_case else _ASCII_BYTES
        return block.data.translate(table).decode("ascii").split()
    return words_in(block.text(), words, ignore_case)


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
