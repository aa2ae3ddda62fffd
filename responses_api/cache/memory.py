"""The entries a process keeps beside Redis' own: bounded in bytes, the least recently used go. No I/O."""

from __future__ import annotations

from collections import OrderedDict

from responses_api.cache.entry import Entry


class EntryMemory:
    """Valid while `Epochs` holds; emptied when anything is purged."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: str) -> Entry | None:
        entry = self._entries.get(digest)
        if entry is not None:
            self._entries.move_to_end(digest)
        return entry

    def put(self, entry: Entry) -> None:
        self.remove(entry.digest)
        if entry.size > self._max_bytes // 8:
            return
        self._entries[entry.digest] = entry
        self._bytes += entry.size
        while self._bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= oldest.size

    def remove(self, digest: str) -> None:
        if (old := self._entries.pop(digest, None)) is not None:
            self._bytes -= old.size

    def clear(self) -> None:
        self._entries.clear()
        self._bytes = 0
