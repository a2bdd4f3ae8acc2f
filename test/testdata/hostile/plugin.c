/* Does to its host what the last level of a topic says. */
#include "dunlin.h"

static volatile uint32_t sink;
static uint8_t block[1 << 16];

__attribute__((noinline)) static uint32_t tree(uint32_t n) { return n == 0 ? sink : tree(n - 1) + tree(n - 1); }

__attribute__((noinline)) static uint32_t deep(uint32_t n) {
	volatile uint8_t frame[1024];
	frame[n % sizeof frame] = (uint8_t)n;
	return deep(n + 1) + frame[n % 7];
}

void dunlin_on_publish(const dunlin_record *r, dunlin_verdict *v) {
	dunlin_bytes topic = dunlin_message_topic(r);
	if (!dunlin_has_prefix(topic, "evil/"))
		return;
	topic = dunlin_after(topic, 5);
	if (dunlin_has_prefix(topic, "loop"))
		for (;;)
			sink++;
	if (dunlin_has_prefix(topic, "tree"))
		sink = tree(64);
	if (dunlin_has_prefix(topic, "stack"))
		sink = deep(0);
	if (dunlin_has_prefix(topic, "trap"))
		__builtin_trap();
	if (dunlin_has_prefix(topic, "bomb")) {
		while (__builtin_wasm_memory_grow(0, 1) != (__SIZE_TYPE__)-1) {
		}
		__builtin_trap();
	}
	if (dunlin_has_prefix(topic, "fill"))
		for (;;)
			__builtin_memset(block, (int)sink++, sizeof block);
	if (dunlin_has_prefix(topic, "flood"))
		for (;;)
			dunlin_log(DUNLIN_LOG_WARN, "a line of the flood");
	if (dunlin_has_prefix(topic, "leak")) {
		uint8_t *p = dunlin_alloc(sizeof block);
		if (!p)
			__builtin_trap();
		p[0] = 1;
	}
	if (dunlin_has_prefix(topic, "garbage"))
		dunlin_decide(v, 99);
}
