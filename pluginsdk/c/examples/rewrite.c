/* Moves old topics, drops empty messages, keeps secrets in. */
#include "dunlin.h"

void dunlin_on_publish(const dunlin_record *r, dunlin_verdict *v) {
	dunlin_bytes topic = dunlin_message_topic(r);
	if (dunlin_has_prefix(topic, "secret/")) {
		dunlin_deny(v, DUNLIN_REASON_NOT_AUTHORIZED, "secret");
	} else if (dunlin_aux(r) == 0) {
		dunlin_drop(v); /* an empty message */
	} else if (dunlin_has_prefix(topic, "old/")) {
		dunlin_rewrite(v);
		dunlin_put(v, DUNLIN_EXT_TOPIC, dunlin_text("new/"));
		dunlin_put(v, DUNLIN_EXT_TOPIC, dunlin_after(topic, 4));
		dunlin_put_flags(v, DUNLIN_FLAG_RETAIN, 0);
	}
}
