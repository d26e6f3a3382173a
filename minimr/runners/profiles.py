"""The profiles of all slots as one file, for pstats and the viewers that read its format."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minimr.errors import MinimrError
from minimr.tasks.profile import SUFFIX


@contextmanager
def collected(path: str | os.PathLike[str] | None) -> Iterator[str | None]:
    """Yield a directory for the profiles of a run, and merge them into the file `path` at the end.

    The directory lies beside the file, where workers on other machines reach it as they reach the
    output. It is gone afterwards. A run without any attempt leaves no file. Without a path there is
    nothing to do. Raises MinimrError if a file cannot be written.
    """
    if path is None:
        yield None
        return
    target = Path(path).absolute()
    try:
        # The folders above the output may not be there yet.
        target.parent.mkdir(parents=True, exist_ok=True)
        place = tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-")
    except OSError as error:
        raise MinimrError(f"the profile {target} cannot be written: {error.strerror}") from error
    with place as directory:
        try:
            yield directory
        finally:
            _merge(Path(directory), target)


def _merge(directory: Path, target: Path) -> None:
    files = sorted(map(str, directory.glob(f"*{SUFFIX}")))
    if not files:
        return
    from pstats import Stats

    try:
        Stats(*files).dump_stats(target)
    except OSError as error:
        raise MinimrError(f"the profile {target} cannot be written: {error.strerror}") from error
