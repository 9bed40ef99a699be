"""`python -m tests.replay`: write down anew, on purpose, what the engine answers. `new`: only what there is no golden of yet.

Documents stay as they were recorded, for that is what a store holds: only answers change. Look at the difference, and say with
the change which members in flight it means and why it is right.
"""

from __future__ import annotations

import sys

from sojourn.runtime.golden import read_golden, write_golden
from sojourn.runtime.replay import answered
from tests.replay.files import FOLDER, goldens
from tests.replay.journeys import SCRIPTS
from tests.replay.script import recorded


def main(arguments: list[str]) -> None:
    if arguments not in ([], ["new"]):
        raise SystemExit("usage: python -m tests.replay [new]")
    changed = {path.stem: write_golden(answered(read_golden(path.read_text()))) for path in goldens() if not arguments}
    changed |= {
        name: write_golden(recorded(script)) for name, script in SCRIPTS.items() if not (FOLDER / f"{name}.json").exists()
    }
    for name, text in changed.items():
        path = FOLDER / f"{name}.json"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"{path.name}\n")


main(sys.argv[1:])
