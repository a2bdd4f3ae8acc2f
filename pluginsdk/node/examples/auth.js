// Logins from the configuration: [config] alice = "s3cret".
const crypto = require("node:crypto");
const { serve, Action, Reason } = require("../dunlin");

let users = {};
const hash = (b) => crypto.createHash("sha256").update(b).digest();

serve({
  name: "auth",
  version: "0.1.0",
  configure(config) { users = config; },
  authenticate(e) {
    const user = e.username;
    if (!Object.hasOwn(users, user)) return undefined; // Next: not mine
    if (!crypto.timingSafeEqual(hash(e.password ?? ""), hash(users[user]))) {
      return { action: Action.deny, reason: Reason.badUserOrPassword, text: "wrong password" };
    }
    return { action: Action.allow, principal: user, permissions: [{ filter: `u/${user}/#` }] }; // the broker checks it itself
  },
});
