/* The exports of a guest and what stands behind dunlin.h. Included once. */
#ifndef DUNLIN_GUEST_H
#define DUNLIN_GUEST_H
#ifdef __cplusplus
extern "C" {
#endif

#define DUNLIN_EXPORT(name) __attribute__((export_name(#name), used))

/* What the compiler calls by itself; weak, so that a C library's is taken. */
__attribute__((weak)) void *memcpy(void *to, const void *from, __SIZE_TYPE__ n) {
	for (__SIZE_TYPE__ i = 0; i < n; i++)
		((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
	return to;
}
__attribute__((weak)) void *memset(void *to, int c, __SIZE_TYPE__ n) {
	for (__SIZE_TYPE__ i = 0; i < n; i++)
		((volatile uint8_t *)to)[i] = (uint8_t)c;
	return to;
}

static void dunlin_copy(uint8_t *to, const uint8_t *from, uint32_t n) { __builtin_memcpy(to, from, n); }

/* Memory by whole pages, beside whatever a C library takes. */
static struct { uint8_t *at; uint32_t left; } dunlin_arena;

void *dunlin_alloc(uint32_t n) {
	n = (n + 7) & ~7u;
	if (n > dunlin_arena.left) {
		uint32_t pages = (n + 0xFFFF) >> 16;
		__SIZE_TYPE__ was = __builtin_wasm_memory_grow(0, pages);
		if (was == (__SIZE_TYPE__)-1)
			__builtin_trap();
		dunlin_arena.at = (uint8_t *)(was << 16);
		dunlin_arena.left = pages << 16;
	}
	uint8_t *p = dunlin_arena.at;
	dunlin_arena.at += n;
	dunlin_arena.left -= n;
	return p;
}

uint32_t dunlin_length(const char *text) {
	uint32_t n = 0;
	while (text && text[n])
		n++;
	return n;
}
int dunlin_equal(dunlin_bytes a, dunlin_bytes b) {
	if (a.len != b.len)
		return 0;
	for (uint32_t i = 0; i < a.len; i++)
		if (a.ptr[i] != b.ptr[i])
			return 0;
	return 1;
}
int dunlin_same(dunlin_bytes a, dunlin_bytes b) {
	uint8_t differ = a.len != b.len;
	for (uint32_t i = 0; i < a.len && b.len; i++)
		differ |= a.ptr[i] ^ b.ptr[i % b.len];
	return !differ;
}
int dunlin_has_prefix(dunlin_bytes b, const char *prefix) {
	uint32_t n = dunlin_length(prefix);
	for (uint32_t i = 0; i < n; i++)
		if (i >= b.len || b.ptr[i] != (uint8_t)prefix[i])
			return 0;
	return 1;
}

/* The verdict block. It grows by doubling, so what is left behind is less than
 * what is in use. */
struct dunlin_verdict {
	uint8_t *buf;
	uint32_t size, used, records, index;
	uint32_t base;  /* of the open extension table; 0: none */
	uint32_t last;  /* extension that may still grow, + 1 */
	uint32_t touched; /* some verdict is not Next */
};
static dunlin_verdict dunlin_out;

static uint8_t *dunlin_room(dunlin_verdict *v, uint32_t n) {
	if (v->used + n > v->size) {
		uint32_t size = (v->used + n) * 2 + 1024;
		uint8_t *buf = (uint8_t *)dunlin_alloc(size);
		dunlin_copy(buf, v->buf, v->used);
		v->buf = buf;
		v->size = size;
	}
	uint8_t *p = v->buf + v->used;
	v->used += n;
	return p;
}
static uint8_t *dunlin_entry(dunlin_verdict *v) {
	v->touched = 1;
	return v->buf + v->index * DUNLIN_SIZE_VERDICT;
}
static void dunlin_pad(dunlin_verdict *v) {
	uint32_t n = -v->used & 7;
	uint8_t *p = dunlin_room(v, n);
	for (uint32_t i = 0; i < n; i++)
		p[i] = 0;
}

void dunlin_decide(dunlin_verdict *v, uint32_t action) { dunlin_entry(v)[0] = (uint8_t)action; }
void dunlin_deny(dunlin_verdict *v, uint32_t reason, const char *text) {
	dunlin_entry(v)[0] = DUNLIN_ACTION_DENY;
	dunlin_entry(v)[1] = (uint8_t)reason;
	if (text)
		dunlin_put(v, DUNLIN_EXT_TEXT, dunlin_text(text));
}
void dunlin_verdict_flags(dunlin_verdict *v, uint32_t flags) { *(uint16_t *)(dunlin_entry(v) + 2) = (uint16_t)flags; }
void dunlin_cache(dunlin_verdict *v, uint32_t milliseconds) { *(uint32_t *)(dunlin_entry(v) + 12) = milliseconds; }

void dunlin_put(dunlin_verdict *v, uint32_t ext, dunlin_bytes b) {
	const uint32_t table = DUNLIN_SIZE_EXT_HEAD + DUNLIN_SIZE_EXTS * DUNLIN_SIZE_SLOT;
	if (ext >= DUNLIN_SIZE_EXTS)
		return;
	if (!v->base) {
		dunlin_pad(v);
		v->base = v->used;
		uint32_t *head = (uint32_t *)dunlin_room(v, table);
		for (uint32_t i = 0; i < table / 4; i++)
			head[i] = 0;
		head[0] = DUNLIN_SIZE_EXTS;
		*(uint32_t *)(dunlin_entry(v) + 4) = v->base;
	}
	if (v->last != ext + 1) {
		dunlin_pad(v);
		uint32_t *e = (uint32_t *)(v->buf + v->base + DUNLIN_SIZE_EXT_HEAD + ext * DUNLIN_SIZE_SLOT);
		e[0] = v->used - v->base;
		e[1] = 0;
		v->last = ext + 1;
	}
	uint8_t *to = dunlin_room(v, b.len);
	dunlin_copy(to, b.ptr, b.len);
	uint32_t *e = (uint32_t *)(v->buf + v->base + DUNLIN_SIZE_EXT_HEAD + ext * DUNLIN_SIZE_SLOT);
	e[1] += b.len;
	*(uint32_t *)(dunlin_entry(v) + 8) = v->used - v->base;
}
void dunlin_put_u32(dunlin_verdict *v, uint32_t ext, uint32_t n) {
	dunlin_bytes b = {(const uint8_t *)&n, 4};
	dunlin_put(v, ext, b);
}
void dunlin_put_u64(dunlin_verdict *v, uint32_t ext, uint64_t n) {
	dunlin_bytes b = {(const uint8_t *)&n, 8};
	dunlin_put(v, ext, b);
}
void dunlin_permit(dunlin_verdict *v, uint32_t bits, dunlin_bytes a, dunlin_bytes b, dunlin_bytes c) {
	uint32_t n = a.len + b.len + c.len;
	uint8_t head[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)bits, 0};
	dunlin_bytes h = {head, 4};
	if (n > 0xFFFF)
		return;
	dunlin_put(v, DUNLIN_EXT_PERMISSIONS, h);
	dunlin_put(v, DUNLIN_EXT_PERMISSIONS, a);
	dunlin_put(v, DUNLIN_EXT_PERMISSIONS, b);
	dunlin_put(v, DUNLIN_EXT_PERMISSIONS, c);
}

int32_t dunlin_publish(dunlin_bytes topic, dunlin_bytes payload, uint32_t flags) {
	static dunlin_verdict w; /* only its buffer is used */
	const uint32_t slots = DUNLIN_SLOT_PAYLOAD + 1, head = DUNLIN_SIZE_HEADER + slots * DUNLIN_SIZE_SLOT;
	w.used = 0;
	uint32_t *p = (uint32_t *)dunlin_room(&w, head);
	for (uint32_t i = 0; i < head / 4; i++)
		p[i] = 0;
	p[1] = DUNLIN_HOOK_PUBLISH | slots << 16;
	p[6] = flags;
	p[7] = payload.len;
	uint32_t *e = p + (DUNLIN_SIZE_HEADER + DUNLIN_SLOT_TOPIC * DUNLIN_SIZE_SLOT) / 4;
	e[0] = head;
	e[1] = topic.len;
	e[2] = head + topic.len;
	e[3] = payload.len;
	uint8_t *to = dunlin_room(&w, topic.len + payload.len);
	dunlin_copy(to, topic.ptr, topic.len);
	dunlin_copy(to + topic.len, payload.ptr, payload.len);
	dunlin_pad(&w);
	*(uint32_t *)w.buf = w.used;
	return dunlin_pub_publish((int32_t)(intptr_t)w.buf, (int32_t)w.used);
}

#include "dunlin_config.h"

static uint8_t *dunlin_input;
static uint32_t dunlin_input_size;

DUNLIN_EXPORT(dunlin_abi_v1) uint64_t dunlin_abi_v1(void) { return 0; }

DUNLIN_EXPORT(dunlin_hooks) uint64_t dunlin_hooks(void) {
	uint64_t set = 0;
#define DUNLIN_HOOK_BIT(name, number) if (dunlin_on_##name) set |= 1ull << number;
	DUNLIN_HOOKS(DUNLIN_HOOK_BIT)
	return set;
}

DUNLIN_EXPORT(dunlin_buf) uint32_t dunlin_buf(uint32_t min) {
	if (min > dunlin_input_size) {
		dunlin_input_size = min * 2;
		dunlin_input = (uint8_t *)dunlin_alloc(dunlin_input_size);
	}
	return (uint32_t)(intptr_t)dunlin_input;
}

static uint64_t dunlin_result(const void *p, uint32_t n) { return n ? (uint64_t)(uint32_t)(intptr_t)p << 32 | n : 0; }

DUNLIN_EXPORT(dunlin_init) uint64_t dunlin_init(uint32_t n) {
	const char *fault = dunlin_read_config(dunlin_input, n);
	if (!fault && dunlin_configure)
		fault = dunlin_configure();
	return dunlin_result(fault, dunlin_length(fault));
}

DUNLIN_EXPORT(dunlin_on) uint64_t dunlin_on(uint32_t count, uint32_t n) {
	dunlin_verdict *v = &dunlin_out;
	v->used = v->touched = 0;
	v->records = count;
	uint32_t *e = (uint32_t *)dunlin_room(v, count * DUNLIN_SIZE_VERDICT);
	for (uint32_t i = 0; i < count * DUNLIN_SIZE_VERDICT / 4; i++)
		e[i] = 0;
	uint32_t at = 0;
	for (uint32_t i = 0; i < count; i++) {
		const dunlin_record *r = (const dunlin_record *)(dunlin_input + at);
		if (n - at < DUNLIN_SIZE_HEADER || *(const uint32_t *)r > n - at || *(const uint32_t *)r < DUNLIN_SIZE_HEADER)
			break; /* the host made a bad frame */
		v->index = i;
		v->base = v->last = 0;
		switch (((const uint16_t *)r)[2]) {
#define DUNLIN_HOOK_CASE(name, number) case number: if (dunlin_on_##name) dunlin_on_##name(r, v); break;
			DUNLIN_HOOKS(DUNLIN_HOOK_CASE)
		}
		at += *(const uint32_t *)r;
	}
	return v->touched ? dunlin_result(v->buf, v->used) : 0;
}

DUNLIN_EXPORT(dunlin_drain) uint64_t dunlin_drain(void) {
	dunlin_bytes b = {0, 0};
	if (dunlin_save_state)
		b = dunlin_save_state();
	return dunlin_result(b.ptr, b.len);
}

DUNLIN_EXPORT(dunlin_restore) uint64_t dunlin_restore(uint32_t n) {
	dunlin_bytes state = {dunlin_input, n};
	const char *fault = dunlin_restore_state ? dunlin_restore_state(state) : 0;
	return dunlin_result(fault, dunlin_length(fault));
}

#ifdef __cplusplus
}
#endif
#endif
