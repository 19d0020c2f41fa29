"""Whether this process takes new requests."""

from dataclasses import dataclass


@dataclass(slots=True)
class Readiness:
    """A switch for whoever is about to end the process: once it leaves, `/health/ready` fails, and requests are still answered."""

    is_leaving: bool = False

    def leave(self) -> None:
        """Tell from now on that no new requests should come here."""
        self.is_leaving = True
