import html
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.screenshot import main, picture
from minimr.observe.log import EventLog
from tests.observe.story import Story

IMAGES = Path(__file__).parent.parent.parent / "tutorials" / "images"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    story = Story()
    story.joined("worker-1")
    story.submitted(maps=2, reduces=1)
    story.started("map-0", "worker-1")
    story.done("map-0", "worker-1")
    with EventLog(tmp_path / "run.jsonl") as file:
        file.append(story.events)
    return tmp_path / "run.jsonl"


def texts(svg: str) -> list[str]:
    """The words in the picture, without where they stand."""
    found = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    return [word for text in found for word in html.unescape(text).replace("\xa0", " ").split()]


def test_the_picture_shows_the_run_at_a_moment(log: Path) -> None:
    assert "1/2" in texts(picture(log, at_s=None))
    assert "1/2" in texts(picture(log, at_s=0.3))
    assert "0/2" in texts(picture(log, at_s=0.25))


def test_the_same_log_gives_the_same_bytes(log: Path) -> None:
    assert picture(log, None) == picture(log, None)


def test_the_command_draws_the_log_beside_the_picture(log: Path) -> None:
    result = CliRunner().invoke(main, [str(log.with_suffix(".svg"))])
    assert result.exit_code == 0
    assert log.with_suffix(".svg").read_text() == picture(log, None)


@pytest.mark.parametrize(
    ("recorded", "told"),
    [(None, "run.jsonl: No such file or directory"), ("{}\n", "is not an event log")],
)
def test_a_recording_that_cannot_be_read_is_told_in_a_line(
    tmp_path: Path, recorded: str | None, told: str
) -> None:
    if recorded is not None:
        (tmp_path / "run.jsonl").write_text(recorded)
    result = CliRunner().invoke(main, [str(tmp_path / "run.svg")])
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 1
    assert told in result.output
    assert not (tmp_path / "run.svg").exists()


def test_the_picture_in_the_readme_is_what_the_live_view_draws_now() -> None:
    """Else draw it again: python -m cli.screenshot tutorials/images/live-view.svg"""
    drawn = picture(IMAGES / "live-view.jsonl", at_s=None)
    assert texts((IMAGES / "live-view.svg").read_text()) == texts(drawn)
