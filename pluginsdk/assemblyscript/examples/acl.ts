// Own topics, and a part of the tree that nobody writes to.
import { Acl, FLAG_PUBLISH, HOOK_ACL, Plugin, REASON_NOT_AUTHORIZED, Verdict, register } from "../dunlin";

class Own extends Plugin {
  acl(e: Acl, v: Verdict): void {
    const user = e.username, topic = e.topic;
    if (user.length > 0 && topic.startsWith("u/") && topic.has(user, 2) && topic.at(2 + user.length) == 0x2f /* / */) {
      v.allow();
      v.cache(60000);
    } else if (topic.startsWith("admin/") && e.flags & FLAG_PUBLISH) {
      v.deny(REASON_NOT_AUTHORIZED);
    }
  }
}

register(new Own(), [HOOK_ACL]);
export * from "../exports";
