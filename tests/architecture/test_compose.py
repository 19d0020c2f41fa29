"""The compose file: nothing secret in it, nothing open that need not be, everything looked after."""

import json
import re
import shutil
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from entrypoints.http.server import GRACE_SECONDS
from entrypoints.http.stopping import DRAIN_SECONDS
from tests.drills.soak import GIVEN_BACK
from tests.e2e.client import free_port, until

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
HAPROXY = (ROOT / "deploy" / "haproxy.cfg").read_text()
NAMES = {line.removesuffix("=") for line in (ROOT / ".env.example").read_text().splitlines() if not line.startswith("#")}


def test_every_secret_is_a_variable_that_make_secrets_writes() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)", TEXT))
    assert asked - {"BALANCER_NETWORK", "BALANCER_ADDRESS", "OTHERS_RANGE"} == NAMES
    told = [str(value) for service in SERVICES.values() for name, value in service.get("environment", {}).items() if "PASSWORD" in name]
    assert len(told) > 5
    assert all(value.startswith("${") for value in told)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_restarted_watched_and_not_open_to_other_machines(name: str) -> None:
    service = SERVICES[name]
    is_ours = "build" in service
    assert is_ours or re.fullmatch(r"[a-z/]+:[A-Za-z0-9.:-]*[0-9][A-Za-z0-9.:-]*", service["image"])
    assert service["restart"] == "unless-stopped"
    assert is_ours or "healthcheck" in service  # ours has its own in the Dockerfile
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert name in ("balancer", "grafana", "api1", "api2") or service["networks"] == ["inside"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_capabilities_and_gains_none(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert "cap_add" not in SERVICES[name]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    assert not SERVICES[name].get("privileged")


def test_one_address_is_trusted_to_say_who_asked_and_nobody_else_gets_it() -> None:
    (told,) = {SERVICES[name]["environment"]["COMPLEX_STORIES_TRUSTED_PROXIES"] for name in ("api1", "api2")}
    assert SERVICES["balancer"]["networks"]["public"]["ipv4_address"] == told
    address, subnet, others = (
        written.partition(":-")[2].rstrip("}") for written in (told, *COMPOSE["networks"]["public"]["ipam"]["config"][0].values())
    )
    assert ip_address(address) in ip_network(subnet)
    assert ip_address(address) not in ip_network(others)
    assert ip_network(others).subnet_of(ip_network(subnet))  # type: ignore[arg-type]


def test_the_service_has_an_account_of_the_store_that_may_use_one_bucket_alone() -> None:
    holders = [name for name, service in SERVICES.items() if "STORAGE_ROOT_PASSWORD" in str(service)]
    assert holders == ["storage"]
    policy = json.loads((ROOT / "deploy" / "storage-policy.json").read_text())
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    resources = {resource for statement in policy["Statement"] for resource in statement["Resource"]}
    assert {statement["Effect"] for statement in policy["Statement"]} == {"Allow"}
    assert not any("*" in action or action.startswith("admin") for action in actions)
    assert resources == {"arn:aws:s3:::stories", "arn:aws:s3:::stories/*"}
    assert SERVICES["api1"]["environment"]["COMPLEX_STORIES_STORAGE_URL"] == "s3://stories"
    script = ROOT / "deploy" / "storage.sh"
    assert subprocess.run(["/bin/sh", "-n", str(script)], check=False).returncode == 0
    assert f"admin user add local {SERVICES['api1']['environment']['AWS_ACCESS_KEY_ID']} " in script.read_text()


@pytest.mark.parametrize("name", ["api1", "api2", "primary", "replica"])
def test_a_service_has_the_time_that_it_takes_to_end(name: str) -> None:
    at_least = DRAIN_SECONDS + GRACE_SECONDS if name.startswith("api") else 60
    number, unit = re.fullmatch(r"([0-9]+)([sm])", SERVICES[name]["stop_grace_period"]).groups()  # type: ignore[union-attr]
    assert int(number) * {"s": 1, "m": 60}[unit] >= at_least


def test_the_balancer_asks_for_what_the_service_would_answer_and_starts_before_the_instances() -> None:
    lines = [line.split("#")[0].strip() for line in HAPROXY.splitlines()]
    assert "http-request deny deny_status 404 if { path,url_dec -m beg /metrics }" in lines
    defaults = [line for line in lines if line.startswith("default-server")]
    assert len(defaults) == sum(line.startswith("backend") for line in lines)
    assert all("init-addr last,libc,none resolvers names" in line for line in defaults)


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed here")
def test_the_balancer_starts_without_instances_and_hides_the_metrics_however_they_are_written(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "haproxy.cfg"
    config.write_text(
        HAPROXY.replace("bind :8000", f"bind 127.0.0.1:{port}").replace("api1:", "api1.invalid:").replace("api2:", "api2.invalid:")
    )
    with subprocess.Popen(["haproxy", "-db", "-f", str(config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as balancer:

        def status(address: str) -> int:
            try:
                return httpx.get(f"http://127.0.0.1:{port}{address}", trust_env=False).status_code
            except httpx.TransportError:
                assert balancer.poll() is None, "it ended"
                return 0

        try:
            assert until(lambda: status("/projects"), "the balancer answers") == 503
            assert [status(address) for address in ("/metrics", "/%6Detrics", "/%6d%65trics?x=1")] == [404, 404, 404]
        finally:
            balancer.kill()


def test_secrets_are_random_private_and_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    for file in ("deploy/secrets.sh", ".env.example"):
        shutil.copy(ROOT / file, tmp_path / file)
    command = ["/bin/sh", str(tmp_path / "deploy" / "secrets.sh")]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    written = (tmp_path / ".env").read_text()
    secrets = dict(line.split("=") for line in written.splitlines())
    assert set(secrets) == NAMES
    assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in secrets.values())
    assert len(set(secrets.values())) == len(NAMES)
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1
    assert (tmp_path / ".env").read_text() == written
    assert {path.name for path in tmp_path.iterdir()} == {"deploy", ".env", ".env.example"}


def test_git_leaves_the_written_secrets_alone() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert ignored.index("!.env.example") > ignored.index(".env")


def test_the_image_has_the_memory_given_back_that_the_soak_does_not_count() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert [f"ENV {name}={value}" in lines for name, value in GIVEN_BACK.items()] == [True]
