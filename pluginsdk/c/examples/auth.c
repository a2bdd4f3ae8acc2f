/* Logins from the configuration: [config] alice = "s3cret". */
#include "dunlin.h"

void dunlin_on_authenticate(const dunlin_record *r, dunlin_verdict *v) {
	dunlin_bytes user = dunlin_auth_username(r), want;
	if (!dunlin_config(user, &want))
		return; /* Next: not mine, ask the next plugin */
	if (!dunlin_same(dunlin_auth_password(r), want)) {
		dunlin_deny(v, DUNLIN_REASON_BAD_USER_OR_PASSWORD, "wrong password");
		return;
	}
	dunlin_allow(v);
	dunlin_put(v, DUNLIN_EXT_PRINCIPAL, user);
	/* The broker checks these itself: no call for each message. */
	dunlin_permit(v, DUNLIN_PERMIT_EVERYTHING, dunlin_text("u/"), user, dunlin_text("/#"));
}
