"""The README keeps its word: its commands work when pasted, its table names every setting."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from entrypoints.settings import PREFIX, Settings
from tests.e2e.client import data_folder, environment, free_port, until

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
CURLS = [line for line in COMMANDS if line.startswith("curl ")]
IMPORTS = [line for line in COMMANDS if " import " in line]
TARGETS = [match[1] for line in COMMANDS if (match := re.match(r"make (\w+)", line))]
ADDRESS = "http://127.0.0.1:8000"


def make(*arguments: str) -> list[str]:
    """make, with the virtual environment that runs the tests taken as it is."""
    return ["make", f"VENV={sys.prefix}", "--old-file", f"{sys.prefix}/.installed", *arguments]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What `make run` serves on a machine where nothing ran before, and the environment of whoever made it."""

    address: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    with data_folder() as folder:
        port = free_port()
        settings = environment(folder)
        with (folder / "out").open("w") as out:
            process = subprocess.Popen(make("run", f"PORT={port}"), cwd=ROOT, env=settings, stdout=out, stderr=out)
        try:
            served = f"http://127.0.0.1:{port}"
            until(lambda: answers(served), "make run serves")
            yield Made(address=served, environment=settings)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_the_readme_has_commands_to_try() -> None:
    assert (len(CURLS), len(IMPORTS)) == (6, 1)
    assert set(TARGETS) == {"run", "test"}


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_can_be_made(target: str) -> None:
    assert subprocess.run(make("--dry-run", target), cwd=ROOT, check=True, capture_output=True).stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")
@pytest.mark.parametrize("line", CURLS)
def test_every_curl_line_works_when_pasted(line: str, made: Made) -> None:
    pasted = line.replace("curl -s", "curl -s --fail-with-body").replace(ADDRESS, made.address)
    done = subprocess.run(pasted, shell=True, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)


@pytest.mark.parametrize("line", IMPORTS)
def test_the_import_works_when_pasted(line: str, made: Made) -> None:
    pasted = line.replace(".venv/bin/", f"{sys.prefix}/bin/")
    done = subprocess.run(pasted, shell=True, check=False, capture_output=True, text=True, env=made.environment)
    assert done.returncode == 0, done.stderr
    assert "inserted" in done.stdout


def test_the_table_names_every_setting_and_its_default_and_no_other() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$", README, re.MULTILINE)
    assert [name for name, _, _ in rows] == [name.upper() for name in Settings.model_fields]
    for name, _, text in rows:
        assert text == Settings.model_fields[name.lower()].description, f"{PREFIX}{name}"


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
