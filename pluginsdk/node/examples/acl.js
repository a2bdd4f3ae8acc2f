// Own topics, and a part of the tree that nobody writes to.
const { serve, Action, Flag, Reason } = require("../dunlin");

serve({
  name: "acl_own",
  version: "0.1.0",
  acl(e) {
    if (e.username && e.topic.startsWith(`u/${e.username}/`)) return { action: Action.allow, cacheTtlMs: 60000 };
    if (e.topic.startsWith("admin/") && e.flags & Flag.publish) return { action: Action.deny, reason: Reason.notAuthorized };
  },
});
