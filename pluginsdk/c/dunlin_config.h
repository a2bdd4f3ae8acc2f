/* The init message: the members of its "config" object, one level deep. */
#ifndef DUNLIN_CONFIG_H
#define DUNLIN_CONFIG_H

typedef struct dunlin_member { struct dunlin_member *next; dunlin_bytes key, value; } dunlin_member;
static dunlin_member *dunlin_members;

typedef struct { const uint8_t *at, *end; } dunlin_json;

static int dunlin_json_char(dunlin_json *j) {
	while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\t' || *j->at == '\r'))
		j->at++;
	return j->at < j->end ? *j->at : -1;
}

/* moves behind the value at j, whole */
static void dunlin_json_skip(dunlin_json *j) {
	int depth = 0, quoted = 0, c = dunlin_json_char(j);
	int nested = c == '{' || c == '[', text = c == '"';
	for (; j->at < j->end; j->at++) {
		c = *j->at;
		if (quoted) {
			if (c == '\\')
				j->at++;
			else if (c == '"') {
				quoted = 0;
				if (text) {
					j->at++;
					return;
				}
			}
		} else if (c == '"') {
			quoted = 1;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if (c == '}' || c == ']') {
			if (!nested)
				return;
			if (--depth == 0) {
				j->at++;
				return;
			}
		} else if (c == ',' && !nested) {
			return;
		}
	}
}

static uint32_t dunlin_json_hex(const uint8_t *p) {
	uint32_t v = 0;
	for (int i = 0; i < 4; i++)
		v = v << 4 | (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
	return v;
}

/* decodes a JSON text (with its quotes); other values are taken as they are */
static dunlin_bytes dunlin_json_value(const uint8_t *p, const uint8_t *end) {
	uint8_t *to = (uint8_t *)dunlin_alloc((uint32_t)(end - p) + 1), *q = to;
	dunlin_bytes b = {to, 0};
	if (p < end && *p != '"') {
		while (end > p && (end[-1] == ' ' || end[-1] == '\n'))
			end--;
		dunlin_copy(to, p, (uint32_t)(end - p));
		b.len = (uint32_t)(end - p);
		return b;
	}
	for (p++; p < end - 1; p++) {
		uint32_t c = *p;
		if (c != '\\') {
			*q++ = (uint8_t)c;
			continue;
		}
		c = *++p;
		if (c == 'n') c = '\n'; else if (c == 't') c = '\t'; else if (c == 'r') c = '\r'; else if (c == 'b') c = '\b'; else if (c == 'f') c = '\f';
		if (c != 'u') {
			*q++ = (uint8_t)c;
			continue;
		}
		if (end - p < 6)
			break;
		c = dunlin_json_hex(p + 1);
		p += 4;
		if (c >= 0xD800 && c < 0xDC00 && end - p > 7 && p[1] == '\\' && p[2] == 'u') {
			c = 0x10000 + ((c & 0x3FF) << 10) + (dunlin_json_hex(p + 3) & 0x3FF);
			p += 6;
		}
		if (c < 0x80)
			*q++ = (uint8_t)c;
		else if (c < 0x800)
			*q++ = (uint8_t)(0xC0 | c >> 6), *q++ = (uint8_t)(0x80 | (c & 63));
		else if (c < 0x10000)
			*q++ = (uint8_t)(0xE0 | c >> 12), *q++ = (uint8_t)(0x80 | (c >> 6 & 63)), *q++ = (uint8_t)(0x80 | (c & 63));
		else
			*q++ = (uint8_t)(0xF0 | c >> 18), *q++ = (uint8_t)(0x80 | (c >> 12 & 63)), *q++ = (uint8_t)(0x80 | (c >> 6 & 63)), *q++ = (uint8_t)(0x80 | (c & 63));
	}
	b.len = (uint32_t)(q - to);
	return b;
}

/* calls for each member of the object at j; the member "config" of the outer one is gone into */
static const char *dunlin_json_object(dunlin_json *j, int outer) {
	dunlin_member **last = &dunlin_members;
	if (dunlin_json_char(j) != '{')
		return outer ? "the init message is no object" : "the configuration is no object";
	j->at++;
	while (dunlin_json_char(j) == '"') {
		const uint8_t *k = j->at;
		dunlin_json_skip(j);
		dunlin_bytes key = dunlin_json_value(k, j->at);
		if (dunlin_json_char(j) != ':')
			return "malformed JSON";
		j->at++;
		dunlin_json_char(j);
		const uint8_t *v = j->at;
		if (outer && dunlin_equal(key, dunlin_text("config"))) {
			const char *fault = dunlin_json_object(j, 0);
			if (fault)
				return fault;
		} else {
			dunlin_json_skip(j);
			if (!outer) {
				dunlin_member *m = (dunlin_member *)dunlin_alloc(sizeof *m);
				m->next = 0;
				m->key = key;
				m->value = dunlin_json_value(v, j->at);
				*last = m;
				last = &m->next;
			}
		}
		if (dunlin_json_char(j) == ',')
			j->at++, dunlin_json_char(j);
	}
	if (dunlin_json_char(j) != '}')
		return "malformed JSON";
	j->at++;
	return 0;
}

static const char *dunlin_read_config(const uint8_t *message, uint32_t n) {
	dunlin_json j = {message, message + n};
	return dunlin_json_object(&j, 1);
}

int dunlin_config(dunlin_bytes key, dunlin_bytes *value) {
	for (dunlin_member *m = dunlin_members; m; m = m->next)
		if (dunlin_equal(m->key, key)) {
			*value = m->value;
			return 1;
		}
	return 0;
}
int dunlin_config_at(uint32_t i, dunlin_bytes *key, dunlin_bytes *value) {
	for (dunlin_member *m = dunlin_members; m; m = m->next)
		if (i-- == 0) {
			*key = m->key;
			*value = m->value;
			return 1;
		}
	return 0;
}
#endif
