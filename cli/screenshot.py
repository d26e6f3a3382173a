"""Draws the live view of a recorded run as an SVG, for the README.

    python -m cli.screenshot tutorials/images/live-view.svg

The recording is an event log beside the picture, here `tutorials/images/live-view.jsonl`. The same
log, moment and version of rich give the same bytes.
"""

import io
from pathlib import Path

import click

from cli.live import draw
from cli.output import write_text
from minimr.errors import MinimrError
from minimr.observe.log import read_log
from minimr.observe.view import View, fold

COLUMNS = 80


@click.command()
@click.argument("svg", type=click.Path(path_type=Path))
@click.option(
    "--log", type=click.Path(path_type=Path), help="The recording.  [default: beside SVG]"
)
@click.option("--at", "at_s", type=float, help="The moment, in seconds of the log's clock.")
def main(svg: Path, log: Path | None, at_s: float | None) -> None:
    """Draw the live view of a recorded run into the file SVG."""
    try:
        write_text(svg, picture(log or svg.with_suffix(".jsonl"), at_s))
    except MinimrError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error


def picture(log: Path, at_s: float | None) -> str:
    """The live view as SVG at the moment `at_s`, or after the log's last event."""
    from rich.console import Console

    view = View()
    for event in read_log(log):
        if at_s is None or event["t"] <= at_s:
            fold(view, event)
    recorder = Console(
        record=True,
        width=COLUMNS,
        file=io.StringIO(),
        color_system="truecolor",
        legacy_windows=False,
    )
    recorder.print(draw(view, view.now_s if at_s is None else at_s))
    return recorder.export_svg(title="minimr run")


if __name__ == "__main__":
    main()
