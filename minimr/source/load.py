"""Make a Job class out of packed code, inside a slot.

A script usually defines its job and runs it, both at the top level. A slot must execute the script
to get the class, and must not run the job again from inside the job. So while code is being loaded,
the first call into a session (`run`, `Cluster`) stops the loading: at that point the script had
defined all that the job could use when it started. No `__main__` guard is needed.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from os import devnull
from pathlib import Path
from types import ModuleType
from typing import Any

from minimr.errors import UsageError
from minimr.job import Job
from minimr.source.pack import Code, Module


class StopLoading(BaseException):
    """Ends the execution of a script that is loaded for its job class alone."""


_loading = False


def stop_if_loading() -> None:
    """Sessions call this first: a script that is being loaded goes no further."""
    if _loading:
        raise StopLoading


@contextmanager
def loading() -> Iterator[None]:
    """While this is open, a session stops the script instead of running a job."""
    global _loading
    before, _loading = _loading, True
    try:
        yield
    finally:
        _loading = before


class SourceFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports modules from sources that came with the job, before any that are installed."""

    def __init__(self, modules: dict[str, Module]) -> None:
        self._modules = modules

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        module = self._modules.get(fullname)
        if module is None:
            return None
        package = Path(module.path).name == "__init__.py"
        spec = importlib.machinery.ModuleSpec(
            fullname, self, origin=module.path, is_package=package
        )
        spec.has_location = True  # Sets __file__, which jobs use to find data beside them.
        return spec

    def exec_module(self, module: ModuleType) -> None:
        origin = self._modules[module.__name__]
        code = compile(origin.source, origin.path, "exec")
        try:
            exec(code, module.__dict__)
        except StopLoading:
            pass  # All that the job needs is defined by now.


def load(code: Code) -> type[Job]:
    """The class. Errors of the user's own top-level code pass through as they are."""
    if code.form == "pickle":
        import cloudpickle

        # At a prompt the current folder is where modules are imported from; the slot is in it.
        sys.path.insert(0, "")
        loaded = cloudpickle.loads(code.pickle)
    else:
        loaded = _import(code)
    if not (isinstance(loaded, type) and issubclass(loaded, Job)):
        raise UsageError(f"{code.module}:{code.name} is not a subclass of minimr.Job")
    return loaded


def _import(code: Code) -> Any:
    if code.modules:
        sys.meta_path.insert(0, SourceFinder(code.modules))
        for name in code.modules:
            sys.modules.pop(name, None)
    if code.argv:
        sys.argv = list(code.argv)
    # The prints of a script's top level were seen when the user started it.
    with loading(), Path(devnull).open("w") as nowhere, redirect_stdout(nowhere):
        module = importlib.import_module(code.module)
    try:
        return getattr(module, code.name)
    except AttributeError:
        raise UsageError(
            f"{code.module} does not define {code.name} before it first calls minimr; "
            "move the class up"
        ) from None
