/*
 * packet.h: the packets of login.sock (version 2), as a client needs them.
 * The specification is the package comment of internal/wire. Nothing here
 * allocates, and the zero value of every result is a refusal.
 */
#ifndef KSD_PACKET_H
#define KSD_PACKET_H

#include <stdbool.h>
#include <stddef.h>

enum { KSD_MAX_PACKET = 4096, KSD_MAX_FIELDS = 8, KSD_MAX_TERM = 64 };

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

/* What the terminal was switched to, in the order of their words in packet.c. */
enum ksd_mode { KSD_NO_MODE = 0, KSD_PLAIN, KSD_KITTY, KSD_WIN32, KSD_MODES };

struct ksd_hello {
	const char *user;
	const char *service;
	const char *source;
	const char *term; /* NULL or "" if there is none that can be sent */
	bool silent;
};

enum ksd_kind { KSD_MALFORMED = 0, KSD_TEXT, KSD_MODE, KSD_VERDICT };

struct ksd_reply {
	enum ksd_kind kind;
	enum ksd_code code; /* of a verdict */
	enum ksd_mode mode; /* of a mode */
	bool is_error;      /* of a text */
	const char *text;   /* of a text; it points into the packet */
};

/*
 * Writes the packet of h to out and returns its length, or 0 if a value is
 * empty, holds control characters, is not UTF-8, or is too long, or if term is
 * not ksd_clean_term.
 */
size_t ksd_encode_hello(const struct ksd_hello *h, char out[KSD_MAX_PACKET]);

/* Reads one packet of n bytes. What breaks a rule is KSD_MALFORMED. */
struct ksd_reply ksd_decode_reply(const char *packet, size_t n);

/* Whether term is a terminal's type that can be sent: 1 to 64 of A-Z a-z 0-9 + . _ - */
bool ksd_clean_term(const char *term);

/*
 * The modes that a terminal may be in, a bit for each, 0 for none told: what was
 * told before, and one mode more, where plain takes back the others.
 */
unsigned ksd_modes_with(unsigned modes, enum ksd_mode mode);

/* What takes a terminal out of its modes; "" if none was told. */
const char *ksd_modes_undo(unsigned modes);

/* The word of a mode; "none" for what is not one. */
const char *ksd_mode_word(enum ksd_mode mode);

/* The word of a verdict; "none" for what is not one. */
const char *ksd_code_word(enum ksd_code code);

#endif
