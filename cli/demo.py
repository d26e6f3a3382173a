"""`minimr demo`: two jobs on one cluster, in a few seconds and without a network."""

import heapq
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from cli.charts import bar, sparkline
from cli.fitting import fit
from cli.model_report import Figures, figures_table
from cli.output import console
from cli.progress import Event, Progress, progress
from minimr.observe.sentences import count, duration, size

if TYPE_CHECKING:
    import minimr as mr
    from ml import LinearRegressionModel

WORKERS = 2
TEXT_FILES = 16
WORDS_SHOWN = 10
WORD_WIDTH = 12
BAR_WIDTH, BAR_LEFT = 48, 27
CURVE_WIDTH, CURVE_LEFT, LOSS_WIDTH = 60, 14, 7
WORD_OPTIONS = {"words": "letters", "ignore_case": True}
LOSSES_SHOWN = (1, 2, 5, 10, 20, 50, 100, 200)
ON_WHAT = "by gradient descent: 442 patients, 10 measurements each"
SPLIT, SPLIT_SEED = [0.6, 0.4], 17
TRAINING = {
    "iterations": 200,
    "step": 0.1,
    "fraction": 1.0,
    "reg_param": 0.0,
    "reg_type": "none",
    "intercept": True,
    "tolerance": 0.0,
}

NEXT_STEPS = {
    "minimr run wordcount FILE... -- --words letters": "the same for texts of your own",
    "minimr jobs": "the other built-in jobs and their options",
    "minimr run wordcount FILE... -o counts": "the result as files, with the run's event log",
    "minimr logs counts.log": "that run, event by event",
    "minimr train linear DATA --step 0.1 --intercept": "the same for data of your own, as libsvm",
    "minimr logs ~/.minimr/logs/FILE": "what you saw here, by the logs that every run leaves there",
    "minimr up": "a cluster that stands and takes many jobs",
}


@click.command()
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
def demo(texts: tuple[str, ...]) -> None:
    """See a word count and a linear regression run on two workers.

    Counts the words of Python's own documentation, and of any TEXT (a file, a directory or a glob),
    then fits a linear model to a bundled data set. It takes a few seconds and needs no network.
    """
    from minimr.session import Cluster

    out = console()
    screen = Screen()
    with (
        TemporaryDirectory(prefix="minimr-demo-") as directory,
        Cluster(WORKERS, on_event=screen.on_event) as cluster,
    ):
        documentation = write_documentation(Path(directory))
        out.print(f"[bold]1  Counting the words[/bold] of {describe(documentation, texts)}\n")
        count_words(cluster, screen, out, [*documentation, *texts])
        out.print(f"\n[bold]2  Linear regression[/bold] {ON_WHAT}\n")
        learn(cluster, screen, out)
    out.print("\n[bold]What to try next[/bold]")
    for command, purpose in NEXT_STEPS.items():
        out.print(f"   {command}\n       [dim]{purpose}[/dim]")
    out.print("\nThe tutorials go on from here, step by step: tutorials/01-first-job.md")


class Screen:
    """Passes the cluster's events on to whatever shows the current part of the demo."""

    def __init__(self) -> None:
        self._shown: Progress | None = None

    def on_event(self, event: Event) -> None:
        if self._shown is not None:
            self._shown.on_event(event)

    @contextmanager
    def live(self) -> Iterator[Progress]:
        with progress() as self._shown:
            yield self._shown
        self._shown = None


def write_documentation(directory: Path) -> list[str]:
    """Python's documentation on its topics, as text files of about one size."""
    from pydoc_data.topics import topics

    texts = [topics[name] for name in sorted(topics)]
    for number in range(TEXT_FILES):
        path = directory / f"python-{number:02}.txt"
        path.write_text("\n".join(texts[number::TEXT_FILES]), encoding="utf-8")
    return [str(path) for path in sorted(directory.iterdir())]


def describe(documentation: Sequence[str], texts: Sequence[str]) -> str:
    total = size(sum(Path(path).stat().st_size for path in documentation))
    yours = f" and {count(len(texts), 'text')}" if texts else ""
    return f"Python's own documentation ({total}){yours}"


def count_words(cluster: "mr.Cluster", screen: Screen, out: Any, inputs: Sequence[str]) -> None:
    from minimr.source.find import load_job

    started_s = time.monotonic()
    with screen.live():
        result = cluster.run(load_job("wordcount"), inputs, options=WORD_OPTIONS)
        counts = [(number, word) for word, number in result]
    took = duration(time.monotonic() - started_s)
    print_words(out, heapq.nlargest(WORDS_SHOWN, counts))
    total = sum(number for number, _word in counts)
    out.print(f"\n   {total:,} words, {len(counts):,} different, counted in {took}")


def print_words(out: Any, commonest: Sequence[tuple[int, str]]) -> None:
    most, width = commonest[0][0], max(1, min(BAR_WIDTH, out.width - BAR_LEFT))
    for number, word in commonest:
        picture = bar(number, most, width)
        out.print(f"   {word:{WORD_WIDTH}} [bold]{number:9,}[/bold]  [cyan]{picture}[/cyan]")


def learn(cluster: "mr.Cluster", screen: Screen, out: Any) -> None:
    from ml import DIABETES, load_libsvm
    from ml.any_model import measure

    with screen.live() as shown:
        data = load_libsvm(DIABETES, partitions=8, cluster=cluster)
        training, test = data.random_split(SPLIT, seed=SPLIT_SEED)
        started_s = time.monotonic()
        model = fit(training, SPLIT_SEED, TRAINING, shown)
        seconds = time.monotonic() - started_s
        metrics = {
            "training": measure(model, training).figures,
            "test": measure(model, test).figures,
        }
    print_training(out, model, metrics, seconds)


def print_training(
    out: Any,
    model: "LinearRegressionModel",
    metrics: Mapping[str, Figures],
    seconds: float,
) -> None:
    losses, room = model.loss_history, max(LOSS_WIDTH, out.width - CURVE_LEFT)
    shown = [number for number in LOSSES_SHOWN if number <= len(losses)][-(room // LOSS_WIDTH) :]
    out.print(f"   loss       [cyan]{sparkline(losses, min(CURVE_WIDTH, room))}[/cyan]")
    out.print("   iteration  " + "".join(f"{number:{LOSS_WIDTH}}" for number in shown))
    out.print(
        "   loss       " + "".join(f"{losses[number - 1]:{LOSS_WIDTH},.0f}" for number in shown)
    )
    rounds = count(len(losses), "round")
    out.print(f"\n   {rounds} in {duration(seconds)}, {duration(seconds / len(losses))} each\n")
    for line in figures_table(metrics):
        out.print(f"   {line}")
