"""Asking the site whether it is ready, without standing still meanwhile."""

from __future__ import annotations

import http.client
import select
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 20


class Readiness:
    """One question at a time to `/readyz` at `url`.

    The launcher's listening socket takes the question before any web process is there to answer it.
    """

    def __init__(self, url: str) -> None:
        self.reason = ""
        """What the site said the last time it was not ready."""
        self._netloc = urlsplit(url).netloc
        self._asked: http.client.HTTPConnection | None = None

    def is_ready(self, wait_seconds: float) -> bool:
        """True once the site has answered 200; an answer is waited for at most `wait_seconds`."""
        if self._asked is None:
            self._asked = http.client.HTTPConnection(self._netloc, timeout=_TIMEOUT_SECONDS)
            self._asked.request("GET", "/readyz")
        if not select.select([self._asked.sock], [], [], wait_seconds)[0]:
            return False
        connection, self._asked = self._asked, None
        try:
            answer = connection.getresponse()
            self.reason = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):  # the web process died over it
            return False
        finally:
            connection.close()
        return answer.status == http.HTTPStatus.OK


def wants_key(url: str) -> bool:
    """True when a request without an API key is refused, asked of the site itself with an id that nobody has."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", f"/v1/responses/resp_{'0' * 24}")
        return connection.getresponse().status == http.HTTPStatus.UNAUTHORIZED
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
