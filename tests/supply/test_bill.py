"""The bill of materials names the service and everything that it runs on, and is the same each time."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.supply.audit import ROOT


def make_bill(folder: Path) -> bytes:
    """What `make bill` writes, with the virtual environment that runs the tests taken as it is."""
    command = ["make", f"VENV={sys.prefix}", "--old-file", f"{sys.prefix}/.installed", "bill", f"BUILD={folder}"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (folder / "bom.json").read_bytes()


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_bill(tmp_path_factory.mktemp("bill"))


def test_it_names_the_service_and_its_version(bill: bytes) -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    told = json.loads(bill)
    assert told["bomFormat"] == "CycloneDX"
    assert (told["metadata"]["component"]["name"], told["metadata"]["component"]["version"]) == (project["name"], project["version"])


def test_it_names_every_locked_package_with_its_version_and_its_hashes(bill: bytes) -> None:
    locked = re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    told = json.loads(bill)["components"]
    assert len(locked) > 40
    assert sorted((each["name"], each["version"]) for each in told) == sorted(locked)
    for each in told:
        assert each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}"
        assert each["externalReferences"][0]["hashes"]


def test_it_is_the_same_each_time(bill: bytes, tmp_path: Path) -> None:
    assert make_bill(tmp_path) == bill


def test_what_serves_is_not_mixed_with_what_tests(bill: bytes) -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["dev"]
    named = {re.split(r"[^\w-]", tool)[0] for tool in tools}
    assert {"pytest", "ruff"} <= named
    assert {each["name"] for each in json.loads(bill)["components"]}.isdisjoint(named)
