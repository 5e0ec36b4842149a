/*
 * handover.h: one conversation on login.sock. It connects, checks who
 * listens, hands over the terminal, relays texts and waits for the verdict.
 */
#ifndef KSD_HANDOVER_H
#define KSD_HANDOVER_H

#include "packet.h"

/* How an attempt ended. The zero value is a failure. */
enum ksd_end {
	KSD_END_FAILED = 0,    /* a system call failed; error says why */
	KSD_END_NO_TTY,        /* there is no terminal to hand over */
	KSD_END_NO_SOCKET,     /* the socket's file does not exist */
	KSD_END_NOT_LISTENING, /* nobody listens on it */
	KSD_END_STRANGER,      /* who listens is neither root, nor ksd, nor us */
	KSD_END_HELLO,         /* the user, service or source cannot be sent */
	KSD_END_TIMEOUT,       /* no verdict in time */
	KSD_END_EOF,           /* the daemon went away without a verdict */
	KSD_END_MALFORMED,     /* the daemon broke the protocol */
	KSD_END_VERDICT,       /* code is the verdict */
	KSD_ENDS
};

struct ksd_outcome {
	enum ksd_end end;
	enum ksd_code code;
	int error; /* errno of KSD_END_FAILED */
	unsigned modes; /* that the daemon may have left the terminal in; none after a verdict */
};

struct ksd_handover {
	const char *socket; /* path */
	int timeout;        /* s, for everything together */
	int tty;            /* the terminal's descriptor */
	const char *hello;  /* the first packet */
	size_t hello_len;
	bool (*is_daemon)(void *arg, unsigned uid);               /* may this uid judge? */
	void (*text)(void *arg, bool is_error, const char *text); /* a line for the person */
	void *arg;
};

struct ksd_outcome ksd_hand_over(const struct ksd_handover *h);

/* The word for how it ended: the verdict's own, or that of the failure. */
const char *ksd_outcome_word(struct ksd_outcome o);

#endif
