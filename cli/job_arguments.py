"""The arguments after `--`: the job's own options, read by the table that its class declares.

    minimr run grep access.log -- --ignore-case 'GET /'

Options are given by name; what stands alone fills the required options that are still open, in the
order of their declaration.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from minimr.errors import UsageError
from minimr.options import REQUIRED, Option

JOB_ARGUMENTS = "minimr.job_arguments"
"""Where a JobCommand leaves the arguments after `--`, in the context's `meta`."""


class JobCommand(click.Command):
    """A command that keeps the arguments after `--` apart from its own, for the job."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[JOB_ARGUMENTS] = args[end + 1 :]
        try:
            return super().parse_args(ctx, args[:end])
        except click.NoSuchOption as error:
            said = f"{error.message} A job's own options come after `--`."
            raise click.NoSuchOption(
                error.option_name, said, error.possibilities, error.ctx
            ) from None

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- JOB-ARGS]"]


def job_options(job: str, table: Mapping[str, Option], arguments: Sequence[str]) -> dict[str, Any]:
    """The values that `arguments` give to the options in `table`; `job` is its name, for errors.

    Raises UsageError, which lists the options, for anything that does not fit.
    """
    values: dict[str, Any] = {}
    try:
        alone = list(_take_named(table, iter(arguments), values))
        _fill_required(table, alone, values)
    except UsageError as error:
        raise UsageError(f"{error}\nOptions of {job}: {describe_options(table)}") from None
    return values


def _take_named(
    table: Mapping[str, Option], arguments: Iterator[str], values: dict[str, Any]
) -> Iterator[str]:
    """Put the options given by name into `values`; yields the arguments that stand alone."""
    for argument in arguments:
        if argument == "--":
            yield from arguments
        elif not argument.startswith("--"):
            yield argument
        else:
            flag, equals, text = argument.partition("=")
            option, negated = _find(table, flag)
            if option.type is not bool:
                values[option.name] = option.parse(text if equals else _next(arguments, flag))
            else:
                values[option.name] = (option.parse(text) if equals else True) is not negated


def _find(table: Mapping[str, Option], flag: str) -> tuple[Option, bool]:
    """The option that `flag` names, and whether it was negated, as in `--no-ignore-case`."""
    name = flag[2:].replace("-", "_")
    if name in table:
        return table[name], False
    positive = table.get(name.removeprefix("no_"))
    if positive is None or positive.type is not bool:
        place = " It is one of minimr's: put it before `--`." if _is_of_the_command(flag) else ""
        raise UsageError(f"The job has no option {flag}.{place}")
    return positive, True


def _is_of_the_command(flag: str) -> bool:
    ctx = click.get_current_context(silent=True)
    params = ctx.command.params if ctx else []
    return any(flag in (*param.opts, *param.secondary_opts) for param in params)


def _next(arguments: Iterator[str], flag: str) -> str:
    for argument in arguments:
        return argument
    raise UsageError(f"{flag} needs a value.")


def _fill_required(
    table: Mapping[str, Option], alone: Sequence[str], values: dict[str, Any]
) -> None:
    missing = [
        option
        for option in table.values()
        if option.default is REQUIRED and option.name not in values
    ]
    if len(alone) > len(missing):
        raise UsageError(f"The job takes no argument {alone[len(missing)]!r}.")
    for option, text in zip(missing, alone, strict=False):
        values[option.name] = option.parse(text)
    if len(alone) < len(missing):
        option = missing[len(alone)]
        raise UsageError(f"The job needs {option.name.upper()} ({option.expects()}) after `--`.")


def describe_options(table: Mapping[str, Option]) -> str:
    """All options on one line: `PATTERN [--ignore-case] [--words space|letters|ascii]`."""
    return " ".join(_describe(option) for option in table.values()) or "none"


def _describe(option: Option) -> str:
    if option.default is REQUIRED:
        return option.name.upper()
    flag = "--" + option.name.replace("_", "-")
    if option.type is bool:
        return f"[{'--no-' + flag[2:] if option.default else flag}]"
    takes = "|".join(map(str, option.choices)) or option.type.__name__.upper()
    return f"[{flag} {takes}]"
