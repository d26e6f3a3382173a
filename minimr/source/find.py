"""From what the user typed to a Job class: a built-in name, a file, or module:Class."""

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakSet

from minimr.aggregates import Aggregate
from minimr.errors import MinimrError, UsageError
from minimr.job import Job
from minimr.jobs import BUILT_IN
from minimr.keys import preview
from minimr.source.load import StopLoading, loading

PLAIN = (bool, int, float, str, bytes)
"""Types of what an __init__ may keep of its arguments."""

AnyJob = Job | type[Job] | str
"""An instance, a class, or what the command line takes: a built-in name, file.py:Class, ..."""


def job_of(job: AnyJob, options: dict[str, Any] | None = None) -> Job:
    """The instance meant; a class is made one with `options`. Raises UsageError as `load_job`."""
    if isinstance(job, str):
        job = load_job(job)
    instance = _instance(job, options or {}) if isinstance(job, type) else job
    if not isinstance(instance, Job):
        raise UsageError(
            f"{preview(job)} is no job; give a class that extends minimr.Job, or its name"
        )
    if "counters" not in vars(instance):
        raise UsageError(
            f"{type(instance).__name__} has an __init__ that does not call that of minimr.Job; let "
            "it call super().__init__(**options), or declare options in the class, as in n: int = 2"
        )
    if type(instance) not in _called_rightly:
        _refuse_names_nobody_calls(type(instance))
        _refuse_other_parameters(instance)
        _called_rightly.add(type(instance))
    if vars(instance).keys() - instance.option_table().keys() - {"counters"}:
        _refuse_what_would_not_travel(instance)
    return instance


def _refuse_what_would_not_travel(instance: Job) -> None:
    """Raise UsageError for a plain value that is no option and not what a task's own job has."""
    job_class = type(instance)
    anew = vars(_instance(job_class, instance.options()))
    for name in vars(instance).keys() - instance.option_table().keys():
        value = vars(instance)[name]
        if type(value) in PLAIN and (name not in anew or repr(anew[name]) != repr(value)):
            raise UsageError(
                f"{job_class.__name__} has {name} = {preview(value)}, which is no option: tasks "
                "make their own job of its options alone. Declare it in the class, as in "
                f"{name}: {type(value).__name__} = {preview(value)}"
            )


CALLED_WITH = {
    "map": ("key", "value"),
    "combine": ("key", "values"),
    "reduce": ("key", "values"),
    "partition": ("key", "partitions"),
    "map_block": ("block",),
    "reduce_block": ("groups",),
    "gang": ("blocks", "members"),
}
"""What each method of a job is called with, beside self."""

_called_rightly: WeakSet[type[Job]] = WeakSet()
"""Classes that were looked at: a round asks for the same job again and again."""


def _refuse_names_nobody_calls(job_class: type[Job]) -> None:
    """Raise UsageError for a class all of whose methods have other names than a job's, as mapper
    and reducer, which would do nothing, without a word."""
    if any(getattr(job_class, name) is not getattr(Job, name) for name in CALLED_WITH):
        return
    names = [name for name, value in vars(job_class).items() if inspect.isfunction(value)]
    if own := [name for name in names if not (name.startswith("_") or hasattr(Job, name))]:
        raise UsageError(
            f"{job_class.__name__} has {', '.join(own)}, but none of the methods that are called: "
            f"{', '.join(CALLED_WITH)}; give it at least one of these"
        )


def _refuse_other_parameters(job: Job) -> None:
    """Raise UsageError for a method that cannot be called as it will be: without self, for one."""
    for name, given in CALLED_WITH.items():
        method = getattr(job, name)
        if method is not None or getattr(Job, name) is not None:
            _refuse_no_method(type(job).__name__, name, given, method)
        function = getattr(method, "__func__", method)
        if not inspect.isfunction(function) or function.__module__ == Job.__module__:
            continue
        try:
            inspect.signature(method, follow_wrapped=False).bind(*given)
        except TypeError:
            shown = inspect.signature(function, follow_wrapped=False)
            place = f"{function.__code__.co_filename}, line {function.__code__.co_firstlineno}"
            raise UsageError(
                f"{place}: {type(job).__name__}.{name}{shown} is called as "
                f"{name}({', '.join(given)}); write def {name}(self, {', '.join(given)})"
            ) from None


