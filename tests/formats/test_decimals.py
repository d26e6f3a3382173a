"""Decimals read by array arithmetic against `float`, which is the definition of what is right."""

import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minimr.formats.decimals import (
    BLANK,
    COMMA,
    COUNT_UNKNOWN,
    EXPONENT,
    NEWLINE,
    POINT,
    Grammar,
    cut_at_newlines,
    read_numbers,
)

BEHIND = POINT | EXPONENT | BLANK | COMMA | NEWLINE
START = NEWLINE | BLANK | COMMA
GRAMMAR = Grammar(
    {
        NEWLINE: BEHIND,
        BLANK: BEHIND,
        COMMA: BEHIND,
        POINT: BEHIND & ~POINT,
        EXPONENT: BEHIND & ~POINT & ~EXPONENT,
    },
    START | EXPONENT,
)


def assert_read_as_float_does(tokens: list[str], extended: bool = True) -> None:
    found = read_numbers(" ".join(tokens).encode(), GRAMMAR, extended)
    assert found is not None
    wanted = np.array([float(token) for token in tokens])
    differ = np.flatnonzero(found.values.view(np.uint64) != wanted.view(np.uint64))
    assert not len(differ), [(tokens[i], found.values[i].hex(), wanted[i].hex()) for i in differ]


