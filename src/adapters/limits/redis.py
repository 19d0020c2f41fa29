"""Counting hits in Redis, for all workers and replicas at once, without ever holding up a request for long.

Hits that arrive while Redis is being asked are asked for together next, over one connection: one round trip for all of them. A request
neither connects nor retries. See docs/decisions/0004-rate-limits.md.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import structlog
from redis.asyncio import Connection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from adapters.limits.memory import MemoryWindows
from adapters.limits.script import HIT, asked_for, told
from application.ports import Hit, Limit, Windows
from domain.errors import Unavailable

BOUND_SECONDS = 0.03  # a hit waits for Redis no longer
LEAST_SECONDS = 0.01  # that Redis has at least, for a hit that had to wait for those before it
GRACE_SECONDS = 0.002
CONNECT_SECONDS = 1.0  # no request waits for this
PROBE_SECONDS = 0.5
BATCH = 100

_Key = tuple[str, ...]
_PREFIX = b"complex-stories:hits:"
_FAILURES = (RedisError, OSError, TimeoutError)

logger = structlog.get_logger("complex_stories")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A hit that Redis is to count: under which name, and who waits to hear (None: Redis did not say)."""

    name: bytes
    limit: Limit
    answer: "asyncio.Future[Hit | None]"
    until: float


class RedisWindows(Windows):
    """Windows in Redis; in memory while Redis is away or slow, until a probe in the background finds it again.

    What Redis grants is noted in memory too, so that a caller who has used up a limit gets no second one from this worker when Redis
    goes away. Keys are hashed: Redis holds no address, name or fingerprint.
    """

    def __init__(self, url: str, *, key: bytes) -> None:
        """`key`: secret bytes, the same wherever hits are counted together."""
        self._link = RedisLink(url)
        self._key = key
        self._local = MemoryWindows()
        self._waiting: list[_Asked] = []
        self._is_away = True
        self._failures = 0
        self._asking: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._link.connect()
            self._is_away = False
        except Exception as error:  # noqa: BLE001 - a Redis that cannot be reached, for whatever reason, stops no start
            self._fall_back(error)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_away = True
        for task in (self._probing, self._asking):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        for asked in self._waiting:  # a task that is cancelled before its first step does nothing, its `finally` included
            _tell(asked, None)
        await self._link.close()

    @property
    def failures(self) -> int:
        return self._failures

    @property
    def is_apart(self) -> bool:
        return self._is_away

    async def hit(self, key: _Key, limit: Limit) -> Hit:
        if self._is_away:
            return self._local.count(key, limit)
        hit = await self._say(self._name(key, limit), limit)
        if hit is None or hit.granted:
            own = self._local.count(key, limit)
            return hit or own
        return hit

    async def give_back(self, key: _Key, limit: Limit) -> None:
        self._local.uncount(key)
        if not self._is_away:
            await self._say(self._name(key, limit), Limit(amount=0, seconds=limit.seconds))

    async def _say(self, name: bytes, limit: Limit) -> Hit | None:
        """What Redis says to a hit, or to an amount of 0, which gives one back; None where it did not say."""
        loop = asyncio.get_running_loop()
        asked = _Asked(name=name, limit=limit, answer=loop.create_future(), until=loop.time() + BOUND_SECONDS)
        self._waiting.append(asked)
        if self._asking is None:
            self._asking = loop.create_task(self._ask())
        return await asked.answer

    def _name(self, key: _Key, limit: Limit) -> bytes:
        """What Redis knows a key by. The limit is part of it: where it is changed, counting begins anew."""
        text = "\n".join((*key, str(limit.amount), str(limit.seconds)))
        return _PREFIX + hashlib.blake2b(text.encode(), key=self._key, digest_size=16).hexdigest().encode()

    async def _ask(self) -> None:
        """Ask for all who wait, some at a time. Whatever happens, nobody is left waiting."""
        batch: list[_Asked] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                within = batch[0].until - asyncio.get_running_loop().time()
                hits = await self._link.hit([(asked.name, asked.limit) for asked in batch], within=within)
                for asked, hit in zip(batch, hits, strict=True):
                    _tell(asked, hit)
        except Exception as error:  # noqa: BLE001 - whatever Redis does, requests are answered
            self._fall_back(error)
        finally:
            self._asking = None
            for asked in (*batch, *self._waiting):
                _tell(asked, None)
            self._waiting.clear()

    def _fall_back(self, error: Exception) -> None:
        self._is_away = True
        self._failures += 1
        logger.warning("rate limits are counted by each worker alone: redis is away", cause=_cause(error))
        self._probing = asyncio.get_running_loop().create_task(self._probe())

    async def _probe(self) -> None:
        while self._is_away:
            await asyncio.sleep(PROBE_SECONDS)
            with suppress(Exception):  # whatever it is, ask again
                await self._link.connect()
                self._is_away = False
        logger.info("rate limits are counted together again: redis is back")


class RedisLink:
    """The one connection to Redis, and what goes over it. Every method raises `RedisError`, `OSError` or `TimeoutError`."""

    def __init__(self, url: str) -> None:
        retry = Retry(NoBackoff(), 0)
        timeouts = {"socket_timeout": None, "socket_connect_timeout": CONNECT_SECONDS}
        self._pool = ConnectionPool.from_url(url, max_connections=1, protocol=2, retry=retry, **timeouts)
        self._connection: Connection | None = None
        self._script = b""

    async def connect(self) -> None:
        """Connect anew, and see that Redis counts and answers as fast as a request must have it."""
        await self.close()
        self._connection = connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()
                self._script = await self._say("SCRIPT LOAD", HIT)
        except TimeoutError:
            raise TimeoutError(f"no answer within {CONNECT_SECONDS:.0f} s") from None
        await self.hit([(_PREFIX + b"probe", Limit(amount=1, seconds=1))], within=BOUND_SECONDS)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def hit(self, batch: Sequence[tuple[bytes, Limit]], *, within: float) -> list[Hit]:
        """Count them. Past these seconds Redis is given up, and the connection with it: an answer that is late would be taken for another.

        A reply that came while this process itself was held up is not late: after the time it looks once more at what has arrived.
        """
        names = [name for name, _ in batch]
        arguments = [value for _, limit in batch for value in asked_for(limit)]
        task = asyncio.create_task(self._say("EVALSHA", self._script, len(names), *names, *arguments))
        try:
            for seconds in (max(within, LEAST_SECONDS), GRACE_SECONDS):
                if not task.done():
                    await asyncio.wait({task}, timeout=seconds)
        finally:
            if not task.done():
                task.cancel()
                await self.close()
        if task.cancelling():
            raise TimeoutError(f"no answer within {BOUND_SECONDS * 1000:.0f} ms")
        return [told(answer) for answer in task.result()]

    async def _say(self, *command: Any) -> Any:
        if self._connection is None:
            raise ConnectionError("not connected")
        await self._connection.send_command(*command, check_health=False)
        return await self._connection.read_response()


async def check_redis(url: str) -> None:
    """Raises `Unavailable` when it does not answer, or does not count."""
    link = RedisLink(url)
    try:
        await link.connect()
    except _FAILURES as error:
        raise Unavailable from error
    finally:
        await link.close()


def _tell(asked: _Asked, hit: Hit | None) -> None:
    if not asked.answer.done():  # else whoever waited has left
        asked.answer.set_result(hit)


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
