"""`minimr compare` with a cluster of its own; what it draws; what it refuses."""

import json
import os
import subprocess
import sys
from math import log
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner

from cli.compare import _panels as panels
from cli.compare import _table as table
from cli.curves import Curve, Panel, draw
from cli.main import main
from minimr.cluster.fork_server import ONE_THREAD
from ml import DIABETES, Compared, Linear, Trained

LINE = "{http://www.w3.org/2000/svg}polyline"
TEXT = "{http://www.w3.org/2000/svg}text"


def run(*arguments):
    return CliRunner().invoke(main, ["compare", str(DIABETES), *arguments])


def check_log(log):
    return CliRunner().invoke(main, ["check-log", str(log), "--json"])


@pytest.mark.slow
def test_a_table_a_drawing_and_what_it_cost(tmp_path):
    plot = tmp_path / "losses.svg"
    done = run("--strategies", "sync,allreduce", "--iterations", "5", "--plot", str(plot))
    assert done.exit_code == 0, done.output
    rows = done.stdout.splitlines()
    assert [row.split()[0] for row in rows[:4]] == ["strategy", "sync", "allreduce", "(alone)"]
    assert rows[-1].startswith("COST: one process of plain numpy takes")
    *_, last = done.stderr.splitlines()
    assert check_log(last.removeprefix("event log: ")).exit_code == 0
    assert len(ElementTree.fromstring(plot.read_text()).findall(LINE)) == 2 * 3


@pytest.mark.slow
def test_a_drawing_on_a_full_disk_costs_no_table(tmp_path):
    plot = tmp_path / "losses.svg"
    plot.symlink_to("/dev/full")
    done = run("--strategies", "sync", "--iterations", "2", "--plot", str(plot))
    assert done.exit_code == 1
    assert "COST: " in done.stdout
    assert f"{plot} cannot be written: No space left on device" in done.stderr


