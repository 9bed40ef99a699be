"""What an instance pays before its first request: importing `main.py` in a fresh interpreter, as it is deployed.

Google's build compiles what `requirements.txt` names and leaves the archive's own files as they are
(GoogleCloudPlatform/buildpacks, pkg/python/python.go); so does this. Not in it: starting Python and gunicorn, and fetching
the image.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from bench.figure import Figure, figure
from emulator.functions_table import load_functions_table
from infra.package import archive, files

TARGET_SECONDS, TARGET_MIB = 0.8, 120
IMPORT = r"""
import json, pathlib, re, resource, runpy, sys, time
begin = time.perf_counter()
runpy.run_path(sys.argv[1], run_name="main")
seconds = time.perf_counter() - begin
status = pathlib.Path("/proc/self/status")  # ru_maxrss would begin with the parent's
kib = re.search(r"VmHWM:\s*(\d+)", status.read_text())[1] if status.exists() else resource.getrusage(0).ru_maxrss
print(json.dumps([seconds, int(kib) / 1024]))
"""


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """Every function of `infra/functions.json`."""
    subprocess.run([sys.executable, "-m", "compileall", "-qq", sysconfig.get_path("purelib")], check=False)
    for name in load_functions_table().everything:
        with TemporaryDirectory(prefix="sojourn-bench-") as folder:
            with ZipFile(BytesIO(archive(dict(files(name))))) as unpacked:
                unpacked.extractall(folder)
            seconds, mib = zip(*(_import(Path(folder)) for _ in range(runs)), strict=True)
        yield figure("cold start", f"import of {name}", seconds, "s", most=TARGET_SECONDS)
        yield figure("cold start", f"memory of {name} after it", mib, "MiB", most=TARGET_MIB)


def _import(source: Path) -> tuple[float, float]:
    """Seconds, and peak memory in MiB."""
    command = [sys.executable, "-c", IMPORT, str(source / "main.py")]
    environment = os.environ | {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    seconds, mib = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
    return seconds, mib
