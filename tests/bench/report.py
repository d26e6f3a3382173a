"""The figures of one call of the benchmark as a JSON file, and back."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.figures import Figures, ratios

VERSION = 1


@dataclass
class Report:
    """`cases` holds, by case and candidate, what was measured."""

    machine: dict[str, Any]
    scale: float
    cases: dict[str, dict[str, Figures]] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        cases = {
            name: {
                "candidates": {each: mine.to_dict() for each, mine in figures.items()},
                "ratios": ratios(figures),
            }
            for name, figures in self.cases.items()
        }
        content = {
            "version": VERSION,
            "machine": self.machine,
            "scale": self.scale,
            "cases": cases,
        }
        path.write_text(json.dumps(content, indent=2) + "\n")


def read_report(path: Path) -> Report:
    """What `Report.write` wrote. Raises ValueError for another version or another file."""
    content = json.loads(path.read_text())
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise ValueError(f"{path} is no report of this benchmark's version {VERSION}")
    cases = {
        name: {each: Figures.from_dict(mine) for each, mine in case["candidates"].items()}
        for name, case in content["cases"].items()
    }
    return Report(content["machine"], content["scale"], cases)
