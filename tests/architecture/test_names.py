"""Every name that is promised exists: modules import, providers provide, ports have their suites."""

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Protocol

import pytest
from dependency_injector import providers

import adapters
import application
import application.ports as ports
import domain
import entrypoints
import tests.contracts
from entrypoints.container import Container
from entrypoints.runtime import Deployment
from entrypoints.settings import Settings

NOWHERE = Deployment(database_url="postgresql+asyncpg://nowhere", secret_keys=("0" * 32,), pepper="0" * 32)
RUN_BY_ALEMBIC = "adapters.postgres.migrations"  # its environment exists only while a migration runs
# A port, and why no suite of its own tests its sentences.
WITHOUT_SUITE: dict[str, str] = {
    "DatabaseCopies": "runs PostgreSQL's own programs: tests/e2e/test_backup.py drills it",
    "DatabaseMoment": "is had from DatabaseCopies alone",
    "Incoming": "is had from a FileStore alone, whose suite tests it",
    "ResponseSnapshot": "is had from a ResponseReader alone, whose suite tests it",
    "AnnotationSnapshot": "is had from an AnnotationReader alone, whose suite tests it",
    "ChainSnapshot": "is had from an AuditChain alone, whose suite tests it",
    "ResourceSnapshot": "is had from ResourceTables alone, whose suite tests it",
    "TableConverter": "is had from Tables alone, whose suite tests it",
    "TableWriter": "is had from Tables alone, whose suite tests it",
}


def modules(package: ModuleType) -> list[str]:
    return [found.name for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]


MODULES = [name for package in (domain, application, adapters, entrypoints) for name in modules(package)]


def test_there_are_modules() -> None:
    assert len(MODULES) > 40


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith(RUN_BY_ALEMBIC)])
def test_a_module_imports_and_has_what_it_promises(name: str) -> None:
    module = importlib.import_module(name)
    for promised in getattr(module, "__all__", []):
        assert hasattr(module, promised)
    source = module.__file__
    assert source is not None
    if not Path(source).read_text().startswith('"""'):
        pytest.fail(f"{name} does not say what it is")


def test_the_container_provides_every_name_once_and_for_all() -> None:
    container = NOWHERE.container(Settings())
    provided = {name: provider for name, provider in container.providers.items() if not isinstance(provider, providers.Configuration)}
    assert len(provided) > 30
    for name, provider in provided.items():
        assert provider() is provider(), f"{name} is made anew each time"


def test_every_use_case_is_provided() -> None:
    container = NOWHERE.container(Settings())
    provided = {type(provider()) for provider in container.providers.values() if isinstance(provider, providers.Singleton)}
    use_cases = {
        kind
        for name in modules(application)
        for kind in vars(importlib.import_module(name)).values()
        if inspect.isclass(kind) and kind.__module__ == name and "__call__" in vars(kind)
    }
    assert len(use_cases) > 15
    assert use_cases <= provided


def protocols() -> list[str]:
    found = [
        name
        for name, kind in vars(ports).items()
        if inspect.isclass(kind) and issubclass(kind, Protocol) and kind.__module__ == ports.__name__
    ]
    assert len(found) > 12
    return found


def suites() -> dict[str, type]:
    """Every class in the contract suites, by name."""
    found: dict[str, type] = {}
    for name in modules(tests.contracts):
        found |= {kind.__name__: kind for kind in vars(importlib.import_module(name)).values() if inspect.isclass(kind)}
    return found


@pytest.mark.parametrize("port", protocols())
def test_a_port_has_a_suite_that_runs_on_the_fake_and_the_real_adapter(port: str) -> None:
    if port in WITHOUT_SUITE:
        pytest.skip(WITHOUT_SUITE[port])
    suite = suites()[f"{port}Contract"]
    assert [name for name in vars(suite) if name.startswith("test_")]
    runs = {kind.__name__ for kind in suites().values() if issubclass(kind, suite) and kind.__name__.startswith("Test")}
    on_the_fake = {name for name in runs if name.startswith("TestFake")}
    assert on_the_fake
    assert runs - on_the_fake


def test_the_container_is_the_one_that_was_looked_at() -> None:
    assert isinstance(NOWHERE.container(Settings()), type(Container()))
    assert set(WITHOUT_SUITE) <= set(protocols())
