"""Everything that can be set, read from the environment here and nowhere else."""

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "COMPLEX_STORIES_"
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the name that prometheus_client knows
SECRET_MIN_BYTES = 32
RATES = {
    "public-read": "600/minute",
    "survey-write": "30/minute",  # a respondent
    "survey-write-network": "300/minute",  # ten times a respondent's, unless set: a classroom shares one address
    "search": "120/minute",
    "login": "10/minute",
    "refresh": "30/minute",
    "user": "600/minute",
    "export": "10/minute",
}
NETWORK_SHARE = 10
MAX_UPLOAD_BYTES = 10 * 1024 * 1024

_WEAK = ("change", "secret", "password", "example")
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_DATABASE_NUMBER = re.compile(r"(?:/[0-9]{0,4})?")
_FOLDER = re.compile(r"file:///[^?#]+")
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[A-Za-z0-9!_.*'()/-]*)?")
_WEB_ADDRESS = re.compile(r"https?://[^\s/]+")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_UNITS = {"s": "second", "second": "second", "min": "minute", "minute": "minute", "h": "hour", "hour": "hour", "day": "day"}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(Exception):
    """A setting is bad or weak: one sentence says which and why."""


class Settings(BaseSettings):
    """The settings of the service; each is an environment variable with the prefix `COMPLEX_STORIES_`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", env_ignore_empty=True, frozen=True, hide_input_in_errors=True)

    database_url: str | None = Field(None, description="`postgresql+asyncpg://…`, PostgreSQL 15 or newer; absent: an embedded one")
    database_replica_url: str | None = Field(None, description="a streaming replica of it, which then answers public reads")
    database_replica_lag_seconds: float = Field(5.0, ge=1, le=3600, description="how far behind a replica may be that is used")
    redis_url: str | None = Field(
        None,
        description="`redis://…` or `rediss://…`, where rate limits are counted for all workers and replicas; absent: in the one process",
    )
    data_dir: Path = Field(Path("./var"), description="where the embedded cluster and the made secrets live")
    secret_key: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="signs tokens: 32 bytes or more; several, comma-separated, to rotate: the first signs, all verify"
    )
    pepper: str | None = Field(
        None, description="keys the pseudonyms of respondents and the chain of the audit trail: 32 bytes or more; never change it"
    )
    admin_password: str | None = Field(None, description="password of the first `admin`; absent: a random one, printed once")
    registration: Literal["closed", "open"] = Field("closed", description="whether people may make their own accounts")
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        (), description="networks, comma-separated, whose `X-Forwarded-For` counts"
    )
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="origins, comma-separated, whose pages may use the service: each exactly, such as `https://stories.example.org`"
    )
    rate_limits: Annotated[dict[str, str] | None, NoDecode] = Field(
        default_factory=lambda: dict(RATES), description="`on`, `off`, or changes such as `survey-write=60/min,login=5/min`"
    )
    storage_url: str | None = Field(
        None, description="where the contents of files are kept: `file:///…` or `s3://bucket/prefix`; absent: `files` in the data folder"
    )
    max_upload_bytes: int = Field(MAX_UPLOAD_BYTES, ge=1024, le=2**40, description="how large an uploaded file may be")
    upload_quota_bytes: int = Field(2**30, ge=1024, le=2**60, description="how much the files that one person uploaded may come to")
    access_token_minutes: int = Field(15, ge=1, le=24 * 60, description="how long an access token is good for")
    max_import_bytes: int = Field(
        1024**3, ge=1024, le=1024**4, description="how large a table to import may be, and what a compressed one unfolds to"
    )
    docs: Literal["on", "off"] = Field("on", description="whether `/docs` and the OpenAPI documents are served")
    metrics: Literal["admin", "open", "off"] = Field(
        "admin", description="who may read `/metrics`: `admin` (admins and their API keys), `open` (anybody) or `off` (nothing is counted)"
    )
    log_format: Literal["console", "json"] = Field("console", description="how log lines are written")

    @field_validator("database_url", "database_replica_url")
    @classmethod
    def _is_asyncpg(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith("postgresql+asyncpg://"):
            raise ValueError("must start with postgresql+asyncpg://")
        if url is not None:
            _check_address(url)
        return url

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: str | None) -> str | None:
        if url is not None:
            _check_redis_address(url)
        return url

    @field_validator("storage_url")
    @classmethod
    def _is_store(cls, url: str | None) -> str | None:
        if url is not None and not (_FOLDER.fullmatch(url) or _BUCKET.fullmatch(url)):
            raise ValueError("must be a folder such as file:///srv/stories or a bucket such as s3://stories/files, without credentials")
        return url

    @field_validator("secret_key", mode="before")
    @classmethod
    def _keys(cls, given: Any) -> Any:
        keys = tuple(given.split(",")) if isinstance(given, str) else given
        for key in keys:
            _check_secret(key)
        return keys

    @field_validator("pepper")
    @classmethod
    def _is_strong(cls, pepper: str | None) -> str | None:
        if pepper is not None:
            _check_secret(pepper)
        return pepper

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        try:
            return tuple(ipaddress.ip_network(part.strip()) for part in given.split(",") if part.strip())
        except ValueError:
            raise ValueError("must be networks such as 10.0.0.0/8, comma-separated") from None

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _exact_origins(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        origins = tuple(part.strip() for part in given.split(",") if part.strip())
        for origin in origins:
            _check_origin(origin)
        return origins

    @field_validator("rate_limits", mode="before")
    @classmethod
    def _limits(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        if given in ("on", "off"):
            return dict(RATES) if given == "on" else None
        changed = dict(_rate(part) for part in given.split(","))
        if "survey-write" in changed:
            amount, unit = changed["survey-write"].split("/")
            changed.setdefault("survey-write-network", f"{int(amount) * NETWORK_SHARE}/{unit}")
        return RATES | changed


def _check_address(url: str) -> None:
    try:
        urlsplit(url).port  # noqa: B018 - raises for one that is no number or out of range
    except ValueError:
        raise ValueError("must be an address such as postgresql+asyncpg://user:password@host:5432/database") from None


def _check_redis_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("redis", "rediss") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if not known or parts.query or parts.fragment or not _DATABASE_NUMBER.fullmatch(parts.path):
        raise ValueError("must be an address such as redis://user:password@host:6379/0, or rediss:// for TLS")


def _check_origin(origin: str) -> None:
    match = _ORIGIN.fullmatch(origin)
    port = match["port"] if match else None
    if match is None or (port is not None and (int(port) > 65535 or port == _DEFAULT_PORTS[match["scheme"]])):
        raise ValueError(
            "must be origins as browsers write them, such as https://stories.example.org or http://localhost:3000: "
            "in lower case, without a path, a default port or a wildcard"
        )


def _check_secret(secret: str) -> None:
    if len(secret.encode()) < SECRET_MIN_BYTES:
        raise ValueError(f"must have at least {SECRET_MIN_BYTES} bytes")
    if any(word in secret.lower() for word in _WEAK):
        raise ValueError("looks like a placeholder: use random bytes")


def _rate(part: str) -> tuple[str, str]:
    name, _, rate = part.strip().partition("=")
    amount, _, unit = rate.partition("/")
    if name not in RATES or unit not in _UNITS or not amount.isascii() or not amount.isdigit() or int(amount) < 1:
        raise ValueError(f"must be on, off, or rates such as login=5/min for any of {', '.join(RATES)}")
    return name, f"{int(amount)}/{_UNITS[unit]}"


def metrics_folder() -> Path | None:
    """Where all workers keep their metrics; None in a process that serves alone."""
    folder = os.environ.get(METRICS_FOLDER)
    return Path(folder) if folder else None


def is_service_named() -> bool:
    """Whether the standard OpenTelemetry variables give the service a name."""
    return "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")


def traces_wanted() -> bool:
    """Whether the standard OpenTelemetry variables ask for traces. Raises `SettingsError` for what they cannot have here."""
    exporter = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    name, address = _first_set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none" or not address:
        return False
    if exporter != "otlp":
        raise SettingsError("OTEL_TRACES_EXPORTER must be otlp or none.")
    if not _WEB_ADDRESS.match(address):
        raise SettingsError(f"{name} must be an address such as http://collector:4318.")
    name, protocol = _first_set("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol and protocol != "http/protobuf":
        raise SettingsError(f"{name} must be http/protobuf, which collectors take at port 4318.")
    return True


def _first_set(*names: str) -> tuple[str, str]:
    """The first of these variables that says something, and what."""
    return next(((name, value) for name in names if (value := os.environ.get(name, "").strip())), (names[-1], ""))


def load() -> Settings:
    """The settings of this process. Raises `SettingsError` with one sentence that never repeats a value."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise SettingsError(f"{name} {first['msg'].removeprefix('Value error, ')}.") from None
