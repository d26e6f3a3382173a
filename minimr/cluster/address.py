"""The connection file: all that one needs to find and enter a cluster. Mode 0600, since it holds
the token, and whoever has the token can run code as the cluster's user."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from minimr.errors import NoCoordinator

FILE_VERSION = 1
TOKEN_BYTES_MIN = 16
SIZE_BYTES_MAX = 1 << 16
"""No connection file is longer."""


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int
    token: str
    pid: int
    version: int = FILE_VERSION
    # The coordinator keeps a journal: if it is gone, it is worth waiting for.
    resumes: bool = False

    @property
    def secret(self) -> bytes:
        return bytes.fromhex(self.token)


def new_token() -> str:
    return secrets.token_hex(32)


def default_address_file() -> Path:
    """$MINIMR_ADDRESS, or one file per user."""
    named = os.environ.get("MINIMR_ADDRESS")
    return Path(named) if named else Path.home() / ".minimr" / "cluster.json"


def write_address(path: Path, address: Address) -> None:
    """Appear at once and complete, readable by the owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(asdict(address), file)
        draft.replace(path)
    except BaseException:
        draft.unlink()  # It holds the token.
        raise


def read_address(path: Path) -> Address:
    """Raises NoCoordinator with what to do if there is no usable file."""
    try:
        fields = json.loads(path.read_text())
        address = Address(**fields)
        _check(address)
    except FileNotFoundError:
        raise NoCoordinator(
            f"no cluster is running: {path} does not exist; start one with 'minimr up'"
        ) from None
    except OSError as error:
        raise NoCoordinator(
            f"the connection file {path} cannot be read: {error.strerror}; name one of your own "
            "with --address, or start a cluster with 'minimr up'"
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise NoCoordinator(
            f"{path} is no connection file: {error}; give the one that 'minimr up' or 'minimr "
            "coordinator' wrote"
        ) from None
    if address.version != FILE_VERSION:
        raise NoCoordinator(
            f"{path} has version {address.version}, this minimr reads {FILE_VERSION}; "
            "restart the cluster with this minimr"
        )
    return address


class OtherCluster(NoCoordinator):
    """A connection file names another cluster than it did, where the same names mean other jobs."""


def read_again(path: Path, before: Address) -> Address:
    """Where that cluster is by now. Raises OtherCluster, or NoCoordinator as `read_address`."""
    address = read_address(path)
    if address.token != before.token:
        raise OtherCluster(f"{path} is another cluster's now; what belongs to the former one ends")
    return address


def may_be_replaced(path: Path) -> bool:
    """Whether nothing is lost if a connection file is put there: a file of another version, one
    that a killed coordinator left or an empty one is no loss."""
    if not path.is_file():
        return True
    try:
        if path.stat().st_size > SIZE_BYTES_MAX:
            return False
        content = path.read_bytes()
        return not content or "token" in json.loads(content)
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def _check(address: Address) -> None:
    """A damaged file must not name a port that is none, or a token that is empty."""
    if type(address.host) is not str or type(address.port) is not int:
        raise TypeError("the host is a name and the port a number")
    if len(bytes.fromhex(address.token)) < TOKEN_BYTES_MIN:
        raise ValueError("its token is too short")
