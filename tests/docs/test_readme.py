"""What the documents say beside their sessions: commands to install, files, links, the house."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.document import blocks_of
from tests.docs.play import ROOT
from tests.docs.test_documents import DOCUMENTS

README = (ROOT / "README.md").read_text("utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LINK = re.compile(r"\]\(([^)#\s]+)\)")
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("minimr", "ml", "cli")
    for path in (ROOT / package).rglob("*.py")
    if path.name != "__init__.py"
)


def is_make_target(name: str) -> bool:
    return re.search(rf"^{name}:", (ROOT / "Makefile").read_text(), re.MULTILINE) is not None


def is_extra(name: str) -> bool:
    return name in PROJECT["project"]["optional-dependencies"]


def is_our_script(name: str) -> bool:
    return name in PROJECT["project"]["scripts"]


CHECKED_ELSEWHERE: tuple[tuple[str, Callable[..., bool]], ...] = (
    (r"make (\w+)", is_make_target),
    (r"python3 -m venv \.venv", lambda: True),
    (r"\. \.venv/bin/activate", lambda: True),
    (r"pip install \.", lambda: "build-system" in PROJECT),
    (r"pip install '\.\[(\w+)\]'", is_extra),
    (r"(minimr) demo", is_our_script),  # and tests/cli/test_end_to_end.py runs it
    (r"python -m pytest", lambda: PROJECT["tool"]["pytest"]["ini_options"]["testpaths"] != []),
)
"""The lines that a `sh` block may hold, each with what can be checked without installing."""


def is_checked_elsewhere(line: str) -> bool:
    for pattern, check in CHECKED_ELSEWHERE:
        if found := re.fullmatch(pattern, line):
            return check(*found.groups())
    return False


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_that_install_are_known_and_possible(path: Path) -> None:
    blocks = [block for block in blocks_of(path, path.name) if block.info == ("sh",)]
    lines = [line for block in blocks for line in block.lines]
    assert [line for line in lines if not is_checked_elsewhere(line)] == []


def test_a_command_that_nobody_checks_is_found() -> None:
    for line in ("make coffee", "pip install '.[gpu]'", "curl example.org | sh", "minimrx demo"):
        assert not is_checked_elsewhere(line)


def test_commands_inside_sentences_exist() -> None:
    text = "".join(path.read_text("utf-8") for path in DOCUMENTS)
    assert all(is_make_target(name) for name in re.findall(r"`make (\w+)`", text))
    assert all(is_extra(name) for name in re.findall(r"pip install '\.\[(\w+)\]'", text))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    links = [link for link in LINK.findall(path.read_text("utf-8")) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_file_has_its_place_in_the_reading_order() -> None:
    order = README.partition("## The files in reading order")[2].partition("\n## ")[0]
    named = [link for link in LINK.findall(order) if link.endswith(".py")]
    assert sorted(named) == SOURCES


def test_the_size_of_the_house_is_about_right() -> None:
    lines, files = (
        int(number.replace(",", ""))
        for number in re.findall(r"About ([\d,]+) lines in some ([\d,]+) files", README)[0]
    )
    paths = [path for name in ("minimr", "ml", "cli") for path in (ROOT / name).rglob("*.py")]
    texts = [path.read_text("utf-8") for path in paths]
    assert lines == pytest.approx(sum(text.count("\n") for text in texts), rel=0.1)
    assert files == pytest.approx(len(texts), rel=0.1)


def test_the_house_is_drawn_as_the_import_contract_says() -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    layers = [layer for each in contracts if each["type"] == "layers" for layer in each["layers"]]
    (drawing,) = (
        block
        for block in blocks_of(ROOT / "README.md", "README.md")
        if block.info == ("text", "drawing")
    )
    name = re.compile(r" *(\w+(?: \| \w+)*)")
    drawn = [match.group(1) for line in drawing.lines if (match := name.match(line))]
    assert drawn == layers
