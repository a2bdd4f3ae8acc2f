/*
 * dunlin.h: plugins for Dunlin in C and C++.
 *
 * A plugin defines a function for each hook that it wants:
 *
 *     #include "dunlin.h"
 *     void dunlin_on_acl(const dunlin_record *r, dunlin_verdict *v) { dunlin_allow(v); }
 *
 *     clang --target=wasm32 -O2 -nostdlib -mbulk-memory -Wl,--no-entry,--stack-first -o plugin.wasm plugin.c
 *
 * The header needs no C library and works with wasi-libc. --stack-first is not
 * optional: without it a stack that is too deep silently overwrites data. A
 * program of several files defines DUNLIN_DECLARATIONS before the include in
 * all but one of them.
 *
 * Bytes that the accessors return are views of the frame, valid until the
 * function returns. docs/plugin-contract.md is the specification.
 */
#ifndef DUNLIN_H
#define DUNLIN_H
#include "dunlin_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dunlin_verdict dunlin_verdict;

#define DUNLIN_HOOK_FUNCTION(name, number) __attribute__((weak)) void dunlin_on_##name(const dunlin_record *r, dunlin_verdict *v);
DUNLIN_HOOKS(DUNLIN_HOOK_FUNCTION)

/* The plugin may define these. The results are an error text, or 0. */
__attribute__((weak)) const char *dunlin_configure(void);
__attribute__((weak)) dunlin_bytes dunlin_save_state(void);
__attribute__((weak)) const char *dunlin_restore_state(dunlin_bytes state);

/* Heads of records. */
static inline uint32_t dunlin_flags(const dunlin_record *r) { return *(const uint32_t *)((const uint8_t *)r + 24); }
static inline uint32_t dunlin_aux(const dunlin_record *r) { return *(const uint32_t *)((const uint8_t *)r + 28); }
static inline uint64_t dunlin_conn(const dunlin_record *r) { return *(const uint64_t *)((const uint8_t *)r + 8); }
static inline uint64_t dunlin_time_ns(const dunlin_record *r) { return *(const uint64_t *)((const uint8_t *)r + 16); }
static inline uint32_t dunlin_qos(const dunlin_record *r) { return dunlin_flags(r) & DUNLIN_FLAG_QOS; }
static inline uint32_t dunlin_version(const dunlin_record *r) { return dunlin_flags(r) >> DUNLIN_SIZE_VERSION_SHIFT & 7; }

/* Texts. */
uint32_t dunlin_length(const char *text);
int dunlin_equal(dunlin_bytes a, dunlin_bytes b);
int dunlin_same(dunlin_bytes a, dunlin_bytes b); /* in constant time, for secrets */
int dunlin_has_prefix(dunlin_bytes b, const char *prefix);
static inline dunlin_bytes dunlin_text(const char *text) { dunlin_bytes b = {(const uint8_t *)text, dunlin_length(text)}; return b; }
static inline dunlin_bytes dunlin_after(dunlin_bytes b, uint32_t n) { dunlin_bytes c = {b.ptr + n, b.len - n}; return c; }

/* Verdicts. Without a call the verdict is Next: not mine. Extensions are put
 * one after another; the bytes are copied. */
void dunlin_decide(dunlin_verdict *v, uint32_t action);
void dunlin_deny(dunlin_verdict *v, uint32_t reason, const char *text); /* reason 0: the broker's choice; text may be 0 */
static inline void dunlin_allow(dunlin_verdict *v) { dunlin_decide(v, DUNLIN_ACTION_ALLOW); }
static inline void dunlin_drop(dunlin_verdict *v) { dunlin_decide(v, DUNLIN_ACTION_DROP); }
static inline void dunlin_rewrite(dunlin_verdict *v) { dunlin_decide(v, DUNLIN_ACTION_REWRITE); }
void dunlin_verdict_flags(dunlin_verdict *v, uint32_t flags);
void dunlin_cache(dunlin_verdict *v, uint32_t milliseconds);
void dunlin_put(dunlin_verdict *v, uint32_t ext, dunlin_bytes b); /* again for the extension put last: appends */
void dunlin_put_u32(dunlin_verdict *v, uint32_t ext, uint32_t n);
void dunlin_put_u64(dunlin_verdict *v, uint32_t ext, uint64_t n);
/* changes QoS and retain: the bits of mask become those of value */
static inline void dunlin_put_flags(dunlin_verdict *v, uint32_t mask, uint32_t value) { dunlin_put_u64(v, DUNLIN_EXT_FLAGS, mask | (uint64_t)value << 32); }
/* a line of the permission list: the filter is a, b and c put together */
void dunlin_permit(dunlin_verdict *v, uint32_t bits, dunlin_bytes a, dunlin_bytes b, dunlin_bytes c);
#define DUNLIN_PERMIT_EVERYTHING (DUNLIN_PERMIT_PUBLISH | DUNLIN_PERMIT_SUBSCRIBE | DUNLIN_PERMIT_ALLOW | DUNLIN_PERMIT_RETAIN | DUNLIN_PERMIT_QOS2)

/* The configuration: a text is decoded, anything else is its JSON. 0: there is no such key. */
int dunlin_config(dunlin_bytes key, dunlin_bytes *value);
int dunlin_config_at(uint32_t i, dunlin_bytes *key, dunlin_bytes *value);

/* Host calls. */
static inline void dunlin_log(int32_t level, const char *text) { dunlin_log_write(level, (int32_t)(intptr_t)text, (int32_t)dunlin_length(text)); }
int32_t dunlin_publish(dunlin_bytes topic, dunlin_bytes payload, uint32_t flags); /* flags: QoS and DUNLIN_FLAG_RETAIN */
void *dunlin_alloc(uint32_t n); /* for the plugin's life; there is no free */

#ifdef __cplusplus
}
#endif

static inline dunlin_bytes dunlin_slot(const dunlin_record *r, uint32_t slot) {
	dunlin_bytes none = {0, 0}, b;
	const uint8_t *p = (const uint8_t *)r;
	uint32_t len = *(const uint32_t *)p, n = *(const uint16_t *)(p + 6);
	if (slot >= n)
		return none;
	const uint32_t *e = (const uint32_t *)(p + DUNLIN_SIZE_HEADER + slot * DUNLIN_SIZE_SLOT);
	if (e[0] < DUNLIN_SIZE_HEADER + n * DUNLIN_SIZE_SLOT || e[0] > len || e[1] > len - e[0])
		return none;
	b.ptr = p + e[0];
	b.len = e[1];
	return b;
}
static inline uint32_t dunlin_slot_u32(const dunlin_record *r, uint32_t slot, uint32_t absent) {
	dunlin_bytes b = dunlin_slot(r, slot);
	if (b.len == 4)
		__builtin_memcpy(&absent, b.ptr, 4);
	return absent;
}
static inline uint64_t dunlin_slot_u64(const dunlin_record *r, uint32_t slot, uint64_t absent) {
	dunlin_bytes b = dunlin_slot(r, slot);
	if (b.len == 8)
		__builtin_memcpy(&absent, b.ptr, 8);
	return absent;
}

#ifndef DUNLIN_DECLARATIONS
#include "dunlin_guest.h"
#endif
#endif
