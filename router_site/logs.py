"""Logs as JSON lines on standard error, ours and the libraries' alike."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog
from structlog.processors import add_log_level, format_exc_info

from responses_api.gathering import Gathering

_WRITE_SECONDS = 0.05
_encoder = msgspec.json.Encoder(enc_hook=repr)


def configure(level: str) -> None:
    """`level` is a logging level's name. Safe to call again."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [add_log_level, _stamp, format_exc_info]
    structlog.configure(
        wrapper_class=_straight(structlog.make_filtering_bound_logger(number)),
        logger_factory=lambda *_: _sink,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_serialize_text),
            ],
        )
    )
    logging.basicConfig(level=number, handlers=[handler], force=True)


class _Sink:
    """Writes lines together: one write a line costs a busy gateway a sixth of its time."""

    def __init__(self) -> None:
        self.msg = Gathering(_write, _WRITE_SECONDS, "log-writer").add
        self.log = self.debug = self.info = self.warning = self.msg
        self.error = self.critical = self.exception = self.fatal = self.msg


def _write(lines: list[bytes]) -> None:
    sys.stderr.write(b"\n".join([*lines, b""]).decode())
    sys.stderr.flush()


_sink = _Sink()


_second = 0
_stamped_second = ""


def _stamp(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """`timestamp` in ISO 8601, UTC, to the millisecond; all but the last digits are the same for a second."""
    global _second, _stamped_second
    now = time.time()
    if int(now) != _second:
        _second = int(now)
        _stamped_second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    event["timestamp"] = f"{_stamped_second}.{int(now % 1 * 1000):03d}Z"
    return event


def _straight(wrapper: Any) -> Any:
    """The same loggers without structlog's chain, which for a chain of one takes longer than `_line`."""

    class Straight(wrapper):  # type: ignore[misc]
        def _proxy_to_logger(self, method_name: str, event: str | None = None, **event_kw: Any) -> None:
            self._logger.msg(_line(None, method_name, {**self._context, **event_kw, "event": event}))

    return Straight


def _line(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
    """What `shared` and a renderer make of an event; as a chain of processors they take twice as long."""
    add_log_level(logger, method, event)
    _stamp(logger, method, event)
    if "exc_info" in event:
        event = format_exc_info(logger, method, event)
    return _encoder.encode(event)


def _serialize_text(event: Any, **_: Any) -> str:
    return _encoder.encode(event).decode()
