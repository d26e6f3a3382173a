"""Where and on what it is measured: the interpreters, the scale, the place of the inputs."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PEERS = Path(__file__).parent / "peers"
PEERS_PYTHON = "MINIMR_BENCH_PEERS"
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
WORKERS = 2


def default_cache() -> Path:
    return Path(tempfile.gettempdir()) / f"minimr-bench-{os.getuid()}"


@dataclass
class Setting:
    """`scale` shrinks the inputs; `peers_python` is the interpreter that has the peers."""

    scale: float = 1.0
    cache: Path = field(default_factory=default_cache)
    peers_python: str = sys.executable
    _modules: dict[str, bool] = field(default_factory=dict, repr=False)

    def minimr(self, *arguments: object) -> list[str]:
        return [sys.executable, "-P", "-m", "cli.main", *map(str, arguments)]

    def ours(self, script: str, *arguments: object) -> list[str]:
        """A script of tests/bench/peers in the interpreter that runs minimr."""
        return [sys.executable, str(PEERS / script), *map(str, arguments)]

    def peer(self, script: str, *arguments: object) -> list[str]:
        """A script of tests/bench/peers in the interpreter that has the peers."""
        return [self.peers_python, str(PEERS / script), *map(str, arguments)]

    def environment(self) -> dict[str, str]:
        """Python keeps what it compiles, as it does for whoever has run minimr before: installed
        peers come compiled, and a clone would be compiled again by each of its processes."""
        kept = {name: text for name, text in os.environ.items() if name != NO_BYTECODE}
        return {**kept, "PYTHONPATH": str(ROOT)}

    def has(self, need: str) -> bool:
        """Whether a module of the peers' is there, "our MODULE", or "program NAME"."""
        if not need:
            return True
        if need not in self._modules:
            kind, _, name = need.rpartition(" ")
            self._modules[need] = HAS[kind](self, name)
        return self._modules[need]

    def version(self, module: str) -> str | None:
        """The version of a peer's distribution, None if it is not installed."""
        code = f"import importlib.metadata as m; print(m.version({module!r}))"
        done = subprocess.run([self.peers_python, "-c", code], capture_output=True, text=True)
        return done.stdout.strip() or None

    def _we_have_module(self, name: str) -> bool:
        return importlib.util.find_spec(name) is not None

    def _has_program(self, name: str) -> bool:
        return shutil.which(name) is not None

    def _has_module(self, name: str) -> bool:
        code = f"import importlib.util as u, sys; sys.exit(u.find_spec({name!r}) is None)"
        return subprocess.run([self.peers_python, "-c", code], capture_output=True).returncode == 0

    def scaled(self, number: int, at_least: int = 1) -> int:
        return max(at_least, round(number * self.scale))

    def cached(self, name: str, make: Callable[[Path], None]) -> Path:
        """The folder `name` of the cache, filled by `make` if need be: whole, or not there."""
        self.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        final = self.cache / name
        if not final.exists():
            with tempfile.TemporaryDirectory(dir=self.cache, prefix="making-") as temporary:
                half = Path(temporary) / name
                half.mkdir()
                make(half)
                half.rename(final)
        return final


HAS = {
    "": Setting._has_module,
    "our": Setting._we_have_module,
    "program": Setting._has_program,
}
