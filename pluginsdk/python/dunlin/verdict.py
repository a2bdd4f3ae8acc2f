"""From a handler's answer to the bytes of a verdict block."""

import struct

from . import layout as L


def _bytes(v):
    return v.encode("utf-8") if isinstance(v, str) else bytes(v)


def _u32(v):
    return struct.pack("<I", v)


def _permission(p):
    """A line of a permission list; left out: all but exact and any are granted."""
    if isinstance(p, str):
        p = {"filter": p}
    bits = 0
    for key, bit, default in (
        ("publish", L.PERMIT_PUBLISH, True), ("subscribe", L.PERMIT_SUBSCRIBE, True), ("allow", L.PERMIT_ALLOW, True),
        ("retain", L.PERMIT_RETAIN, True), ("exact", L.PERMIT_EXACT, False), ("any", L.PERMIT_ANY, False),
    ):
        bits |= bit if p.get(key, default) else 0
    text = _bytes(p["filter"])
    return struct.pack("<HBB", len(text), bits | p.get("qos", 2) * L.PERMIT_QOS1, 0) + text


def _pairs(d):
    return b"".join(struct.pack("<H", len(_bytes(s))) + _bytes(s) for kv in d.items() for s in kv)


def message(topic, payload=b"", qos=0, retain=False, props=None, expiry=None):
    """A publish record."""
    slots = L.SLOT_EXPIRY + 1
    head = bytearray(L.SIZE_HEADER + slots * L.SIZE_SLOT)
    body = bytearray()
    values = {L.SLOT_TOPIC: _bytes(topic), L.SLOT_PAYLOAD: _bytes(payload)}
    if props is not None:
        values[L.SLOT_PROPS] = _bytes(props)
    if expiry is not None:
        values[L.SLOT_EXPIRY] = _u32(expiry)
    for slot, b in values.items():
        struct.pack_into("<II", head, L.SIZE_HEADER + slot * L.SIZE_SLOT, len(head) + len(body), len(b))
        body += b
    body += bytes(-(len(head) + len(body)) % 8)
    flags = qos | (L.FLAG_RETAIN if retain else 0)
    struct.pack_into("<IHHQQII", head, 0, len(head) + len(body), L.HOOK_PUBLISH, slots, 0, 0, flags, len(values[L.SLOT_PAYLOAD]))
    return bytes(head + body)


def _limits(d):
    keys = ("receive_max", "packet_size", "keep_alive", "session_expiry")
    return b"".join(_u32(d.get(k, L.KEEP_LIMIT)) for k in keys)


_EXTENSIONS = {
    "text": (L.EXT_TEXT, _bytes), "principal": (L.EXT_PRINCIPAL, _bytes), "tenant": (L.EXT_TENANT, _bytes),
    "attributes": (L.EXT_ATTRIBUTES, _pairs),
    "permissions": (L.EXT_PERMISSIONS, lambda ps: b"".join(map(_permission, ps))),
    "expires_at": (L.EXT_EXPIRES_AT, lambda v: struct.pack("<Q", v)),
    "reply": (L.EXT_REPLY, _bytes), "state": (L.EXT_STATE, _bytes),
    "topic": (L.EXT_TOPIC, _bytes), "payload": (L.EXT_PAYLOAD, _bytes), "props": (L.EXT_PROPS, _bytes), "expiry": (L.EXT_EXPIRY, _u32),
    "publishes": (L.EXT_PUBLISHES, lambda ms: b"".join(message(**m) for m in ms)),
    "throttle_ms": (L.EXT_THROTTLE, _u32), "codes": (L.EXT_CODES, _bytes), "filters": (L.EXT_FILTERS, _bytes),
    "limits": (L.EXT_LIMITS, _limits), "client_id": (L.EXT_CLIENT_ID, _bytes), "cache_filter": (L.EXT_CACHE_FILTER, _bytes),
}
_PLAIN = {"action", "reason", "cache_ttl_ms", "cache_connection", "superuser", "qos", "retain"}


class Verdict:
    """What a plugin decides about one record. None stands for Next: not mine.

    The keys are action, reason, cache_ttl_ms, cache_connection, superuser, qos,
    retain and the extensions: text, principal, permissions, topic, payload ...
    """

    def __init__(self, action=L.ACTION_NEXT, **keys):
        unknown = set(keys) - _PLAIN - set(_EXTENSIONS)
        if unknown:
            raise TypeError("a verdict has no " + ", ".join(sorted(unknown)))
        self.action, self.keys = action, keys

    def _extensions(self):
        k = self.keys
        out = {_EXTENSIONS[n][0]: _EXTENSIONS[n][1](v) for n, v in k.items() if n in _EXTENSIONS}
        if "qos" in k or "retain" in k:
            mask = (L.FLAG_QOS if "qos" in k else 0) | (L.FLAG_RETAIN if "retain" in k else 0)
            out[L.EXT_FLAGS] = struct.pack("<II", mask, k.get("qos", 0) | (L.FLAG_RETAIN if k.get("retain") else 0))
        return sorted(out.items())

    def _head(self):
        k = self.keys
        scope = L.CACHE_FILTER if "cache_filter" in k else L.CACHE_CONNECTION if k.get("cache_connection") else 0
        flags = scope | (L.VERDICT_SUPERUSER if k.get("superuser") else 0)
        return struct.pack("<BBH", self.action, k.get("reason", 0), flags)


def allow(**keys):
    return Verdict(L.ACTION_ALLOW, **keys)


def deny(reason=0, text=None, **keys):
    if text is not None:
        keys["text"] = text
    return Verdict(L.ACTION_DENY, reason=reason, **keys)


def drop(**keys):
    return Verdict(L.ACTION_DROP, **keys)


def rewrite(**keys):
    return Verdict(L.ACTION_REWRITE, **keys)


def encode(answers):
    """The block of the answers (None: Next); empty when all are."""
    if all(v is None for v in answers):
        return b""
    table, tail = bytearray(len(answers) * L.SIZE_VERDICT), bytearray()
    for i, v in enumerate(answers):
        if v is None:
            continue
        at, exts = 0, v._extensions()
        ext = bytearray(L.SIZE_EXT_HEAD + L.SIZE_EXTS * L.SIZE_SLOT if exts else 0)
        for number, b in exts:
            struct.pack_into("<II", ext, L.SIZE_EXT_HEAD + number * L.SIZE_SLOT, len(ext), len(b))
            ext += b + bytes(-len(b) % 8)
        if exts:
            struct.pack_into("<I", ext, 0, L.SIZE_EXTS)
            at = len(table) + len(tail)
        struct.pack_into("<4sIII", table, i * L.SIZE_VERDICT, v._head(), at, len(ext), v.keys.get("cache_ttl_ms", 0))
        tail += ext
    return bytes(table + tail)
