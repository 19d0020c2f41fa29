"""Known weaknesses of what the service runs on: `python -m tests.supply.audit`.

Asks pip-audit about every locked package. Exit status 1 when one has a weakness that is not excepted in `pyproject.toml`. Where the
database of weaknesses cannot be reached, one line says so and the status is 0: a check may need no outside service.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 60
CONNECT_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of it: a line for each thing to be said, and whether the check passes."""

    passes: bool
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakness:
    package: str
    names: tuple[str, ...]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        remedy = f"fixed in {' or '.join(self.fixed_in)}" if self.fixed_in else "not fixed in any version"
        return f"{self.package}: {self.names[0]} ({', '.join(self.names[1:])}), {remedy}"


def exceptions(pyproject: str) -> dict[str, str]:
    """The weaknesses that are known and accepted, by id, each with its reason. Raises `ValueError` for one without a reason."""
    listed: dict[str, str] = tomllib.loads(pyproject).get("tool", {}).get("audit", {}).get("exceptions", {})
    for name, reason in listed.items():
        if not isinstance(reason, str) or len(reason.split()) < 3:
            raise ValueError(f"{name} is excepted without a reason")
    return listed


def audit(requirements: Path, *options: str) -> str | None:
    """The report of pip-audit, as JSON; None when the database did not answer within a minute.

    `options` are further ones of pip-audit. Raises `ValueError` for requirements that are not pinned by hash.
    """
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", str(CONNECT_SECONDS), *options]
    # First without asking the database: whatever fails after this is the database, and not a fault of ours.
    dry = subprocess.run([*command, "--dry-run"], check=False, capture_output=True, text=True)
    if dry.returncode:
        raise ValueError(dry.stderr.strip().rpartition("\n")[2])
    try:
        asked = subprocess.run(command, check=False, capture_output=True, text=True, timeout=WAIT_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    return asked.stdout if asked.stdout.startswith("{") else None


def judge(report: str | None, excepted: Mapping[str, str]) -> Verdict:
    """What a report means. A package that the database does not know counts as not looked up, never as sound."""
    packages: list[dict[str, Any]] = json.loads(report)["dependencies"] if report else []
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if len(unknown) == len(packages):
        return Verdict(passes=True, lines=["weaknesses not looked up: the database of pip-audit cannot be reached from here"])
    found = list(_weaknesses(packages))
    refused = [weakness for weakness in found if excepted.keys().isdisjoint(weakness.names)]
    named = {name for weakness in found for name in weakness.names}
    lines = [f"WEAK  {weakness}" for weakness in refused]
    if unknown:
        lines.append(f"not looked up, since the database does not know them: {', '.join(unknown)}")
    else:
        lines += [f"no longer needed, take it out of pyproject.toml: {name}" for name in excepted if name not in named]
    lines.append(f"{len(packages) - len(unknown)} packages looked up: {len(refused)} weaknesses, {len(found) - len(refused)} excepted")
    return Verdict(passes=not refused, lines=lines)


def _weaknesses(packages: list[dict[str, Any]]) -> Iterator[Weakness]:
    for package in packages:
        for told in package.get("vulns", []):
            yield Weakness(
                package=f"{package['name']} {package['version']}",
                names=(told["id"], *told.get("aliases", [])),
                fixed_in=tuple(told.get("fix_versions", [])),
            )


def main() -> int:
    """The exit status for the requirements of the service."""
    try:
        verdict = judge(audit(ROOT / "requirements.txt"), exceptions((ROOT / "pyproject.toml").read_text()))
    except ValueError as fault:
        verdict = Verdict(passes=False, lines=[str(fault)])
    print("\n".join(verdict.lines))
    return 0 if verdict.passes else 1


if __name__ == "__main__":
    sys.exit(main())
