import click
import pytest

from cli.size import size_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4096", 4096),
        ("4096B", 4096),
        ("64MB", 64_000_000),
        ("64mb", 64_000_000),
        ("64 MiB", 64 << 20),
        ("64M", 64 << 20),
        ("1.5GiB", 3 << 29),
        ("2T", 2 << 40),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    assert size_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "MB", "64XB", "-5", "1e6", "1,000", "٣MB", "1..5MB"])
def test_nonsense(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no size; write 64MB"):
        size_bytes(text)
