/*
 * packet.h: the packets of login.sock (version 1), as a client needs them.
 * The specification is the package comment of internal/wire. Nothing here
 * allocates, and the zero value of every result is a refusal.
 */
#ifndef KSD_PACKET_H
#define KSD_PACKET_H

#include <stdbool.h>
#include <stddef.h>

enum { KSD_MAX_PACKET = 4096, KSD_MAX_FIELDS = 8 };

/* The verdicts, in the order of their words in packet.c. */
enum ksd_code {
	KSD_NO_CODE = 0,
	KSD_ACCEPT,
	KSD_REFUSE,
	KSD_LOCKED,
	KSD_UNENROLLED,
	KSD_CANCELLED,
	KSD_TIMED_OUT,
	KSD_UNUSABLE,
	KSD_DAEMON_FAILED,
	KSD_CODES
};

struct ksd_hello {
	const char *user;
	const char *service;
	const char *source;
	bool silent;
};

enum ksd_kind { KSD_MALFORMED = 0, KSD_TEXT, KSD_VERDICT };

struct ksd_reply {
	enum ksd_kind kind;
	enum ksd_code code; /* of a verdict */
	bool is_error;      /* of a text */
	const char *text;   /* of a text; it points into the packet */
};

/*
 * Writes the packet of h to out and returns its length, or 0 if a value is
 * empty, holds control characters, is not UTF-8, or is too long.
 */
size_t ksd_encode_hello(const struct ksd_hello *h, char out[KSD_MAX_PACKET]);

/* Reads one packet of n bytes. What breaks a rule is KSD_MALFORMED. */
struct ksd_reply ksd_decode_reply(const char *packet, size_t n);

/* The word of a verdict; "none" for what is not one. */
const char *ksd_code_word(enum ksd_code code);

#endif
