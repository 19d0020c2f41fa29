"""What is deployed beside the service: alerts and dashboard ask for what `/metrics` really gives, and are well-formed."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
GRAFANA = DEPLOY / "grafana"
ALERTS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "complex-stories.json").read_text())
OF_PROMETHEUS = {"job", "instance", "le"}
FIXED = {"outcome", "state", "of"}  # labels whose values are all there from the start

NAME = re.compile(r"complex_stories_[a-z_]+")
SELECTOR = re.compile(r"(complex_stories_[a-z_]+)\{([^}]*)\}")
MATCHER = re.compile(r'([a-z_]+)(=~|!~|!=|=)"([^"]*)"')


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in RULES)
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (variable["query"]["query"] for variable in DASHBOARD["templating"]["list"])


@pytest.fixture(scope="module")
def given(admin: httpx.Client) -> dict[str, dict[str, set[str]]]:
    """By metric, its labels and their values so far."""
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(admin.get("/metrics").text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


def test_there_are_alerts_and_panels() -> None:
    assert len(RULES) >= 6
    assert len(DASHBOARD["panels"]) >= 8
    assert len(list(expressions())) >= 20


@pytest.mark.parametrize("expression", list(expressions()))
def test_what_is_asked_for_is_given(expression: str, given: dict[str, dict[str, set[str]]]) -> None:
    assert set(NAME.findall(expression)) <= set(given)
    for metric, matchers in SELECTOR.findall(expression):
        for label, operator, value in MATCHER.findall(matchers):
            assert label in given[metric].keys() | OF_PROMETHEUS, f"{metric} has no label {label}"
            if label in FIXED:
                wanted = value.split("|") if "~" in operator else [value]
                assert set(wanted) <= given[metric][label]


def test_everything_that_is_given_is_shown(given: dict[str, dict[str, set[str]]]) -> None:
    asked = set(NAME.findall(" ".join(expressions())))
    families = {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in given if NAME.fullmatch(name)}
    assert families == {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in asked}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"[0-9]+[smh]", rule["for"])
    assert rule["labels"]["severity"] in {"page", "warn"}
    assert set(rule["annotations"]) == {"summary", "action"}


def test_panels_do_not_lie_over_one_another_and_have_numbers_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert {x for x, _ in cells} <= set(range(24))


def test_files_name_one_another() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert [(PROMETHEUS / name).exists() for name in config["rule_files"]] == [True]
    (job,) = config["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    assert all(f'job="{job["job_name"]}"' in rule["expr"] for rule in RULES if rule["alert"].endswith("Down"))
    (source,) = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}
    (provider,) = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "complex-stories.yml").read_text())["providers"]
    assert Path(provider["options"]["path"]).name == (GRAFANA / "dashboards").name


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed here")
@pytest.mark.parametrize("arguments", [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]])
def test_prometheus_takes_the_alerts(arguments: list[str]) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
