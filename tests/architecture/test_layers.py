"""The floors of the house: the contracts of import-linter are kept, and each breaks when it should."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("lint-imports")
BROKEN = {
    "floors": ("domain/text.py", "import application.ports"),
    "frameworks": ("application/ports.py", "import pydantic"),
    "container": ("entrypoints/doctor.py", "from adapters.system import SystemClock"),
    "sql": ("entrypoints/doctor.py", "import asyncpg"),
    "redis": ("entrypoints/doctor.py", "import redis.asyncio"),
    "storage": ("entrypoints/doctor.py", "import obstore"),
    "adapters": ("adapters/security/respondents.py", "from adapters.system import SystemRandom"),
}


def lint(root: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    """Check the tree in `root`: its own, since the folder it is run in comes first on the path."""
    chosen = [option for contract in contracts for option in ("--contract", contract)]
    arguments = [str(PROGRAM), "--config", str(root / "pyproject.toml"), "--no-cache", *chosen]
    return subprocess.run(arguments, cwd=root / "src", capture_output=True, text=True, timeout=120, check=False)


def test_every_contract_is_kept() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert f"{len(BROKEN)} kept, 0 broken" in done.stdout


def test_every_contract_is_tried() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert {contract["id"] for contract in settings["contracts"]} == set(BROKEN)


@pytest.mark.parametrize("contract", BROKEN)
def test_a_bad_import_breaks_its_contract(tmp_path: Path, contract: str) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    module, bad = BROKEN[contract]
    with (tmp_path / "src" / module).open("a") as source:
        source.write(f"\n{bad}\n")
    done = lint(tmp_path, contract)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "0 kept, 1 broken" in done.stdout
