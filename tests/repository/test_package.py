"""`infra/package.py`: the same tree gives the same bytes, and an archive alone, beside its pins, is a function that answers."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

import pytest

from emulator.functions_table import REPOSITORY, load_functions_table

TABLE = load_functions_table().everything
ANSWERS = {name: (404, 404) if name in load_functions_table().services else (200, 400) for name in TABLE}
"""To GET / and to garbage: a service has no route there."""
NAMES = sorted(TABLE)
PACKAGE_PY = Path("infra") / "package.py"
LAYERS = ("adapters", "application", "domain", "runtime")
PACKAGED = ("infra/package.py", "infra/functions.json", "functions", "shared/sojourn")
LONG_AGO = 1_000_000_000
TIMEOUT_SECONDS = 60

# `-I -S` leaves the standard library alone on the path: no editable install, no PYTHONPATH, no folder of this repository.
ALONE = """
import importlib.metadata, importlib.util, json, pkgutil, sys
target, folder, *site_packages = sys.argv[1:]
sys.path += site_packages
import functions_framework
client = functions_framework.create_app(target, folder + "/main.py").test_client()
import sojourn
answer = {
    "status": client.get("/").status_code,
    "garbage": client.post("/", data=b"?").status_code,
    "sojourn": sojourn.__file__,
    "strangers": [name for name in ("emulator", "sojourn.cli") if importlib.util.find_spec(name)],
}
for module in list(pkgutil.walk_packages(sojourn.__path__, "sojourn.")):
    importlib.import_module(module.name)
owners = importlib.metadata.packages_distributions()
answer["needs"] = sorted({owner for name in {name.partition(".")[0] for name in sys.modules} for owner in owners.get(name, ())})
sys.__stdout__.write(json.dumps(answer))
"""


def package(
    root: Path, *arguments: str, umask: int = -1, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What `infra/package.py` of the tree at `root` says to the arguments."""
    command = [sys.executable, str(root / PACKAGE_PY), *arguments]
    variables = {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})}
    return subprocess.run(
        command, cwd=root, env=variables, umask=umask, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
    )


def tree(root: Path) -> dict[str, bytes]:
    """Every file of the folders that packaging reads, by its path; caches are left out, other programs write them meanwhile."""
    paths = [path for name in PACKAGED for path in (root / name, *(root / name).rglob("*")) if path.is_file()]
    paths = [path for path in paths if "__pycache__" not in path.parts]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def plant(root: Path, contents: dict[str, bytes], names: Sequence[str]) -> Path:
    """The same tree elsewhere; its files are made in the order of `names`, which is the order some file systems list."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[name])
    return root


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the archive of every function of this repository."""
    out = tmp_path_factory.mktemp("build")
    done = package(REPOSITORY, "--out", str(out))
    assert done.returncode == 0, done.stderr
    return out


