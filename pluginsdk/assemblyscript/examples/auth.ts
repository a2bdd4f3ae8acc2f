// Logins from the configuration: [config] alice = "s3cret".
import { Auth, EXT_PRINCIPAL, HOOK_AUTHENTICATE, PERMIT_EVERYTHING, Plugin, REASON_BAD_USER_OR_PASSWORD, Verdict, config, register, same } from "../dunlin";

class Logins extends Plugin {
  authenticate(e: Auth, v: Verdict): void {
    const user = e.username.toString();
    if (!config.has(user)) return; // Next: not mine, ask the next plugin
    if (!same(e.password, config.get(user))) return v.deny(REASON_BAD_USER_OR_PASSWORD, "wrong password");
    v.allow();
    v.put(EXT_PRINCIPAL, user);
    v.permit(PERMIT_EVERYTHING, "u/" + user + "/#"); // the broker checks it itself
  }
}

register(new Logins(), [HOOK_AUTHENTICATE]);
export * from "../exports";
