"""Whether both programs give the same answers: a measurement of two programs that do different things would say nothing."""

import json
import socket
from collections.abc import Callable
from http.client import HTTPResponse
from random import Random
from typing import Any

from benchmarks.load import LOOPBACK
from benchmarks.stage import Server, Stage, StageError
from benchmarks.workloads import Request, Workload

SAMPLE = 20
_SECONDS = 10.0


def check_agreement(here: Stage, workload: Workload) -> None:
    """Ask the programs the same, and compare. Raises `StageError`.

    What the bare program reads must be equal; of two changes, which are not of the same thing, the keys are; of what the naive program
    and Directus read, the ids. That a status is as expected is asked of all.
    """
    for program in {rival.program for rival in workload.rivals} - {"service"} & here.servers.keys():
        told = _TOLD[program, workload.is_read]
        ours, theirs = (list(map(told, _answers(here.servers[name], here, workload, rival=program))) for name in ("service", program))
        if ours != theirs:
            raise StageError(f"{workload.title}: the service and the {program} program answer differently.")


def _ids(answer: Any) -> list[str]:
    """Directus wraps what it answers, and writes large numbers as texts."""
    entries = answer["data"] if isinstance(answer, dict) and "data" in answer else answer
    return [str(entry.get("id")) for entry in (entries if isinstance(entries, list) else [entries])]


def _nothing(_: Any) -> None:
    """It has another way to say that it is done."""


_TOLD: dict[tuple[str, bool], Callable[[Any], Any]] = {
    ("bare", True): lambda answer: answer,
    ("bare", False): sorted,
    ("naive", True): _ids,
    ("naive", False): _nothing,
    ("directus", True): _ids,
    ("directus", False): _nothing,
}


def _answers(server: Server, here: Stage, workload: Workload, *, rival: str) -> list[Any]:
    requests = workload.asked_of(server.name)(here.target, Random("reads" if workload.is_read else f"{server.name} beside {rival}"))
    return [_ask(server, next(requests), workload) for _ in range(SAMPLE)]


def _ask(server: Server, request: Request, workload: Workload) -> Any:
    with socket.create_connection((LOOPBACK, server.port), _SECONDS) as connection:
        connection.sendall(request.raw)
        with HTTPResponse(connection) as answer:
            answer.begin()
            if answer.status != request.expected:
                raise StageError(f"{workload.title}: the {server.name} answers {answer.status} instead of {request.expected}.")
            return json.loads(answer.read())
