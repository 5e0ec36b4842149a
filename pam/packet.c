#include "packet.h"

#include <stdint.h>
#include <string.h>

static const char *const code_words[KSD_CODES] = {
	[KSD_NO_CODE] = "none",           [KSD_ACCEPT] = "accept",       [KSD_REFUSE] = "refuse",
	[KSD_LOCKED] = "locked",          [KSD_UNENROLLED] = "unenrolled", [KSD_CANCELLED] = "cancelled",
	[KSD_TIMED_OUT] = "timeout",      [KSD_UNUSABLE] = "unusable",   [KSD_DAEMON_FAILED] = "failed",
};

static const char *const mode_words[KSD_MODES] = {
	[KSD_NO_MODE] = "none", [KSD_PLAIN] = "plain", [KSD_KITTY] = "kitty", [KSD_WIN32] = "win32",
};

const char *ksd_mode_word(enum ksd_mode mode)
{
	return mode > KSD_NO_MODE && mode < KSD_MODES ? mode_words[mode] : mode_words[KSD_NO_MODE];
}

unsigned ksd_modes_with(unsigned modes, enum ksd_mode mode)
{
	return mode == KSD_PLAIN ? 1u << KSD_PLAIN : modes | 1u << mode;
}

/* What mode.go of internal/wire says of each. */
#define POP "\033[<u"
#define WIN32_OFF "\033[?9001l"
#define BRACKETS_OFF "\033[?2004l"

const char *ksd_modes_undo(unsigned modes)
{
	bool kitty = (modes & 1u << KSD_KITTY) != 0, win32 = (modes & 1u << KSD_WIN32) != 0;

	if (modes == 0)
		return "";
	if (kitty && win32)
		return POP WIN32_OFF BRACKETS_OFF;
	if (kitty)
		return POP BRACKETS_OFF;
	return win32 ? WIN32_OFF BRACKETS_OFF : BRACKETS_OFF;
}

const char *ksd_code_word(enum ksd_code code)
{
	return code > KSD_NO_CODE && code < KSD_CODES ? code_words[code] : code_words[KSD_NO_CODE];
}

/*
 * Whether s is UTF-8 (RFC 3629: shortest form, no surrogates) without what a
 * terminal could take for a command: C0, DEL and C1.
 */
static bool clean_value(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + n;

	while (p < end) {
		uint32_t r = *p++, least = 0;
		int more = 0;

		if (r >= 0xf8)
			return false;
		if (r >= 0xf0)
			more = 3, least = 0x10000, r &= 0x07;
		else if (r >= 0xe0)
			more = 2, least = 0x800, r &= 0x0f;
		else if (r >= 0xc0)
			more = 1, least = 0x80, r &= 0x1f;
		else if (r >= 0x80)
			return false;
		for (; more > 0; more--) {
			if (p == end || (*p & 0xc0) != 0x80)
				return false;
			r = r << 6 | (*p++ & 0x3f);
		}
		if (r < least || r > 0x10ffff || (r >= 0xd800 && r <= 0xdfff))
			return false;
		if (r < 0x20 || (r >= 0x7f && r <= 0x9f))
			return false;
	}
	return true;
}

bool ksd_clean_term(const char *term)
{
	size_t n = strspn(term, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+._-");

	return n >= 1 && n <= KSD_MAX_TERM && term[n] == '\0';
}

static bool clean_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < 'a' || s[i] > 'z')
			return false;
	return n > 0;
}

/* Appends name=value NUL at *n, and reports whether it was clean and fitted. */
static bool put(char *out, size_t *n, const char *name, const char *value)
{
	size_t ln, lv, left = KSD_MAX_PACKET - *n;

	if (value == NULL || *value == '\0')
		return false;
	ln = strlen(name);
	lv = strlen(value);
	if (lv > KSD_MAX_PACKET || ln + lv + 2 > left || !clean_value(value, lv))
		return false;
	memcpy(out + *n, name, ln);
	out[*n + ln] = '=';
	memcpy(out + *n + ln + 1, value, lv + 1);
	*n += ln + lv + 2;
	return true;
}

