"""pip's settings, read without pip: to tell them to uv, and to find pip itself in the configured index."""

from __future__ import annotations

import base64
import configparser
import hashlib
import html
import os
import re
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import Request, url2pathname, urlopen

from router_site.launcher.problems import StartError

PIP_WHEEL = "pip-26.2.1-py3-none-any.whl"
PIP_SHA256 = "71138adf1f4ca900cdb7d289c21b7494329f2332b6d85f0e1c42108c0384ed3e"

_TIMEOUT_SECONDS = 60
_UV_INDEX_VARIABLES = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_CONFIG_FILE")
_INSTALL_PYTHON = "apt install python3-venv, or install uv, then start again"


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """What pip would use for `pip install`, by option name (`index-url`): its files, then `PIP_*`.

    Places and precedence as in pip's documentation, "Configuration".
    """
    settings: dict[str, str] = {}
    parser = configparser.RawConfigParser()
    for file in _config_files(environ):
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
    for section in ("global", "install"):
        if parser.has_section(section):
            settings |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            settings[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return settings


def _config_files(environ: Mapping[str, str]) -> list[Path]:
    own = environ.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:
        return []
    home = Path(environ.get("HOME", "/"))
    shared = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    return [
        *(Path(directory) / "pip" / "pip.conf" for directory in shared),
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf",
        Path(sys.prefix) / "pip.conf",
        *([Path(own)] if own else []),
    ]


def uv_environ(settings: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """uv's variables for pip's `settings`; none for indexes where uv has its own."""
    told = {"SSL_CERT_FILE": settings.get("cert", "")}
    told["UV_HTTP_TIMEOUT"] = settings.get("timeout") or settings.get("default-timeout", "")
    told["UV_INSECURE_HOST"] = " ".join(settings.get("trusted-host", "").split())
    if not any(environ.get(name) for name in _UV_INDEX_VARIABLES):
        told["UV_DEFAULT_INDEX"] = settings.get("index-url", "")
        told["UV_INDEX"] = " ".join(settings.get("extra-index-url", "").split())
        told["UV_FIND_LINKS"] = ",".join(settings.get("find-links", "").split())
        # Like pip: the version we want may be in any of them. The hashes say that it is the right one.
        told["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in told.items() if value}


def fetch_pip(settings: Mapping[str, str], directory: Path) -> Path:
    """The pinned wheel of pip, hash-checked, in `directory`. Raises `StartError` where no index has it."""
    wheel = directory / PIP_WHEEL
    if wheel.exists() and hashlib.sha256(wheel.read_bytes()).hexdigest() == PIP_SHA256:
        return wheel
    indexes = f"{settings.get('index-url', '')} {settings.get('extra-index-url', '')}".split()
    if not indexes:
        raise StartError(
            f"This Python ({sys.executable}) has neither ensurepip nor pip, and no package index is configured "
            f"(PIP_INDEX_URL, pip.conf): {_INSTALL_PYTHON}."
        )
    for index in indexes:
        content = _fetch_wheel(index, _ssl_context(settings))
        if content is not None:
            wheel.write_bytes(content)
            return wheel
    raise StartError(
        f"This Python ({sys.executable}) has neither ensurepip nor pip, and the configured package index did not "
        f"give {PIP_WHEEL}: {_INSTALL_PYTHON}."
    )


def _fetch_wheel(index: str, context: ssl.SSLContext | None) -> bytes | None:
    """Follows the index's page of pip to the wheel (PEP 503); None where there is none or it is not the one."""
    page = f"{index.rstrip('/')}/pip/"
    try:
        listing = _read(page, context).decode(errors="replace")
        link = re.search(rf'href\s*=\s*["\']((?:[^"\']*/)?{re.escape(PIP_WHEEL)})[#"\']', listing)
        content = _read(urljoin(page, html.unescape(link[1])), context) if link else b""
    except (OSError, URLError, ValueError):
        return None
    return content if hashlib.sha256(content).hexdigest() == PIP_SHA256 else None


def _read(url: str, context: ssl.SSLContext | None) -> bytes:
    parts = urlsplit(url)
    if parts.scheme == "file":
        path = Path(url2pathname(parts.path))
        return (path / "index.html" if path.is_dir() else path).read_bytes()
    if parts.scheme not in ("http", "https"):
        raise ValueError(parts.scheme)
    bare = url.replace(f"//{parts.netloc}", f"//{parts.netloc.rpartition('@')[2]}", 1)
    request = Request(bare, headers={"accept": "text/html, */*;q=0.1"})  # noqa: S310 - http(s), as checked above
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_header("authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    with urlopen(request, timeout=_TIMEOUT_SECONDS, context=context) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content


def _ssl_context(settings: Mapping[str, str]) -> ssl.SSLContext | None:
    cert = settings.get("cert", "")
    return ssl.create_default_context(cafile=cert) if cert else None
