"""The settings of the service: each an environment variable, all optional."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass

MEGABYTE = 1 << 20


class SettingsError(ValueError):
    """A setting cannot be used; the message names it and what is expected."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the environment says, checked."""

    model: str | None
    """STANCE_MODEL: a folder or a tag of the BentoML model store; None is the released model."""
    api_keys: tuple[str, ...]
    """STANCE_API_KEYS, comma-separated: callers must send one as Bearer token; none means open."""
    host: str
    """STANCE_HOST: an IP address."""
    port: int
    workers: int
    threads: int
    """STANCE_THREADS: of the model, in each worker."""
    max_body_bytes: int
    cors_origins: tuple[str, ...]
    """STANCE_CORS_ORIGINS, comma-separated: the web origins that may call from a browser."""

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read and check the settings. Raises SettingsError."""
        api_keys = _list(environ, "STANCE_API_KEYS")
        if environ.get("STANCE_API_KEYS") and not api_keys:
            raise SettingsError("STANCE_API_KEYS: holds no key; unset it to open the service to this machine")
        if "BENTOML_HOST" in environ:
            raise SettingsError("BENTOML_HOST: set STANCE_HOST instead, which is checked")
        workers = _integer(environ, "STANCE_WORKERS", default=1)
        return cls(
            model=environ.get("STANCE_MODEL") or None,
            api_keys=api_keys,
            host=_host(environ, open_to_all=not api_keys),
            port=_integer(environ, "STANCE_PORT", default=3000, maximum=65_535),
            workers=workers,
            threads=_integer(environ, "STANCE_THREADS", default=max(1, available_cores() // workers)),
            max_body_bytes=_integer(environ, "STANCE_MAX_BODY_BYTES", default=8 * MEGABYTE),
            cors_origins=_list(environ, "STANCE_CORS_ORIGINS"),
        )


def available_cores() -> int:
    """The cores this process may run on; a container's CPU quota does not show in it, so set STANCE_THREADS there."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _list(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(value for part in environ.get(name, "").split(",") if (value := part.strip()))


def _integer(environ: Mapping[str, str], name: str, *, default: int, maximum: int = 1 << 40) -> int:
    value = environ.get(name) or str(default)
    if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= maximum):
        raise SettingsError(f"{name}={value!r}: expected a whole number from 1 to {maximum}")
    return int(value)


def _host(environ: Mapping[str, str], *, open_to_all: bool) -> str:
    host = environ.get("STANCE_HOST") or ("127.0.0.1" if open_to_all else "0.0.0.0")  # noqa: S104
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise SettingsError(f"STANCE_HOST={host!r}: expected an IP address") from None
    if open_to_all and not address.is_loopback:
        raise SettingsError(
            f"STANCE_HOST={host}: without STANCE_API_KEYS the service listens on 127.0.0.1 only; set keys first"
        )
    return host
