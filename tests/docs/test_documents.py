"""Every block of the README and of the tutorials: what they show is what happens."""

from pathlib import Path

import pytest

from tests.docs.document import blocks_of
from tests.docs.play import ROOT, Reader

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "tutorials").rglob("*.md"))]


@pytest.mark.slow
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_shows_is_what_happens(path: Path, tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    try:
        reader.follow(blocks_of(path, str(path.relative_to(ROOT))))
    finally:
        reader.leave()
    assert list(reader.temporary.iterdir()) == []
