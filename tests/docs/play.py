"""Does what a document tells its reader to do, and compares what happens with what it shows."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path

from tests.docs.document import Block, Command, DocumentError, commands_of

ROOT = Path(__file__).parent.parent.parent
LIMIT_S = 60
MARK = "=== the harness: status"
READERS_HOME = "/home/you"
"""What the documents call the directory that is the reader's home."""

# What differs from run to run, and what stands for it. Nothing else is forgiven.
VARIES = (
    (re.compile(r"^ +\d+\.\d{3}  "), "TIME  "),
    (re.compile(r"\b\d+ min \d+ s\b|\b\d+(\.\d+)? (ms|s)\b"), "TIME"),
    (re.compile(r'"(t|seconds)": ?\d+(\.\d+)?'), r'"\1":TIME'),
    (re.compile(r'"wall": ?"[^"]*"'), '"wall":TIME'),
    (re.compile(r"(\.minimr/logs/\w+)-\d{8}-\d{6}-\w{4}\.log"), r"\1-DATE.log"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    # The columns of a table are as wide as the ports and times in them.
    (re.compile(r"(?<=\S) {2,}"), "  "),
    (re.compile(r" +$"), ""),
)
UNDERLINE = re.compile(r" +[~^]+")
ANYTHING = "..."
"""A shown line that stands for any number of real ones."""


class Reader:
    """Somebody who follows one document in a fresh directory with a home of their own."""

    def __init__(self, place: Path) -> None:
        self.home = place / "home"
        self.directory = self.home / "lesson"
        self.temporary = place / "temporary"
        self._commands = place / "bin"
        for each in (self.directory, self.temporary, self._commands):
            each.mkdir(parents=True)
        self._install("python", f'exec "{sys.executable}" "$@"')
        self._install("minimr", f'exec "{sys.executable}" -m cli.main "$@"')

    def follow(self, blocks: Sequence[Block]) -> None:
        """Do every block. Raises DocumentError at the first that shows what does not happen."""
        for block in blocks:
            if block.file:
                text = "".join(f"{line}\n" for line in block.lines)
                (self.directory / block.file).write_text(text, "utf-8")
            elif block.is_session:
                self._talk(block)

    def leave(self) -> None:
        """Stop the cluster that a document which failed halfway may have left standing."""
        if (self.home / ".minimr" / "cluster.json").exists():
            self._run("minimr down")

    def _install(self, name: str, body: str) -> None:
        path = self._commands / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def _talk(self, block: Block) -> None:
        commands = commands_of(block)
        said = _cut(self._run(_script(commands)), len(commands))
        for number, (command, (lines, status)) in enumerate(zip(commands, said, strict=True), 1):
            where = f"{block.document}, line {command.line}: {command.text}"
            told = commands[number : number + 1] and commands[number].text == "echo $?"
            difference = compare(command.shown, self._renamed(lines), block.any_order)
            if difference:
                raise DocumentError(f"{where}\n{difference}")
            if status and not told:
                raise DocumentError(
                    f"{where}\nleft with status {status}; show that by 'echo $?', or correct it"
                )

    def _run(self, script: str) -> str:
        """Everything that a shell prints, on both streams, in order."""
        shell = subprocess.Popen(
            ["sh", "-c", script],
            cwd=self.directory,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        try:
            return shell.communicate(timeout=LIMIT_S)[0]
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            return shell.communicate()[0] + f"\n[killed after {LIMIT_S} s]\n"

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self._commands}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": str(ROOT),
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            "COLUMNS": "80",
        }

    def _renamed(self, lines: Sequence[str]) -> list[str]:
        """The lines as they would look in the home of the documents' reader."""
        real = str(self.home.resolve())
        return [
            line.replace(real, READERS_HOME).replace(str(self.home), READERS_HOME) for line in lines
        ]


def _script(commands: Sequence[Command]) -> str:
    """The commands one after the other, each followed by a mark with its exit status."""
    lines = ["status=0"]
    for command in commands:
        lines += ["(exit $status)", command.text, "status=$?", f"printf '\\n{MARK} %s\\n' $status"]
    return "\n".join(lines)


def _cut(output: str, count: int) -> list[tuple[list[str], int]]:
    """What each of `count` commands printed, and its status."""
    *pieces, rest = re.split(rf"\n{MARK} (\d+)\n", output)
    if len(pieces) != 2 * count or rest:
        raise DocumentError(f"the shell stopped before its last command; it said:\n{output}")
    return [
        (text.splitlines(), int(status))
        for text, status in zip(pieces[::2], pieces[1::2], strict=True)
    ]


def compare(shown: Sequence[str], real: Sequence[str], any_order: bool = False) -> str | None:
    """How the real lines differ from the shown ones, or None. Times, ports and so on do not count.

    A shown line `...` stands for any number of real ones.
    """
    expected, found = _plain(shown), _plain(real)
    if any_order:
        expected, found = sorted(expected), sorted(found)
    if _matches(expected, found):
        return None
    return "\n".join(unified_diff(expected, found, "the document", "what happens", lineterm=""))


def _plain(lines: Sequence[str]) -> list[str]:
    """The lines with what varies replaced, without the empty lines at the end.

    How a traceback underlines the place in a line is a matter of Python's version.
    """
    plain = []
    for line in lines:
        if UNDERLINE.fullmatch(line):
            continue
        for pattern, word in VARIES:
            line = pattern.sub(word, line)
        plain.append(line)
    while plain and not plain[-1]:
        plain.pop()
    return plain


def _matches(expected: Sequence[str], found: Sequence[str]) -> bool:
    pattern = "".join(
        r"(?:[^\n]*\n)*?" if line == ANYTHING else re.escape(line + "\n") for line in expected
    )
    return re.fullmatch(pattern, "".join(line + "\n" for line in found)) is not None
