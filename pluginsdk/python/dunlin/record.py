"""A record of a frame, as a view of its bytes."""

import struct

_HEADER, _SLOT = 32, 8


class Record:
    """One record; valid until the handler returns."""

    def __init__(self, data):
        self._data = data
        _, self.hook, self._slots, self.conn, self.time_ns, self.flags, self.aux = struct.unpack_from("<IHHQQII", data)

    @property
    def qos(self):
        return self.flags & 3

    @property
    def version(self):
        return self.flags >> 6 & 7

    def lookup(self, n):
        """The bytes of slot n; None when it is absent."""
        head = _HEADER + self._slots * _SLOT
        if n >= self._slots or head > len(self._data):
            return None
        off, size = struct.unpack_from("<II", self._data, _HEADER + n * _SLOT)
        if off < head or off + size > len(self._data):
            return None
        return bytes(self._data[off:off + size])

    def text(self, n):
        """The text of slot n; an absent slot reads as empty."""
        return (self.lookup(n) or b"").decode("utf-8", "replace")

    def u32(self, n):
        b = self.lookup(n)
        return int.from_bytes(b, "little") if b is not None and len(b) == 4 else None

    def u64(self, n):
        b = self.lookup(n)
        return int.from_bytes(b, "little") if b is not None and len(b) == 8 else None


def records(frame, count):
    """The records of a frame, until the first that is malformed."""
    view, at = memoryview(frame), 0
    for _ in range(count):
        if len(view) - at < _HEADER:
            return
        size = int.from_bytes(view[at:at + 4], "little")
        if size < _HEADER or size > len(view) - at:
            return
        yield view[at:at + size]
        at += size
