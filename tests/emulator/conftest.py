"""The command line, called in this process: what a command printed, its exit code, and a cloud in memory to look into."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest

from sojourn.cli.main import main
from sojourn.runtime.application import InMemory, in_memory, install
from tests.builders import START


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command: TypeAlias = Callable[..., Said]


@pytest.fixture
def memory() -> Iterator[InMemory]:
    """A cloud in memory, which the commands look into."""
    cloud = in_memory(START)
    install(cloud.shop)
    yield cloud
    install(None)


@pytest.fixture
def sojourn(memory: InMemory, capsys: pytest.CaptureFixture[str]) -> Command:
    """`sojourn` with arguments."""

    def command(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as exited:
            main(arguments)
        return Said(int(exited.value.code or 0), *capsys.readouterr())

    return command
