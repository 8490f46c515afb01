"""The Prefect server a run reports to: the configured one, or an embedded one.

The embedded server is Prefect's own application in a process of its own, on a free port of the
loopback interface, with the user's usual Prefect database. Of its services only those run that
record a local run; it asks nobody outside.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from ..exceptions import StpipePrefectError, reason

LOOPBACK = ("127.0.0.1", "localhost", "::1")
UNAUTHORIZED = 401


def server_is_configured() -> bool:
    """Tell whether the environment or the Prefect profile names a server."""
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value())


def server_may_be_configured() -> bool:
    """Tell, without importing prefect, whether anything could name a server that Prefect reads.

    That is the environment, files of the current folder, and the profiles of the user.
    """
    names = ("PREFECT_API", "PREFECT_CLOUD", "PREFECT_PROFILE", "PREFECT_TEST", "PREFECT_UNIT_TEST")
    if any(name.upper().startswith(names) for name in os.environ):
        return True
    profiles = Path(os.environ.get("PREFECT_HOME") or "~/.prefect", "profiles.toml").expanduser()
    try:
        settings = [
            _content(Path(".env")),
            _content(Path("prefect.toml")),
            tomllib.loads(_content(Path("pyproject.toml"))).get("tool", {}).get("prefect"),
            _content(profiles),
        ]
    except (OSError, ValueError, AttributeError):
        return True
    return any(word in str(settings).lower() for word in ("api", "profile"))


def _content(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def caution() -> str:
    """Say what the user should know about the server in use; mostly nothing."""
    from .shared_server import shared_server

    return "" if server_is_configured() else shared_server().caution


@contextmanager
def prefect_api() -> Iterator[None]:
    """Have a Prefect server to report to within the block.

    A flow run that Python calls directly sends no heartbeats: nobody would act on their
    absence, and Prefect spends a second at the end of every run on ending their thread. Runs
    that a worker starts, and those within them, keep them.
    """
    from prefect.context import FlowRunContext
    from prefect.settings import get_current_settings
    from pydantic import SecretStr

    from .deployments import in_deployment
    from .shared_server import shared_server
    from .workarounds import (
        ONE_CERTIFICATE,
        ask_again_if_lost,
        changed_settings,
        send_what_is_queued,
    )

    if FlowRunContext.get() is not None:  # a flow within a flow: the outer one has seen to it
        yield
        return
    ask_loopback_directly()
    settings = get_current_settings()
    changes: dict[str, Any] = {}
    if server_is_configured():
        _check_server()
        api_url = settings.api.url
    else:
        server = shared_server()
        server.wait()
        api_url = server.api_url
        changes |= {
            "api.url": api_url,
            "api.auth_string": SecretStr(server.auth_string),
            "api.ssl_cert_file": str(ONE_CERTIFICATE),
            # Two questions of Prefect's clients; the answers are known.
            "client.csrf_support_enabled": settings.server.api.csrf_protection_enabled,
            "client.server_version_check_enabled": False,
        }
    ask_again_if_lost(str(api_url))
    if settings.flows.heartbeat_frequency is not None and not in_deployment():
        changes["flows.heartbeat_frequency"] = None
    with changed_settings(changes):
        try:
            yield
        finally:
            send_what_is_queued()


def is_plain_loopback(api_url: str) -> bool:
    """Tell whether a server is on this machine and needs no certificate."""
    url = urlsplit(api_url)
    return url.scheme == "http" and url.hostname in LOOPBACK


def ask_loopback_directly() -> None:
    """Have no proxy asked for what is on this machine, whatever the environment says."""
    excepted = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = [host.strip() for host in excepted.split(",") if host.strip()]
    new = ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])
    os.environ |= {"no_proxy": new, "NO_PROXY": new}
    for kind, proxy in getproxies().items():
        if kind != "no" and proxy.startswith("socks") and find_spec("socksio") is None:
            raise StpipePrefectError(
                f"The proxy {proxy} ({kind.upper()}_PROXY) asks for SOCKS: "
                "pip install 'httpx[socks]', or unset it"
            )


def _check_server() -> None:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        try:
            client.read_flows(limit=1)  # the health check would not ask for credentials
        except Exception as error:
            raise StpipePrefectError(_problem(error, str(client.api_url))) from error


def _problem(error: Exception, url: str) -> str:
    """Say why a configured server does not answer as one, and what to do."""
    from httpx import ProxyError

    answer = getattr(error, "response", None)
    if answer is not None and answer.status_code == UNAUTHORIZED:
        return (
            f"The Prefect server at {url} requires valid credentials: "
            "set PREFECT_API_AUTH_STRING to user:password"
        )
    if answer is not None:
        return (
            f"{url} returned {answer.status_code} {answer.reason_phrase}: it is not a Prefect "
            "server, or a proxy is on the way to it: check PREFECT_API_URL; "
            "NO_PROXY lists hosts to reach without a proxy"
        )
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            f"The certificate of the Prefect server at {url} is not trusted ({reason(error)}): "
            "set PREFECT_API_SSL_CERT_FILE to the file of the authority that signed it"
        )
    if isinstance(error, ProxyError):
        return (
            f"The proxy on the way to the Prefect server at {url} failed: {reason(error)}; "
            "NO_PROXY lists hosts to reach without a proxy"
        )
    return (
        f"No Prefect server answers at {url}: start it, or unset PREFECT_API_URL to use an "
        "embedded one"
    )
