"""`minimr check-log`: whether a run kept its promises, judged by its event log alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.output import print_json, print_lines
from minimr.errors import BadRecord, CorruptData, UsageError
from minimr.observe.log import read_log
from minimr.observe.sentences import count

if TYPE_CHECKING:
    from minimr.observe.checks import Expected, Verdict

EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
EXISTING_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(name="check-log")
@click.argument("files", nargs=-1, required=True, type=EXISTING_FILE, metavar="FILE...")
@click.option(
    "--output",
    type=EXISTING_DIRECTORY,
    metavar="DIR",
    help="Also compare the log with the output that its job published there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON.")
@click.pass_context
def check_log(
    ctx: click.Context, files: tuple[Path, ...], output: Path | None, as_json: bool
) -> None:
    """Judge event logs by the promises that every run must keep.

    FILE is an event log, as every run writes one and every simulated run, too. The checkers know
    15 invariants, such as that each task commits once, and nothing of the scheduler. What a log
    does not tell is not judged, and is said.

    \b
    Examples:
      minimr check-log counts.log
      minimr check-log counts.log --output counts
    """
    if output is not None and len(files) > 1:
        raise UsageError("--output belongs to one log; name one file")
    try:
        verdicts = {str(file): _verdict(file, output) for file in files}
    except (BadRecord, CorruptData) as error:
        raise UsageError(str(error)) from error
    if as_json:
        print_json([_as_plain(file, verdict) for file, verdict in verdicts.items()])
    else:
        print_lines(line for each in verdicts.items() for line in _lines(*each))
    if any(verdict.violations for verdict in verdicts.values()):
        ctx.exit(1)


def _verdict(file: Path, output: Path | None) -> "Verdict":
    from minimr.observe.checks import judged

    try:
        if output is None:
            return judged(read_log(file))
        return _verdict_with_output(file, output)
    except BadRecord as error:
        named = str(error) if str(file) in str(error) else f"{file}: {error}"
        raise BadRecord(named) from error


def _verdict_with_output(file: Path, output: Path) -> "Verdict":
    from dataclasses import replace

    from minimr.observe.checks import CHECKS, Violation, judged
    from minimr.observe.checks.published import damage, expected_of

    expected = expected_of(output)
    verdict = judged(read_log(file), _oracle(file, expected))
    line = verdict.events + 1
    damaged = (Violation(1, CHECKS[1], text, line, None) for text in damage(output, expected))
    return replace(verdict, violations=(*verdict.violations, *damaged))


def _oracle(file: Path, expected: "Expected") -> dict[str, "Expected"]:
    """The output is that of the log's one job that was done."""
    jobs = [event["job"] for event in read_log(file) if event["event"] == "job_done"]
    if len(jobs) != 1:
        raise UsageError(
            f"{file} tells of {count(len(jobs), 'job')} that ended well; "
            "--output needs a log with one"
        )
    return {jobs[0]: expected}


def _lines(file: str, verdict: "Verdict") -> Iterator[str]:
    from minimr.observe.checks import CHECKS

    for each in verdict.violations:
        yield f"{file}, {each.text} [{each.invariant}: {each.name}]"
    for number, why in sorted(verdict.unjudged.items()):
        yield f"{file}: not judged: {number}, {CHECKS[number]}: {why}"
    yield f"{file}: {_summary(verdict)}"


def _summary(verdict: "Verdict") -> str:
    """`15 invariants hold over 1,234 events`, or what else there is to say."""
    parts = [f"{count(len(verdict.held), 'invariant')} hold over {count(verdict.events, 'event')}"]
    broken = {each.invariant for each in verdict.violations}
    if broken:
        times = count(len(verdict.violations), "time")
        parts.append(f"{len(broken)} broken, {times} in all")
    if silent := set(verdict.unjudged) - broken:
        parts.append(f"{len(silent)} not judged")
    return "; ".join(parts)


def _as_plain(file: str, verdict: "Verdict") -> dict[str, Any]:
    violations = [
        {"invariant": each.invariant, "name": each.name, "line": each.line, "text": each.text}
        for each in verdict.violations
    ]
    unjudged = {str(number): why for number, why in sorted(verdict.unjudged.items())}
    return {
        "file": file,
        "events": verdict.events,
        "held": list(verdict.held),
        "violations": violations,
        "not_judged": unjudged,
    }
