"""Own topics, and a part of the tree that nobody writes to."""

import dunlin


class Own:
    name, version = "acl_own", "0.1.0"

    def on_acl(self, e):
        if e.username and e.topic.startswith("u/%s/" % e.username):
            return dunlin.allow(cache_ttl_ms=60000)
        if e.topic.startswith("admin/") and e.flags & dunlin.FLAG_PUBLISH:
            return dunlin.deny(dunlin.REASON_NOT_AUTHORIZED)
        return None  # Next: not mine, ask the next plugin


dunlin.serve(Own())
