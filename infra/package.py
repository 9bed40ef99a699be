"""Build `build/<function>.zip` for each function: its `main.py`, its pins, and what of `sojourn` runs in the cloud.

An archive's bytes follow from the bytes in it alone, not from clocks, umasks, locales or the order of a folder: its digest can
name the object that Terraform deploys, and a function that did not change is not deployed again.
"""

from __future__ import annotations

import argparse
import hashlib
import stat
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from emulator.functions_table import load_functions_table

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT / "shared"
LAYERS = ("domain", "application", "adapters", "runtime")
SUFFIXES = (".py", ".json")
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold."""
MODE = stat.S_IFREG | 0o644
UNIX = 3
DEFLATE_LEVEL = 9


def main() -> None:
    """Write the archives asked for, all by default; one line for each: path, bytes, SHA-256.

    One that is there already stays as it is: who plans beside us reads no half of it.
    """
    known = list(load_functions_table(ROOT / "infra" / "functions.json").everything)
    parser = argparse.ArgumentParser(description="Build a deterministic archive for each function.")
    parser.add_argument("functions", nargs="*", metavar="function", help=f"one of {', '.join(known)}; all by default")
    parser.add_argument("--out", type=Path, default=Path("build"), metavar="folder", help="default: %(default)s")
    asked = parser.parse_args()
    if unknown := [name for name in asked.functions if name not in known]:
        parser.error(f"there is no function {', '.join(unknown)}; there are {', '.join(known)}")
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in asked.functions or known:
        path, data = asked.out / f"{name}.zip", archive(dict(files(name)))
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
        sys.stdout.write(f"{path} {len(data)} {hashlib.sha256(data).hexdigest()}\n")


def files(function: str) -> Iterator[tuple[str, Path]]:
    """What goes into a function's archive, by its name there: `sojourn` lies at the root, where the function looks for it."""
    for name in ("main.py", "requirements.txt"):
        yield name, ROOT / "functions" / function / name
    yield "sojourn/__init__.py", SHARED / "sojourn" / "__init__.py"
    for layer in LAYERS:
        for path in (SHARED / "sojourn" / layer).rglob("*"):
            if path.suffix in SUFFIXES:
                yield path.relative_to(SHARED).as_posix(), path


def archive(contents: dict[str, Path]) -> bytes:
    """A zip of `contents`. The same zlib is taken for granted: another one may deflate to other bytes."""
    buffer = BytesIO()
    with ZipFile(buffer, "w") as zip_file:
        for name in sorted(contents):
            entry = ZipInfo(name, EPOCH)
            entry.create_system, entry.external_attr = UNIX, MODE << 16
            zip_file.writestr(entry, contents[name].read_bytes(), ZIP_DEFLATED, DEFLATE_LEVEL)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
