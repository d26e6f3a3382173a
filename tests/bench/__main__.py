"""`python -m tests.bench`: see command.py."""

import signal

# Ctrl-C while the modules load ends the process at once, without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)
from tests.bench.command import main  # noqa: E402

signal.signal(signal.SIGINT, signal.default_int_handler)
main(prog_name="python -m tests.bench")