def test_the_same_tree_gives_the_same_bytes_whatever_is_around_it(tmp_path: Path) -> None:
    contents = tree(REPOSITORY)
    here = plant(tmp_path / "here", contents, sorted(contents))
    there = plant(tmp_path / "there", contents, sorted(contents, reverse=True))
    for path in (path for path in there.rglob("*") if path.is_file()):
        os.utime(path, (LONG_AGO, LONG_AGO))
        path.chmod(0o700)
    litter = (
        "functions/sweep/notes.txt",
        "shared/sojourn/domain/__pycache__/walk.cpython-311.pyc",
        "shared/sojourn/cli/new.py",
    )
    plant(there, dict.fromkeys(litter, b"litter"), litter)
    foreign = {"LC_ALL": "tr_TR.ISO-8859-9", "TZ": "Pacific/Apia", "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "1"}
    first = package(here, umask=0o022)
    second = package(there, umask=0o077, environment=foreign)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout == second.stdout
    built = [[(root / "build" / f"{name}.zip").read_bytes() for name in NAMES] for root in (here, there)]
    assert built[0] == built[1]


def test_a_byte_that_changes_in_one_function_changes_the_digest_of_that_one_alone(tmp_path: Path) -> None:
    contents = tree(REPOSITORY)
    root = plant(tmp_path, contents, sorted(contents))
    before = package(root).stdout.splitlines()
    with (root / "functions" / "sweep" / "main.py").open("a") as main_py:
        main_py.write("\n")
    after = package(root).stdout.splitlines()
    assert [line.split()[0] for line in set(after) - set(before)] == ["build/sweep.zip"]


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_holds_the_function_and_the_layers_it_runs_on_and_nothing_else(archives: Path, name: str) -> None:
    shared = REPOSITORY / "shared"
    layers = [path for layer in LAYERS for path in (shared / "sojourn" / layer).rglob("*") if path.is_file()]
    sources = [path for path in layers if "__pycache__" not in path.parts]
    expected = {path.relative_to(shared).as_posix(): path for path in (shared / "sojourn" / "__init__.py", *sources)}
    expected |= {file: REPOSITORY / "functions" / name / file for file in ("main.py", "requirements.txt")}
    with ZipFile(archives / f"{name}.zip") as zip_file:
        assert zip_file.namelist() == sorted(expected)
        assert [file for file, path in expected.items() if zip_file.read(file) != path.read_bytes()] == []


def test_every_entry_is_a_readable_file_of_1980(archives: Path) -> None:
    with ZipFile(archives / "ingest.zip") as zip_file:
        entries = zip_file.infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {oct(entry.external_attr >> 16) for entry in entries} == {"0o100644"}
    assert {(entry.create_system, entry.extra, entry.comment) for entry in entries} == {(3, b"", b"")}


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_names_no_place_of_the_machine_that_built_it(archives: Path, name: str) -> None:
    with ZipFile(archives / f"{name}.zip") as zip_file:
        everything = b"".join(zip_file.read(entry) + entry.filename.encode() for entry in zip_file.infolist())
    places = (REPOSITORY, archives, sys.prefix, sysconfig.get_path("purelib"))
    assert [str(place) for place in places if str(place).encode() in everything] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_unpacked_archive_answers_and_needs_nothing_but_its_pins(archives: Path, tmp_path: Path, name: str) -> None:
    with ZipFile(archives / f"{name}.zip") as zip_file:
        zip_file.extractall(tmp_path)
    site_packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    command = [sys.executable, "-I", "-S", "-B", "-c", ALONE, TABLE[name].entry_point, str(tmp_path), *site_packages]
    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert (answer["status"], answer["garbage"]) == ANSWERS[name]
    assert Path(answer["sojourn"]) == tmp_path / "sojourn" / "__init__.py"
    assert answer["strangers"] == []
    pinned = {line.partition("==")[0] for line in (tmp_path / "requirements.txt").read_text().splitlines()}
    assert {re.sub(r"[-_.]+", "-", need).lower() for need in answer["needs"]} - pinned == set()


def test_a_line_for_each_archive_says_path_size_and_digest(tmp_path: Path) -> None:
    done = package(REPOSITORY, "--out", str(tmp_path / "deep" / "out"), "sweep", "ingest")
    built = [tmp_path / "deep" / "out" / f"{name}.zip" for name in ("sweep", "ingest")]
    lines = [f"{path} {path.stat().st_size} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in built]
    assert done.stdout.splitlines() == lines
    assert sorted(built[0].parent.iterdir()) == sorted(built)


def test_an_unknown_function_is_refused_with_the_names_there_are_before_anything_is_built(tmp_path: Path) -> None:
    done = package(REPOSITORY, "--out", str(tmp_path / "out"), "sweep", "sweeep")
    assert done.returncode == 2
    assert f"there is no function sweeep; there are {', '.join(TABLE)}" in done.stderr
    assert not (tmp_path / "out").exists()


def test_packaging_is_python_not_shell() -> None:
    """The Makefile only opens the door; the program behind it starts no other, and infra/ holds no shell script."""
    (recipe,) = re.findall(r"^package:.*\n((?:\t.*\n)+)", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert recipe == "\t@$(BIN)/python infra/package.py\n"
    assert re.search(r"\b(subprocess|system|popen|exec\w*)\b", (REPOSITORY / PACKAGE_PY).read_text()) is None
    files = [path for folder in ("infra", "functions") for path in (REPOSITORY / folder).rglob("*") if path.is_file()]
    assert [path for path in files if path.suffix == ".sh" or path.read_bytes().startswith(b"#!")] == []
