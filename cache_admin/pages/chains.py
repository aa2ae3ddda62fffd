"""A chain as a tree: what came before a response, what continued it, and where it branched."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from django.http import HttpRequest, HttpResponseBase

from cache_admin import records
from cache_admin.page import page, render
from responses_api.models import ResponseIndex

MAX_NODES = 500
_BATCH = 100


@dataclass(slots=True)
class Node:
    """`row` None: nothing is known of it but that there was one. `indent` grows where a chain branches."""

    id: str
    row: ResponseIndex | None
    is_here: bool = False
    is_gone: bool = False
    indent: int = 0
    is_branch: bool = False
    children: list[Node] = field(default_factory=list)


@page("responses/<str:response_id>/chain/", "chain")
def chain(request: HttpRequest, response_id: str) -> HttpResponseBase:
    known = records.find(response_id)
    ancestors = _ancestors(known)
    nodes = _grow([*ancestors, response_id], response_id)
    root = nodes[ancestors[0] if ancestors else response_id]
    depth = known.record.depth if known.record else len(ancestors)
    context = {
        "title": "Chain",
        "known": known,
        "nodes": _flattened(root),
        "older": max(0, depth - len(ancestors)),
        "is_cut": len(nodes) >= MAX_NODES,
    }
    return render(request, "chain", context)


def _ancestors(known: records.Known) -> list[str]:
    """Oldest first: as the record names them, else as far as the index leads."""
    if known.record is not None:
        return list(known.record.ancestors)
    found: list[str] = []
    previous = known.row.previous_response_id if known.row else ""
    while previous and previous not in found and len(found) < MAX_NODES:
        found.insert(0, previous)
        row = ResponseIndex.objects.filter(pk=previous).only("previous_response_id").first()
        previous = row.previous_response_id if row else ""
    return found


def _grow(spine: list[str], here: str) -> dict[str, Node]:
    """The nodes of the spine, and all that continued any of them."""
    known = ResponseIndex.objects.in_bulk(spine)
    nodes = {each: Node(each, known.get(each), is_here=each == here) for each in spine}
    for older, newer in pairwise(spine):
        nodes[older].children.append(nodes[newer])
    edge = spine
    while edge and len(nodes) < MAX_NODES:
        some, edge = edge[:_BATCH], edge[_BATCH:]
        found = ResponseIndex.objects.filter(previous_response_id__in=some).exclude(previous_response_id="")
        for row in found.order_by("created_at", "id")[: MAX_NODES - len(nodes)]:
            if row.id not in nodes:
                nodes[row.id] = Node(row.id, row)
                nodes[row.previous_response_id].children.append(nodes[row.id])
                edge.append(row.id)
    for node in nodes.values():
        node.is_gone = node.row is None or node.row.deleted_at is not None
    return nodes


def _flattened(root: Node) -> list[Node]:
    """As lines: the last child goes on in its parent's column, the others are indented before it."""
    lines: list[Node] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        lines.append(node)
        if not node.children:
            continue
        # The way to where we are, else the first, is the trunk.
        trunk = next((each for each in node.children if _leads_here(each)), node.children[0])
        trunk.indent = node.indent
        waiting.append(trunk)
        for branch in reversed([each for each in node.children if each is not trunk]):
            branch.indent, branch.is_branch = node.indent + 1, True
            waiting.append(branch)
    return lines


def _leads_here(node: Node) -> bool:
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if each.is_here:
            return True
        waiting += each.children
    return False
