"""Pack a job's code: its source file and the modules beside it that it imports.

Three forms, tried in this order:
- "reference": the class lives in an installed package, which the slots have too.
- "source": the class is at the top level of a file. The file travels with every module that it
  imports from its own folder, found by reading the import statements, not by running them.
- "pickle": the class was typed at a prompt or in a notebook, so there is no file. It travels by
  cloudpickle (the extra `notebook`) and is unpickled nowhere but in a slot.
"""

import ast
import hashlib
import sys
import sysconfig
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

from minimr.errors import UsageError

OUR_PACKAGES = ("minimr", "ml", "cli")
SOURCE_BYTES_MAX = 16 << 20


@dataclass(frozen=True)
class Module:
    """One source file: the path is the original one, so that tracebacks show the user's file."""

    path: str
    source: bytes


@dataclass(frozen=True)
class Code:
    """What a slot needs to make the class. `modules` maps module names to their sources."""

    form: str
    module: str
    name: str
    modules: dict[str, Module] = field(default_factory=dict)
    pickle: bytes = b""
    argv: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {
            "form": self.form,
            "module": self.module,
            "name": self.name,
            "modules": {name: vars(module) for name, module in self.modules.items()},
            "pickle": self.pickle,
            "argv": self.argv,
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Code":
        modules = {name: Module(**each) for name, each in fields["modules"].items()}
        return cls(**{**fields, "modules": modules})

    @cached_property
    def digest(self) -> str:
        """The same for the same code: slots are kept from job to job while it does not change."""
        parts = [self.form, self.module, self.name, *self.argv]
        for name, module in sorted(self.modules.items()):
            parts += [name, module.path, hashlib.sha256(module.source).hexdigest()]
        parts.append(hashlib.sha256(self.pickle).hexdigest())
        return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()


_packed: "WeakKeyDictionary[type, Code]" = WeakKeyDictionary()
# Python 3.11's ast.parse now and then raises SystemError where two threads are in it.
_packing = threading.RLock()


def pack(job_class: type) -> Code:
    """The code of a Job class, read once. Raises UsageError if it cannot travel."""
    with _packing:
        if job_class not in _packed:
            _packed[job_class] = _pack(job_class)
        return _packed[job_class]


def _pack(job_class: type) -> Code:
    name, module_name = job_class.__qualname__, job_class.__module__
    path = _source_file(job_class)
    if path is None or not _defines(path, name):
        return _pickled(job_class)
    path = path.resolve()
    if _is_installed(module_name, path):
        return Code("reference", module_name, name)
    if module_name == "__main__":
        root, module_name, argv = path.parent, path.stem, sys.argv
    else:
        root, argv = _root(module_name, path), []
    modules = dict(_reachable(root, module_name, path))
    size_bytes = sum(len(each.source) for each in modules.values())
    if size_bytes > SOURCE_BYTES_MAX:
        raise UsageError(
            f"the code of {name} and its imports is {size_bytes} bytes, more than "
            f"{SOURCE_BYTES_MAX}; install the helper modules as a package instead"
        )
    return Code("source", module_name, name, modules, argv=list(argv))


def _source_file(job_class: type) -> Path | None:
    """Where the class was written. Its methods know best: after `python -i script.py` the main
    module has no file any more, while a class typed there is from "<stdin>"."""
    for value in vars(job_class).values():
        if isinstance(value, FunctionType):
            return Path(value.__code__.co_filename)
    file = getattr(sys.modules.get(job_class.__module__), "__file__", None)
    return Path(file) if file else None


def _defines(path: Path, name: str) -> bool:
    """Does the file define the class at its top level? One typed at the prompt it does not."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    return any(isinstance(node, ast.ClassDef) and node.name == name for node in ast.walk(tree))


def _is_installed(module_name: str, path: Path) -> bool:
    if module_name.partition(".")[0] in OUR_PACKAGES:
        return True
    folders = {sysconfig.get_path(each) for each in ("stdlib", "purelib", "platlib")}
    return any(path.resolve().is_relative_to(Path(each).resolve()) for each in folders)


def _root(module_name: str, path: Path) -> Path:
    """The folder from which `module_name` was imported."""
    depth = module_name.count(".") + (path.name == "__init__.py")
    return path.parents[depth]


def _reachable(root: Path, name: str, path: Path) -> Iterator[tuple[str, Module]]:
    """The module and all that it imports from below `root`, each once."""
    seen = {name}
    waiting = [(name, path)]
    while waiting:
        name, path = waiting.pop()
        source = path.read_bytes()
        yield name, Module(str(path), source)
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for wanted in [*_parents(name), *_imports(source, package)]:
            found = _locate(root, wanted)
            if wanted not in seen and found is not None:
                seen.add(wanted)
                waiting.append((wanted, found))


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition(".")[0]:
        yield name


def _imports(source: bytes, package: str) -> Iterator[str]:
    """Every module name that the import statements may mean, those inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node.module or "", node.level, package)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            yield name
            yield from _parents(name)


def _absolute(module: str, level: int, package: str) -> str:
    """Resolve the dots of `from ..x import y`."""
    if level == 0:
        return module
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - level + 1], *([module] if module else [])])


def _locate(root: Path, name: str) -> Path | None:
    if not name or name.partition(".")[0] in OUR_PACKAGES:
        return None
    base = root.joinpath(*name.split("."))
    for candidate in (base / "__init__.py", base.with_name(base.name + ".py")):
        if candidate.is_file():
            return candidate
    return None


def _pickled(job_class: type) -> Code:
    name = job_class.__qualname__
    try:
        import cloudpickle
    except ImportError:
        where = "inside a function" if "<locals>" in name else "where there is no source file"
        raise UsageError(
            f"the class {name} is defined {where}, so its source cannot be sent to the workers; "
            "put it at the top level of a file, or: pip install 'minimr[notebook]'"
        ) from None
    try:
        data: bytes = cloudpickle.dumps(job_class)
    except Exception as error:
        raise UsageError(f"the class {name} cannot be sent to the workers: {error}") from error
    return Code("pickle", job_class.__module__, name, pickle=data)
