"""How the console writes numbers, times and ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import quote

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from responses_api.models import ResponseIndex

register = template.Library()

NONE = "\N{EN DASH}"
_SHORT = 12
_LINKS = {"resp": "admin:response", "conv": "admin:conversation", "cache": "admin:entry"}


@register.filter
def ms(value: float | None) -> str:
    """Milliseconds, to three digits: `0.08 ms`, `12.3 ms`, `1.85 s`, `2 min 5 s`."""
    if value is None:
        return NONE
    if value < 1000:
        return f"{value:.2g} ms" if value < 1 else f"{value:.3g} ms" if value < 100 else f"{value:.0f} ms"
    seconds = value / 1000
    return f"{seconds:.3g} s" if seconds < 100 else duration(seconds)


@register.filter
def duration(seconds: float | None) -> str:
    """The two largest units: `3 d 4 h`, `5 min 2 s`, `7 s`."""
    if seconds is None:
        return NONE
    left, parts = int(seconds), list[str]()
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        amount, left = divmod(left, length)
        if amount or (unit == "s" and not parts):
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2])


@register.filter
def ago(value: Any) -> str:
    """How long since a time, or Unix seconds."""
    moment = to_time(value)
    return NONE if moment is None else duration(max(0.0, (timezone.now() - moment).total_seconds()))


@register.filter
def left(value: Any) -> str:
    """How long until a time."""
    moment = to_time(value)
    if moment is None:
        return "never"
    seconds = (moment - timezone.now()).total_seconds()
    return duration(seconds) if seconds > 0 else "expired"


@register.filter
def moment(value: Any) -> SafeString | str:
    """A time of today as `14:03:22`, an older one with its date; the whole of it on pointing."""
    at = to_time(value)
    if at is None:
        return NONE
    shown = at.strftime("%H:%M:%S") if at.date() == timezone.now().date() else at.strftime("%m-%d %H:%M:%S")
    return mark_safe(f'<time datetime="{at.isoformat()}" title="{at:%F %T} UTC">{shown}</time>')  # noqa: S308 - digits


@register.filter
def size(value: float | None) -> str:
    """Bytes: `512 B`, `3.4 KB`, `12 MB`."""
    if value is None:
        return NONE
    amount = float(value)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TB"


@register.filter
def number(value: float | None) -> str:
    """`1,234`, `12.3k`, `4.56M`."""
    if value is None:
        return NONE
    for unit, limit in (("B", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(value) >= limit:
            return f"{value / (1000 if unit == 'k' else limit):.3g}{unit}"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"


@register.filter
def percent(share: float | None) -> str:
    return NONE if share is None else f"{share * 100:.1f} %" if 0 < share < 0.9995 else f"{share * 100:.0f} %"


@register.filter
def short(identifier: str) -> str:
    """An id's beginning: kind and so many characters."""
    kind, _, digits = identifier.rpartition("_")
    return f"{kind}_{digits[:_SHORT]}" if kind and len(digits) > _SHORT else identifier


@register.filter
def linked(identifier: str) -> SafeString | str:
    """An id that leads to its page; the whole of it on pointing, and for copying."""
    if not identifier:
        return NONE
    kind = identifier.partition("_")[0]
    if kind not in _LINKS:
        return format_html('<span class="id" title="{}">{}</span>', identifier, short(identifier))
    address = reverse(_LINKS[kind], args=[identifier])
    return format_html('<a class="id" href="{}" title="{}">{}</a>', address, identifier, short(identifier))


@register.simple_tag
def response_rows(rows: Iterable[ResponseIndex], projects: Mapping[str, str]) -> SafeString:
    """Rows of the index as rows of a table, under `response_head.html`.

    Not a template: that takes 17 ms for a page of them, and this 1.
    """
    address = reverse("admin:response", args=["_"]).removesuffix("_/")
    return mark_safe("".join(_row(row, projects, address) for row in rows))  # noqa: S308 - each value is escaped


def _row(row: ResponseIndex, projects: Mapping[str, str], address: str) -> str:
    status, verdict, model, backend = (escape(each) for each in (row.status, row.verdict, row.model, row.backend))
    row_id = escape(row.id)
    return (
        f"<tr><td>{moment(row.created_at)}</td>"
        f'<td><a class="id" href="{address}{quote(row.id)}/" title="{row_id}">{escape(short(row.id))}</a></td>'
        f'<td class="clip" title="{model}">{model}</td>'
        f'<td><span class="mark {status}">{status}</span></td>'
        f'<td><span class="mark {verdict}" title="{escape(row.verdict_reason)}">{verdict}</span></td>'
        f'<td class="clip" title="{backend}">{backend}</td>'
        f'<td class="n">{number(row.input_tokens)}</td><td class="n">{number(row.output_tokens)}</td>'
        f'<td class="n">{ms(row.first_token_ms)}</td><td class="n">{ms(row.duration_ms)}</td>'
        f'<td class="n wide">{size(row.response_bytes)}</td>'
        f'<td class="wide clip">{escape(projects.get(row.project, row.project))}</td>'
        f'<td class="wide quiet">{escape(_kind(row))}</td></tr>'
    )


def _kind(row: ResponseIndex) -> str:
    """In what way a request was unlike most."""
    ways = {
        row.api: row.api != "responses",
        "stream": row.stream,
        "background": row.background,
        "not stored": not row.stored,
        "deleted": row.deleted_at is not None,
    }
    return ", ".join(way for way, applies in ways.items() if applies)


@register.filter
def get(mapping: Any, key: Any) -> Any:
    return mapping.get(key)


@register.filter
def split(text: str) -> list[str]:
    return text.split(",")


def to_time(value: Any) -> datetime | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, datetime) else datetime.fromtimestamp(float(value), UTC)