size_t ksd_encode_hello(const struct ksd_hello *h, char out[KSD_MAX_PACKET])
{
	size_t n = 0;

	out[n++] = 'H';
	if (!put(out, &n, "v", "2") || !put(out, &n, "user", h->user) ||
	    !put(out, &n, "service", h->service) || !put(out, &n, "source", h->source))
		return 0;
	if (h->silent && !put(out, &n, "silent", "1"))
		return 0;
	if (h->term != NULL && *h->term != '\0' && (!ksd_clean_term(h->term) || !put(out, &n, "term", h->term)))
		return 0;
	return n;
}

struct field {
	const char *name; /* it ends at '=' */
	size_t name_len;
	const char *value; /* it ends at NUL */
};

static bool is_named(const struct field *f, const char *name)
{
	return f->name_len == strlen(name) && memcmp(f->name, name, f->name_len) == 0;
}

/* Splits the fields of a packet; their number, or -1 if a rule is broken. */
static int split(const char *p, const char *end, struct field fields[KSD_MAX_FIELDS])
{
	int n = 0;

	while (p < end) {
		const char *nul = memchr(p, '\0', (size_t)(end - p));
		const char *eq = nul != NULL ? memchr(p, '=', (size_t)(nul - p)) : NULL;
		struct field f;

		if (eq == NULL || n == KSD_MAX_FIELDS)
			return -1;
		f = (struct field){.name = p, .name_len = (size_t)(eq - p), .value = eq + 1};
		if (!clean_name(f.name, f.name_len) || !clean_value(f.value, (size_t)(nul - f.value)))
			return -1;
		for (int i = 0; i < n; i++)
			if (fields[i].name_len == f.name_len && memcmp(fields[i].name, f.name, f.name_len) == 0)
				return -1;
		fields[n++] = f;
		p = nul + 1;
	}
	return n;
}

static struct ksd_reply text_of(const struct field *fields, int n)
{
	struct ksd_reply malformed = {0}, r = {.kind = KSD_TEXT, .text = ""};
	const char *kind = "";

	for (int i = 0; i < n; i++) {
		if (is_named(&fields[i], "kind"))
			kind = fields[i].value;
		else if (is_named(&fields[i], "text"))
			r.text = fields[i].value;
		else
			return malformed;
	}
	r.is_error = strcmp(kind, "error") == 0;
	return r.is_error || strcmp(kind, "info") == 0 ? r : malformed;
}

static struct ksd_reply mode_of(const struct field *fields, int n)
{
	struct ksd_reply malformed = {0};

	if (n != 1 || !is_named(&fields[0], "mode"))
		return malformed;
	for (int m = KSD_NO_MODE + 1; m < KSD_MODES; m++)
		if (strcmp(fields[0].value, mode_words[m]) == 0)
			return (struct ksd_reply){.kind = KSD_MODE, .mode = (enum ksd_mode)m};
	return malformed;
}

static struct ksd_reply verdict_of(const struct field *fields, int n)
{
	struct ksd_reply malformed = {0};

	if (n != 1 || !is_named(&fields[0], "code"))
		return malformed;
	for (int c = KSD_NO_CODE + 1; c < KSD_CODES; c++)
		if (strcmp(fields[0].value, code_words[c]) == 0)
			return (struct ksd_reply){.kind = KSD_VERDICT, .code = (enum ksd_code)c};
	return malformed;
}

struct ksd_reply ksd_decode_reply(const char *packet, size_t n)
{
	struct ksd_reply malformed = {0};
	struct field fields[KSD_MAX_FIELDS];
	int count;

	if (n == 0 || n > KSD_MAX_PACKET)
		return malformed;
	count = split(packet + 1, packet + n, fields);
	if (count < 0)
		return malformed;
	switch (packet[0]) {
	case 'T':
		return text_of(fields, count);
	case 'M':
		return mode_of(fields, count);
	case 'V':
		return verdict_of(fields, count);
	}
	return malformed;
}
