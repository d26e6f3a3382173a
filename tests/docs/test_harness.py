"""The harness itself: a document that shows what does not happen must fail."""

from pathlib import Path

import pytest

from tests.docs.document import DocumentError, blocks_of
from tests.docs.play import Reader, compare

RIGHT = """
Save this:

```python file=hello.py
print("hello", 6 * 7)
```

```console
$ python hello.py
hello 42
$ cat missing.txt 2> /dev/null
$ echo $?
1
$ pwd; printf 'no line end'
/home/you/lesson
no line end
```

```console any-order
$ for word in b a; do \\
echo $word; done
a
b
```
"""


def follow(place: Path, text: str) -> None:
    (place / "document.md").write_text(text)
    Reader(place / "reader").follow(blocks_of(place / "document.md", "document.md"))


def test_a_true_document_passes(tmp_path: Path) -> None:
    follow(tmp_path, RIGHT)


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [
        ("hello 42", "hello 43", 9),
        ("hello 42\n", "", 9),
        ("hello 42\n", "hello 42\nhello 42\n", 9),
        ("6 * 7", "6 * 8", 9),
        ("$ echo $?\n1", "$ echo $?\n2", 12),
        ("$ echo $?\n1\n", "", 11),
        ("no line end\n```", "```", 14),
        ("a\nb\n```", "a\nc\n```", 20),
        ("console any-order", "console", 20),
    ],
)
def test_a_false_document_fails_at_its_line(
    tmp_path: Path, right: str, wrong: str, line: int
) -> None:
    assert right in RIGHT
    with pytest.raises(DocumentError, match=rf"document\.md, line {line}: "):
        follow(tmp_path, RIGHT.replace(right, wrong, 1))


@pytest.mark.parametrize(
    "text",
    [
        "```\nwhat is this\n```\n",
        "```python\nprint(1)\n```\n",
        "```bash\nls\n```\n",
        "```console anyhow\n$ ls\n```\n",
        "```console\nls\n```\n",
        "- a list\n\n  ```console\n  $ ls\n  ```\n",
        "    $ ls\n",
        "```console\n$ ls\n",
    ],
)
def test_a_block_of_no_kind_fails(tmp_path: Path, text: str) -> None:
    with pytest.raises(DocumentError, match=r"document\.md"):
        follow(tmp_path, text)


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("done in 0.41 s", "done in 12.0 ms"),
        ("done in 1.2 s", "done in 3 min 20 s"),
        ("    0.139  map-0 goes", "   12.001  map-0 goes"),
        ('{"t":0.1,"event":"log","wall":"2026"}', '{"t":22,"event":"log","wall":"2027"}'),
        ("at 127.0.0.1:8   x", "at 127.0.0.1:65000  x"),
        ("    ~~^~~", "    ^^^"),
    ],
)
def test_times_ports_and_underlines_do_not_count(shown: str, real: str) -> None:
    assert compare([shown], [real]) is None


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("2 maps", "3 maps"),
        ("map-0 goes to worker-1", "map-0 goes to worker-2"),
        ("  indented", "indented"),
        ("5 records in 1.0 s", "6 records in 1.0 s"),
        ("r2 0.5138", "r2 0.5139"),
    ],
)
def test_everything_else_counts(shown: str, real: str) -> None:
    assert compare([shown], [real]) is not None


def test_three_dots_stand_for_lines() -> None:
    assert compare(["a", "...", "d"], ["a", "b", "c", "d"]) is None
    assert compare(["a", "..."], ["a"]) is None
    assert compare(["a", "...", "d"], ["a", "b", "c"]) is not None
