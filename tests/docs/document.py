"""A Markdown document as a list of blocks, each of a kind that says how it is checked.

The kinds are explained to readers in tutorials/README.md. A block of no kind is an error, so that
nothing can stand in a document and escape the tests.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = "```"


class DocumentError(AssertionError):
    """What a document shows is not what happens; the message names the document and the line."""


@dataclass(frozen=True)
class Block:
    """A fenced block. `info` are the words behind its fence, `line` is the line of its first."""

    info: tuple[str, ...]
    lines: tuple[str, ...]
    document: str
    line: int

    @property
    def where(self) -> str:
        return f"{self.document}, line {self.line}"

    @property
    def file(self) -> str | None:
        """The file to save the block as, if it is one to save."""
        match self.info:
            case ("python" | "text", word) if word.startswith("file="):
                return word.removeprefix("file=")
        return None

    @property
    def is_session(self) -> bool:
        return self.info in (("console",), ("console", "any-order"))

    @property
    def any_order(self) -> bool:
        return "any-order" in self.info


@dataclass(frozen=True)
class Command:
    """A command of a session and the lines that the document shows below it."""

    text: str
    shown: tuple[str, ...]
    line: int


def blocks_of(path: Path, name: str) -> list[Block]:
    """Every block of the document, in order. Raises DocumentError for one of no known kind."""
    blocks = list(_fenced(path.read_text("utf-8"), name))
    for block in blocks:
        if not (block.file or block.is_session or block.info in (("sh",), ("text", "drawing"))):
            raise DocumentError(
                f"{block.where}: a block '{' '.join(block.info)}' would not be checked; "
                "tutorials/README.md lists the kinds of blocks"
            )
    return blocks


def _fenced(text: str, name: str) -> Iterator[Block]:
    opened: tuple[str, ...] | None = None
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if opened is None and line.startswith(("    ", "\t")):
            raise DocumentError(f"{name}, line {number}: code by indentation; put it in a fence")
        if not line.lstrip().startswith(FENCE):
            lines.append(line)
        elif not line.startswith(FENCE):
            raise DocumentError(f"{name}, line {number}: an indented fence; move it to the left")
        elif opened is None:
            opened, lines = tuple(line.removeprefix(FENCE).split()), []
        else:
            yield Block(opened, tuple(lines), name, number - len(lines))
            opened, lines = None, []
    if opened is not None:
        raise DocumentError(f"{name}: a fence is opened and never closed")


def commands_of(block: Block) -> list[Command]:
    """The commands of a session block. A line that ends in a backslash goes on in the next."""
    commands: list[Command] = []
    lines = iter(enumerate(block.lines, block.line))
    for number, line in lines:
        if line.startswith("$ "):
            text = line.removeprefix("$ ")
            while text.endswith("\\"):
                text += "\n" + next(lines)[1]
            commands.append(Command(text, (), number))
        elif commands:
            last = commands[-1]
            commands[-1] = Command(last.text, (*last.shown, line), last.line)
        else:
            raise DocumentError(f"{block.where}: a session begins with a command, '$ ...'")
    return commands
