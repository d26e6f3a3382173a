"""What the figures were measured on: no figure says anything without that."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.setting import Setting

PEERS = ("polars", "duckdb", "dask", "distributed", "ray", "pyspark", "mrjob", "numpy")


def machine(setting: Setting) -> dict[str, Any]:
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "processor": _processor(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "peers": {name: setting.version(name) for name in PEERS},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
