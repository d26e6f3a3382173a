"""`minimr jobs`: the built-in jobs and their options."""

import sys
from typing import Any

import click

from cli.job_arguments import describe_options
from cli.output import print_json, print_lines
from minimr.options import REQUIRED, Option


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every option's default.")
def jobs(as_json: bool) -> None:
    """List the built-in jobs, with the options each takes after `--`."""
    from minimr.jobs import BUILT_IN
    from minimr.source.find import load_job

    classes = {name: load_job(name) for name in BUILT_IN}
    if as_json:
        print_json([_as_json(name, job_class) for name, job_class in classes.items()])
        return
    width = max(map(len, classes))
    for name, job_class in classes.items():
        print_lines([f"{name:{width}}  {_summary(job_class)}"])
        if table := job_class.option_table():
            print_lines([f"{'':{width}}  -- {describe_options(table)}"])


def _summary(job_class: type) -> str:
    """The first line of the job's file, which says what it is for."""
    return (sys.modules[job_class.__module__].__doc__ or "").partition("\n")[0]


def _as_json(name: str, job_class: Any) -> dict[str, Any]:
    options = [_option_as_json(option) for option in job_class.option_table().values()]
    return {"job": name, "summary": _summary(job_class), "options": options}


def _option_as_json(option: Option) -> dict[str, Any]:
    fields = {"name": option.name, "type": option.type.__name__, "choices": list(option.choices)}
    if option.default is REQUIRED:
        return fields | {"required": True}
    return fields | {"required": False, "default": option.default}
