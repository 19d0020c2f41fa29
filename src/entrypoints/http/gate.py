"""Refusing before anything was spent on a request: at the end of its headers, with an answer that is made once a second.

Where five times as much is asked as can be answered, four in five are refused; what that costs is taken from the others. So neither a task
nor the application hears of these. All of them are counted and logged like any other; only a trace has none.
"""

from urllib.parse import unquote_to_bytes

from entrypoints.http.admission import Admission, Overloaded, is_exempt
from entrypoints.http.cross_origin import CrossOrigin, Headers
from entrypoints.http.edge import ALWAYS_ISOLATED, request_id_of
from entrypoints.http.problems import EdgeRefusal, Problem, render
from entrypoints.logs import AccessLog
from entrypoints.metrics import Metrics

_STATUS = 503
_REASONS = {
    400: b"Bad Request",
    408: b"Request Timeout",
    414: b"URI Too Long",
    431: b"Request Header Fields Too Large",
    _STATUS: b"Service Unavailable",
}
_ID = "REQUEST-ID"  # stands where the id goes
_LAST: Headers = [(b"connection", b"close")]
_LIKE_EXEMPT = (b"/health", b"/metrics")


class Gate:
    """Says of a request whose headers came whether it is refused at once."""

    def __init__(
        self, admission: Admission, *, access_log: AccessLog, metrics: Metrics | None = None, cross_origin: CrossOrigin | None = None
    ) -> None:
        self.admission = admission
        self._access_log = access_log
        self._metrics = metrics
        self._cross_origin = cross_origin
        self._every: Headers = []
        self._made: dict[tuple[float, bool, int], tuple[bytes, bytes]] = {}

    def refusal(self, method: str, url: bytes, headers: Headers, every: Headers, *, retry_after: float, is_last: bool) -> bytes | None:
        """The whole refusal; None where the request goes in all the same. `every` are the headers of the server itself."""
        if method == "OPTIONS" or not url.startswith(b"/") or _may_pass(url):
            return None
        request_id = request_id_of(headers)
        if every is not self._every:  # the server replaces them once a second
            self._every, self._made = every, {}
        kind = (retry_after, is_last, len(request_id))
        made = self._made.get(kind)
        if made is None:
            made = self._made[kind] = _made(every, retry_after=retry_after, is_last=is_last, id_length=len(request_id))
        head, body = made
        self._note(method, request_id.decode())
        answer = head % (request_id, _more(self._cross_origin, method, headers) if self._cross_origin else b"")
        return answer if method == "HEAD" else answer + body % request_id

    def note_last(self, *, method: str, status: int, request_id: bytes, seconds: float) -> None:
        """Count and log a request that had a `last_answer`."""
        if self._metrics is not None:
            self._metrics.in_flight += 1
            self._metrics.finish({}, method=method, status=status, seconds=seconds)
        self._access_log.write({}, method=method, status=status, request_id=request_id.decode(), seconds=seconds)

    def _note(self, method: str, request_id: str) -> None:
        if self._metrics is not None:
            self._metrics.refuse(method)
        self._access_log.write({}, method=method, status=_STATUS, request_id=request_id, seconds=0.0)


def _may_pass(url: bytes) -> bool:
    if b"%" not in url and not url.startswith(_LIKE_EXEMPT):  # nearly all
        return False
    path = url.partition(b"?")[0]
    if b"%" in path:
        path = unquote_to_bytes(path)
    return is_exempt(path.decode("latin-1"))


def _more(cross_origin: CrossOrigin, method: str, headers: Headers) -> bytes:
    more = cross_origin.headers({"method": method, "headers": headers})
    return b"".join([b"%b: %b\r\n" % header for header in more])


def _made(every: Headers, *, retry_after: float, is_last: bool, id_length: int) -> tuple[bytes, bytes]:
    """Head and body of the refusal, with room for the id and for more headers in the first, for the id in the second."""
    problem = render(Overloaded(retry_after=retry_after), request_id=_ID)
    head = _head(problem, [*every, *_LAST] if is_last else every, length=len(problem.body) - len(_ID) + id_length)
    body = problem.body.replace(b"%", b"%%").replace(_ID.encode(), b"%b")
    return head.replace(b"%", b"%%") + b"x-request-id: %b\r\n%b\r\n", body


def last_answer(refusal: EdgeRefusal, *, request_id: bytes, is_head: bool) -> bytes:
    """The whole answer to what cannot be read as a request, after which nothing can be."""
    problem = render(refusal, request_id=request_id.decode())
    more = [(b"x-request-id", request_id), *_LAST]
    head = _head(problem, more, length=len(problem.body)) + b"\r\n"
    return head if is_head else head + problem.body


def _head(problem: Problem, more: Headers, *, length: int) -> bytes:
    headers = [*more, *((name.encode(), value.encode()) for name, value in problem.headers.items()), *ALWAYS_ISOLATED]
    headers.append((b"content-length", b"%d" % length))
    return b"HTTP/1.1 %d %b\r\n" % (problem.status, _REASONS[problem.status]) + b"".join([b"%b: %b\r\n" % header for header in headers])
