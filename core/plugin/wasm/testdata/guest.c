// A guest in C on the bare contract: it denies what is under "deny/".
// clang --target=wasm32-wasi -O2 -nostartfiles -Wl,--no-entry -Wl,--stack-first -Wl,-s -o cguest.wasm guest.c
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT(name) __attribute__((export_name(name)))

static uint64_t *buf;
static struct { uint8_t action, reason; uint16_t flags; uint32_t off, len, ttl; } out[64];

EXPORT("dunlin_abi_v1") uint64_t abi(void) { return 0; }

EXPORT("dunlin_buf") void *buffer(uint32_t n) {
	free(buf);
	return buf = malloc(n + 8);
}

EXPORT("dunlin_init") uint64_t configure(uint32_t n) { return 0; }

EXPORT("dunlin_on") uint64_t on(uint32_t count, uint32_t n) {
	memset(out, 0, sizeof out[0] * count);
	const uint8_t *r = (const uint8_t *)buf;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t len = *(const uint32_t *)r;
		uint16_t slots = *(const uint16_t *)(r + 6);
		const uint32_t *slot = (const uint32_t *)(r + 32 + 4 * 8);
		if (slots > 4 && slot[1] >= 5 && !memcmp(r + slot[0], "deny/", 5))
			out[i].action = 2, out[i].reason = 0x87;
		else
			out[i].action = 1;
		r += len;
	}
	return (uint64_t)(uintptr_t)out << 32 | (count * sizeof out[0]);
}
