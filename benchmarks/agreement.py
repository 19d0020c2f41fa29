"""Whether both programs give the same answers: a measurement of two programs that do different things would say nothing."""

import json
import socket
from http.client import HTTPResponse
from random import Random
from typing import Any

from benchmarks.load import LOOPBACK
from benchmarks.stage import Server, Stage, StageError
from benchmarks.workloads import Request, Workload

SAMPLE = 20
_SECONDS = 10.0


def check_agreement(here: Stage, workload: Workload) -> None:
    """Ask both programs the same, and compare. Raises `StageError`.

    Reads must be equal; of two saves, which are of two respondents, the keys.
    """
    ours = _answers(here.service, here, workload)
    theirs = _answers(here.bare, here, workload)
    if not workload.is_read:
        ours, theirs = [sorted(answer) for answer in ours], [sorted(answer) for answer in theirs]
    if ours != theirs:
        raise StageError(f"{workload.title}: the service and the bare program answer differently.")


def _answers(server: Server, here: Stage, workload: Workload) -> list[Any]:
    requests = workload.requests(here.target, Random("reads" if workload.is_read else server.name))
    return [_ask(server, next(requests), workload) for _ in range(SAMPLE)]


def _ask(server: Server, request: Request, workload: Workload) -> Any:
    with socket.create_connection((LOOPBACK, server.port), _SECONDS) as connection:
        connection.sendall(request.raw)
        with HTTPResponse(connection) as answer:
            answer.begin()
            if answer.status != request.expected:
                raise StageError(f"{workload.title}: the {server.name} answers {answer.status} instead of {request.expected}.")
            return json.loads(answer.read())