@pytest.mark.slow
def test_the_log_of_a_parameter_server_shows_that_it_kept_its_bound(tmp_path):
    """And a log in which one reads too early is found out."""
    log = tmp_path / "a.log"
    strategies = ("--strategies", "ssp:0", "--iterations", "5")
    done = run(*strategies, "--log", str(log), "--json")
    plain = json.loads(done.stdout)
    assert "event log" not in done.stderr
    [found] = plain["strategies"]
    assert (found["strategy"], found["updates"], len(found["loss_history"])) == ("ssp:0", 5, 6)
    assert found["from_alone"] < 1e-12
    assert found["staleness"] == [0] * 5
    [verdict] = json.loads(check_log(log).stdout)
    assert (verdict["violations"], 15 in verdict["held"]) == ([], True)

    said = log.read_text()
    forged = said.replace('"clock":3,"versions":[3,3]', '"clock":3,"versions":[3,2]', 1)
    assert forged != said
    log.write_text(forged)
    result = check_log(log)
    [verdict] = json.loads(result.stdout)
    assert (result.exit_code, [each["invariant"] for each in verdict["violations"]]) == (1, [15])
    assert "1 ahead of the slowest; at most 0" in verdict["violations"][0]["text"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--slow", "worker=1"], "worker=1,factor=4"),
        (["--slow", "worker=x,factor=2"], "worker=1,factor=4"),
        (["--slow", "worker=1,factor=0.5"], "factor is from 1 to 1,000,000"),
        (["--slow", "worker=1,factor=2,share=0"], "share in"),
        (["--slow", "worker=1.5,factor=2"], "worker=1,factor=4"),
        (["--slow", "worker=nan,factor=2"], "worker=1,factor=4"),
        (["--slow", "worker=1,factor=inf"], "factor is from 1 to 1,000,000"),
        (["--slow", "worker=1,factor=1e300"], "factor is from 1 to 1,000,000"),
        (["--hidden", "8,x"], "not a list of sizes"),
        (["--strategies", " , "], "names none"),
        (["--strategies", "sync,ring"], "--strategies must be one of"),
        (["--plot", "loss.png"], "not an SVG file"),
        (["--plot", "nowhere/loss.svg"], "no directory nowhere"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(arguments, text, monkeypatch):
    monkeypatch.setattr("minimr.session.Cluster", None)
    done = run(*arguments)
    assert done.exit_code == 2
    assert text in done.output


@pytest.mark.slow
def test_data_by_its_name_with_as_many_classes_as_its_labels_say(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("x,y\n1,0\n2,1\n3,2\n")
    settings = ["--strategies", "sync", "--loss", "softmax", "--iterations", "2", "--json"]
    done = CliRunner().invoke(main, ["compare", str(table), *settings])
    assert done.exit_code == 0, done.output
    first = json.loads(done.stdout)["strategies"][0]["loss_history"][0]
    assert first == pytest.approx(np.log(3))


@pytest.mark.slow
def test_batches_without_a_row_are_told():
    done = run("--strategies", "sync", "--iterations", "1", "--fraction", "1e-9")
    assert (done.exit_code, "a larger --fraction" in done.output) == (2, True)


@pytest.mark.parametrize("own", [None, "3"])
def test_what_runs_alone_has_one_thread_unless_told_otherwise(own):
    """The environment is looked at when numpy is, which reads it then and never again."""
    look = """
import os, sys
class Look:
    def find_spec(self, name, *_):
        if name == "numpy":
            print(os.environ.get("OPENBLAS_NUM_THREADS"))
sys.meta_path.insert(0, Look())
from cli.main import main
main(["compare", "nothing.libsvm"])
"""
    environment = {name: value for name, value in os.environ.items() if name not in ONE_THREAD}
    if own is not None:
        environment["OPENBLAS_NUM_THREADS"] = own
    done = subprocess.run(
        [sys.executable, "-c", look], env=environment, capture_output=True, text=True
    )
    assert (done.stdout, "nothing.libsvm" in done.stderr) == (f"{own or 1}\n", True)


@pytest.mark.parametrize(("columns", "curve"), [(60, 0), (73, 0), (74, 12), (80, 18), (200, 24)])
def test_the_table_fits_the_terminal(columns, curve):
    """Of the usual strategies; every line of it was broken in two on a terminal of 80 columns."""
    losses = [1000.0 / step for step in range(1, 100)]
    trained = Trained(Linear(), 1, np.zeros(1), losses, 99, seconds=[0.0] * 99)
    names = ["sync", "ssp:4", "async", "allreduce", "local:8"]
    lines = table([Compared(name, trained, 2.0, 1e-12) for name in names], trained, columns)
    assert max(map(len, lines)) == (60 if not curve else 62 + curve) <= columns
    assert lines[0].endswith("loss by step") is bool(curve)
    assert {len(line) for line in lines[1:-1]} == {max(map(len, lines))}


def test_losses_are_drawn_against_what_was_sent_until_then():
    """Of 16 steps, after which `local:8` looks at the loss twice."""
    trained = Trained(Linear(), 1, np.zeros(1), [3.0, 2.0, 1.0], 16, seconds=[0.0, 0.5, 2.0])
    trained.sent_bytes = 4_000_000
    steps, seconds, sent = panels([Compared("sync", trained, 2.0, 0.0)])
    assert steps.curves[0].points == [(0, 3.0), (8, 2.0), (16, 1.0)]
    assert seconds.curves[0].points == [(0.0, 3.0), (0.5, 2.0), (2.0, 1.0)]
    assert sent.curves[0].points == [(0.0, 3.0), (2.0, 2.0), (4.0, 1.0)]


def test_curves_fill_their_axes():
    svg = draw([Panel("steps", [Curve("a<b", [(0, 5.0), (10, 1.0)])])], "loss")
    root = ElementTree.fromstring(svg)
    [line] = root.findall(LINE)
    (x0, y0), (x1, y1) = (map(float, place.split(",")) for place in line.get("points").split())
    assert x1 - x0 == pytest.approx(260)
    assert y1 - y0 == pytest.approx(180)
    assert "a<b" in "".join(root.itertext())


@pytest.mark.parametrize(
    ("ys", "title", "half_way"),
    [
        ([1000.0, 1.0, 0.001], "loss, logarithmic", 0.5),
        ([101.0, 51.0, 1.0], "loss, logarithmic", log(51) / log(101)),
        ([100.0, 50.5, 1.0], "loss", 0.5),
        ([100.0, 50.0, 0.0], "loss", 0.5),
        ([1000.0, 0.0, -1000.0], "loss", 0.5),
    ],
)
def test_losses_of_several_orders_of_magnitude_are_told_apart(ys, title, half_way):
    """All curves lay on the axis after their first tenth, whatever their ends were."""
    curve = Curve("sync", list(enumerate(ys)))
    root = ElementTree.fromstring(draw([Panel("steps", [curve])], "loss"))
    assert next(root.iter(TEXT)).text == title
    [line] = root.findall(LINE)
    y0, y1, y2 = (float(place.split(",")[1]) for place in line.get("points").split())
    assert (y2 - y1) / (y2 - y0) == pytest.approx(half_way, abs=1e-3)


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (0.464, 142.0, ["1", "10"]),
        (0.97, 1030.0, ["10", "100"]),
        (1e-300, 1e300, ["1e-202", "1e-101", "1", "1e+101", "1e+202"]),
    ],
)
def test_the_marks_are_some_powers_of_ten(low, high, marks):
    root = ElementTree.fromstring(
        draw([Panel("steps", [Curve("sync", [(0, high), (1, low)])])], "loss")
    )
    texts = [text.text for text in root.iter(TEXT)]
    assert texts[1 : texts.index("steps")] == marks
    assert len([line for line in root.iter() if line.get("class") == "mark"]) == len(marks)


def test_no_two_curves_look_alike_and_the_legend_names_all():
    names = [f"ssp:{bound}" for bound in range(24)]
    root = ElementTree.fromstring(
        draw([Panel("steps", [Curve(name, [(0, 1.0), (1234, 0.0)]) for name in names])], "loss")
    )
    strokes = [(line.get("stroke"), line.get("stroke-dasharray")) for line in root.findall(LINE)]
    assert len(set(strokes)) == len(names)
    texts = {text.text: float(text.get("y")) for text in root.iter(TEXT)}
    assert max(texts[name] for name in names) < float(root.get("height"))
    assert "1234" in texts, "steps are counted, not rounded"
    root = ElementTree.fromstring(draw([Panel("seconds", [Curve("a", [(0.518701, 1.0)])])], "loss"))
    assert "0.519" in {text.text for text in root.iter(TEXT)}, "seconds are rounded, not counted"
