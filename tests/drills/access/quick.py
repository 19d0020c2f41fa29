"""The program as it is but for passwords hashed cheaply, so that thousands of sign-ins take minutes less."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dependency_injector import providers
from passlib.context import CryptContext

from adapters.security.password_hasher import PasslibHasher
from entrypoints.cli import main
from entrypoints.container import Container
from tests.e2e.client import ADMIN_PASSWORD, Service, data_folder

SETTINGS = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "REGISTRATION": "open", "RATE_LIMITS": "off", "LOG_FORMAT": "json"}


class CheapHasher(PasslibHasher):
    """Argon2id with the least that it takes."""

    def __init__(self) -> None:
        super().__init__()
        self._context = CryptContext(schemes=["argon2"], argon2__rounds=1, argon2__memory_cost=8, argon2__parallelism=1)


class QuickService(Service):
    """A service of this program."""

    program = (sys.executable, "-m", "tests.drills.access.quick")


@contextmanager
def service_for_races(kind: type[Service] = QuickService) -> Iterator[Service]:
    """A service that answers without limits, while this lasts."""
    with data_folder() as folder:
        service = kind(folder, **SETTINGS)
        try:
            yield service.wait_ready()
        finally:
            if service.process.poll() is None:
                service.stop()


if __name__ == "__main__":
    Container.hasher.override(providers.Singleton(CheapHasher))
    main()
