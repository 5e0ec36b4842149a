/*
 * options.h: the options of the line in /etc/pam.d. docs/PAM.md describes
 * them. The zero value of every field is the one that denies.
 */
#ifndef KSD_OPTIONS_H
#define KSD_OPTIONS_H

#include <stdbool.h>

enum { KSD_MAX_TIMEOUT = 600 }; /* s */

struct ksd_options {
	const char *socket;      /* absolute path of login.sock */
	int timeout;             /* s, 1 to KSD_MAX_TIMEOUT, for the whole conversation */
	bool ignore_unenrolled;  /* unenrolled=ignore */
	bool ignore_unavailable; /* fail=open */
	bool ignore_no_tty;      /* no_tty=ignore */
	bool debug;
};

/*
 * Reads the options. Returns NULL, or the first word that is unknown, stands
 * twice or has a bad value; then all of *o is zero.
 */
const char *ksd_parse_options(int argc, const char **argv, struct ksd_options *o);

#endif
