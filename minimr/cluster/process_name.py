"""Names that tell minimr's processes apart, as `ps -eo pid,ppid,comm --forest` shows them."""

from contextlib import suppress
from pathlib import Path


def name_process(role: str) -> None:
    """Call this process minimr-ROLE. The kernel keeps 15 bytes of a name; where it keeps no names,
    nothing happens."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(f"minimr-{role}")