digits = st.text("0123456789", min_size=1, max_size=25)
written = st.builds(
    lambda sign, whole, fraction, exponent: sign + whole + fraction + exponent,
    st.sampled_from(["", "-", "+"]),
    digits,
    st.one_of(st.just(""), digits.map(".{}".format)),
    st.one_of(st.just(""), st.integers(-330, 270).map("e{}".format), st.just("E+07")),
)
doubles = st.floats(allow_nan=False, allow_infinity=False)
half_ways = st.builds(
    # Exactly between two neighbours, or a hair to either side: the hardest to round.
    lambda mantissa, power, last: f"{(2 * mantissa + 1) * 2**power}{last}",
    st.integers(2**52, 2**53 - 1),
    st.integers(0, 9),
    st.sampled_from(["", ".0", ".00001", "e0"]),
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.one_of(doubles.map(repr), doubles.map("{:.17e}".format), written, half_ways)),
    st.booleans(),
)
@example(["0", "-0", "-0.0", "0e5", "0e-9999999999999999999999", "9007199254740993", "1e22"], True)
@example(["9007199254740992e22", "9007199254740993e-22", "1e23", "4.35", "0.3", "2.5e-1"], True)
@example(["18446744073709551615", "18446744073709551616", "9999999999999999999e27"], True)
@example(["5e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "1e-400"], True)
@example(["1" + "0" * 30, "0." + "0" * 30 + "1", "0" * 40 + "7", "0" * 40 + ".5"], True)
def test_every_bit_is_that_of_float(tokens, extended):
    assert_read_as_float_does(tokens, extended)


@pytest.mark.parametrize("extended", [True, False])
@pytest.mark.parametrize("form", ["{:.6f}", "{:.3g}", "{!r}", "{:.17g}", "{:.19f}", "{:.0f}"])
def test_thousands_of_ordinary_numbers(form, extended):
    generator = random.Random(5)
    scale = 10.0 ** generator.randint(0, 3)
    assert_read_as_float_does(
        [form.format(generator.gauss(0, scale)) for _ in range(3000)], extended
    )


def test_midpoints_of_the_extended_form_are_left_to_float():
    """Decimals of 19 digits that are not half-way between doubles, but are once they are rounded
    to 64 bits: those end in 0x400 then."""
    generator = random.Random(6)
    tokens = []
    for _ in range(300):
        middle = 1 << 63 | generator.getrandbits(61) & ~0x7FF | 0x400  # times 2**-60: 8 to 10
        mantissa = middle * 10**18 >> 60
        tokens += [f"{mantissa}e-18", f"{mantissa + 1}e-18", f"{middle}"]
    assert_read_as_float_does(tokens)


@pytest.mark.parametrize("exponent", [-29, -28, -27, -23, 22, 23, 27, 28, 29])
def test_powers_of_ten_at_the_edge_of_what_is_exact(exponent):
    generator = random.Random(exponent)
    count = 30_000 if abs(exponent) == 28 else 1000  # where one in thousands would be wrong
    assert_read_as_float_does(
        [f"{generator.randint(2**53, 10**19 - 1)}e{exponent}" for _ in range(count)]
    )


def test_what_stands_before_each_number():
    found = read_numbers(b"12.5,-3\r\n\n 400 5e1 , 1234567890123456789.5\n", GRAMMAR)
    assert found is not None
    assert found.before.tolist() == [NEWLINE, COMMA, NEWLINE, BLANK, COMMA]
    assert found.values.tolist() == [12.5, -3, 400, 50, 1234567890123456789.5]
    assert found.counts.tolist() == []


def test_counts_are_apart_from_the_numbers():
    counting = Grammar({NEWLINE: BEHIND, BLANK: COMMA, COMMA: BEHIND, POINT: BLANK}, START, BLANK)
    found = read_numbers(b"-1.5 7,2.25 123456789012345678,-4 1234567890123456789,5", counting)
    assert found is not None
    assert found.before.tolist() == [NEWLINE, COMMA, COMMA, COMMA]
    assert found.values.tolist() == [-1.5, 2.25, -4, 5]
    assert found.counts.tolist() == [7, 123456789012345678, COUNT_UNKNOWN]


def test_numbers_that_float_reads_may_be_followed_by_counts():
    counting = Grammar({NEWLINE: BEHIND, BLANK: COMMA, COMMA: BEHIND, POINT: BEHIND}, START, BLANK)
    hard = "0." + "123456789" * 4
    found = read_numbers(f"{hard} 7,1 8,{hard} 9,2".encode(), counting)
    assert found is not None
    assert found.values.tolist() == [float(hard), 1, float(hard), 2]
    assert found.counts.tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    "text",
    ["1..2", "1.2.3", "1e5.5", "1e2e3", "--1", "1-2", "1 .5", "5.", ".5", "1,,2", ",1", "1, ,2",
     "1\n,2", "1:2", "1: :2", "nan", "1x", "x1", "1e", "1e999", "-1e999", "1_0", "\xa01", "1\x002",
     "1+", "+", "1 " + "\n" * 9 + "2", "1.-5"],
)  # fmt: skip
def test_what_is_not_plain_is_refused(text):
    assert read_numbers(text.encode("latin-1"), GRAMMAR) is None


@pytest.mark.parametrize("text", ["", "\n", " \t\r\n\n"])
def test_no_numbers(text):
    found = read_numbers(text.encode(), GRAMMAR)
    assert found is not None
    assert (len(found.before), len(found.values), len(found.counts)) == (0, 0, 0)


def test_a_sign_stands_only_where_the_grammar_has_it():
    unsigned = Grammar(GRAMMAR.follows, NEWLINE)
    assert read_numbers(b"-1 2", unsigned) is not None
    assert read_numbers(b"1 -2", unsigned) is None
    assert read_numbers(b"1 +2", unsigned) is None


@settings(max_examples=60, deadline=None)
@given(st.text("12 -.e,\n\r+", max_size=12))
def test_accepts_nothing_that_float_refuses(text):
    found = read_numbers(text.encode(), GRAMMAR)
    if found is not None:
        tokens = text.replace(",", " ").split()
        assert found.values.tolist() == [float(token) for token in tokens]


def test_pieces_are_whole_lines_and_together_the_text():
    data = b"".join(b"%d\n" % (7**i) for i in range(200)) + b"x" * 500_000 + b"\ny"
    pieces = list(cut_at_newlines(data, 10))
    assert b"".join(piece for _, piece in pieces) == data
    assert [start for start, _ in pieces] == [
        10 + sum(len(piece) for _, piece in pieces[:i]) for i in range(len(pieces))
    ]
    assert all(piece.endswith(b"\n") for _, piece in pieces[:-1])
    assert len(pieces) == 3
