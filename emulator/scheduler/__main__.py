"""The command: `python -m emulator.scheduler --port 8123`. It runs until it is interrupted or told to terminate."""

from __future__ import annotations

import os
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from emulator.scheduler.pubsub import PubSubPublisher
from emulator.scheduler.server import LOOPBACK, SchedulerEmulator

ENDS = (signal.SIGINT, signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes; 1 if the port is taken."""
    options = _parser().parse_args(arguments)
    # Blocked before any thread starts, so that none but `sigwait` gets them.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    publish = PubSubPublisher(os.environ.get("PUBSUB_EMULATOR_HOST"))
    try:
        emulator = SchedulerEmulator(publish, port=options.port, bind=options.host, project=options.project)
    except RuntimeError as error:
        sys.stderr.write(f"cannot listen on {options.host}:{options.port}: {error}\n")
        return 1
    with emulator:
        sys.stdout.write(f"Cloud Scheduler emulator listens on {emulator.host}\n")
        sys.stdout.flush()
        signal.sigwait(ENDS)
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m emulator.scheduler", description="An emulator of Google Cloud Scheduler.")
    parser.add_argument("--port", type=int, default=0, help="0, the default, is any free port")
    parser.add_argument("--host", default=LOOPBACK, help="the address to listen on (%(default)s)")
    parser.add_argument("--project", help="refuse jobs of any other project")
    return parser


if __name__ == "__main__":
    sys.exit(main())