def _refuse_no_method(job: str, name: str, given: tuple[str, ...], method: Any) -> None:
    """Raise UsageError for what stands in a method's place and is none."""
    if isinstance(method, type) and issubclass(method, Aggregate):
        raise UsageError(
            f"{job}.{name} is the class {method.__name__}, not an object of it: write "
            f"parentheses behind its name, as in {name} = mr.Sum()"
        )
    if not callable(method):
        raise UsageError(
            f"{job}.{name} = {preview(method)} cannot be called as {name}({', '.join(given)}); "
            f"write def {name}(self, {', '.join(given)})"
        )


def load_job(reference: str) -> type[Job]:
    """The class that JOB names. Raises UsageError with what to do if there is none."""
    reference = BUILT_IN.get(reference, reference)
    base, _, name = reference.partition(":")
    if base.endswith(".py") or "/" in base:
        return _pick(_import_file(Path(base)), base, name)
    if not name:
        raise UsageError(
            f"no job is called {reference!r}; the built-in ones are {', '.join(BUILT_IN)}. "
            "Your own: my_job.py, my_job.py:Class or module:Class"
        )
    return _pick(_import_module(base), base, name)


def _instance(job: type[Job], options: dict[str, Any]) -> Job:
    """What the user's `__init__` raises becomes one line; the rest is its cause."""
    try:
        return job(**options)
    except MinimrError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise UsageError(f"the job {job.__name__} cannot be made: {said}") from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"the job file {path} does not exist")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise UsageError(f"the job file {path} cannot be read: {error.strerror}") from None
    _refuse_taken_name(path)
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    execute = spec.loader.exec_module
    _execute(lambda: execute(module), str(path))
    return module


NEEDED = ("minimr", "ml", "cli", "numpy", "msgpack", "click", "rich")
"""Modules whose place a job file must not take; of Python's own those that are in use."""


def _refuse_taken_name(path: Path) -> None:
    """Raise UsageError for a file that others would get who import a module of that name."""
    name = path.stem
    there = sys.modules.get(name) if name in sys.stdlib_module_names else None
    # The file itself stands there if it is loaded again.
    if name in NEEDED or (there and getattr(there, "__file__", None) != str(path.resolve())):
        raise UsageError(
            f"{path} has the name of a module that minimr needs, {name}; give the file another name"
        )


def _import_module(name: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise UsageError(f"there is no module {name!r} to import here")
    _execute(lambda: importlib.import_module(name), name)
    return sys.modules[name]


def _execute(run: Callable[[], object], where: str) -> None:
    """Run the user's top level; its errors become one or two lines."""
    try:
        with loading():
            run()
    except StopLoading:
        pass  # A script that goes on to run its job; the class is defined by now.
    except SyntaxError as error:
        if error.filename is None:  # Null bytes, as UTF-16 has them: no line is to blame.
            advice = "save it as text in UTF-8"
            raise UsageError(f"{where} cannot be loaded: {error.msg}; {advice}") from None
        raise UsageError(f"{error.filename}, line {error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise UsageError(
            f"{where} cannot be loaded: {type(error).__name__}: {error} "
            f"({frame.filename}, line {frame.lineno})"
        ) from None


def _pick(module: ModuleType, where: str, name: str) -> type[Job]:
    if name:
        found = getattr(module, name, None)
        if not (isinstance(found, type) and issubclass(found, Job)):
            raise UsageError(f"{where} has no job class {name!r}{_offer(module)}")
        return found
    jobs = _jobs(module)
    if not jobs:
        raise UsageError(f"{where} defines no job; write a class that extends minimr.Job")
    if len(jobs) > 1:
        names = ", ".join(jobs)
        raise UsageError(f"{where} defines several jobs: {names}. Say which: {where}:{min(jobs)}")
    return next(iter(jobs.values()))


def _offer(module: ModuleType) -> str:
    jobs = _jobs(module)
    return f"; it defines {', '.join(jobs)}" if jobs else ""


def _jobs(module: ModuleType) -> dict[str, type[Job]]:
    """The Job classes that the module itself defines, not those it imports."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, Job)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }
