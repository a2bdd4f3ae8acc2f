// Moves old topics, drops empty messages, keeps secrets in.
const { serve, Action, Reason } = require("../dunlin");

serve({
  name: "rewrite",
  version: "0.1.0",
  publish(e) {
    if (e.topic.startsWith("secret/")) return { action: Action.deny, reason: Reason.notAuthorized, text: "secret" };
    if (e.aux === 0) return { action: Action.drop }; // an empty message
    if (e.topic.startsWith("old/")) return { action: Action.rewrite, topic: "new/" + e.topic.slice(4), retain: false };
  },
});
