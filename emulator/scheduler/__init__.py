"""An emulator of Google Cloud Scheduler, for which Google ships none. See README.md beside this file.

It is whole by itself: it imports nothing of the project around it.
"""

from emulator.scheduler.client import connect
from emulator.scheduler.errors import PublishFailed
from emulator.scheduler.server import SchedulerEmulator
from emulator.scheduler.targets import Publish

__all__ = ["Publish", "PublishFailed", "SchedulerEmulator", "connect"]
