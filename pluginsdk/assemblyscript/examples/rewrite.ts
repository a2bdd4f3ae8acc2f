// Moves old topics, drops empty messages, keeps secrets in.
import { EXT_TOPIC, FLAG_RETAIN, HOOK_PUBLISH, Message, Plugin, REASON_NOT_AUTHORIZED, Verdict, register } from "../dunlin";

class Mover extends Plugin {
  publish(e: Message, v: Verdict): void {
    const topic = e.topic;
    if (topic.startsWith("secret/")) return v.deny(REASON_NOT_AUTHORIZED, "secret");
    if (e.aux == 0) return v.drop(); // an empty message
    if (!topic.startsWith("old/")) return;
    v.rewrite();
    v.put(EXT_TOPIC, "new/");
    v.putView(EXT_TOPIC, topic, 4);
    v.putFlags(FLAG_RETAIN, 0);
  }
}

register(new Mover(), [HOOK_PUBLISH]);
export * from "../exports";
