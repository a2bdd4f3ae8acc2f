/* Own topics, and a part of the tree that nobody writes to. */
#include "dunlin.h"

void dunlin_on_acl(const dunlin_record *r, dunlin_verdict *v) {
	dunlin_bytes topic = dunlin_acl_topic(r), user = dunlin_acl_username(r);
	if (dunlin_has_prefix(topic, "u/")) {
		dunlin_bytes rest = dunlin_after(topic, 2), own = rest;
		own.len = user.len;
		if (user.len && rest.len > user.len && rest.ptr[user.len] == '/' && dunlin_equal(own, user)) {
			dunlin_allow(v);
			dunlin_cache(v, 60000);
		}
	} else if (dunlin_has_prefix(topic, "admin/") && dunlin_flags(r) & DUNLIN_FLAG_PUBLISH) {
		dunlin_deny(v, DUNLIN_REASON_NOT_AUTHORIZED, 0);
	}
}
