/*
 * pam_ksd: asks the ksd daemon whether the person at this terminal types like
 * the account's owner. It reads no key itself: it hands the terminal to the
 * daemon, relays texts, and turns the verdict into a PAM code. docs/PAM.md
 * holds the table of every ending, its code and its outcome.
 *
 * No thread, no child, no signal handler: it runs inside programs that are
 * set-user-ID, that fork after loading it, and that hostile users start. Of the
 * environment it reads TERM alone, which its user may choose as it may choose
 * the terminal: it decides how keys are told and nothing else.
 */
#define _GNU_SOURCE
#ifdef __has_include
#if !__has_include(<security/pam_modules.h>)
#error "Linux-PAM's headers are missing: apt-get install libpam0g-dev"
#endif
#endif

#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <security/pam_modutil.h>

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "handover.h"
#include "options.h"
#include "packet.h"
#include "tty.h"

enum { FAIL_DELAY_US = 2000000, SOURCE_SIZE = 300 };

struct attempt {
	pam_handle_t *pamh;
	bool silent;
	bool debug;
};

/* Root, the daemon's own account, or whoever we are ourselves. */
static bool is_daemon(void *arg, unsigned uid)
{
	const struct attempt *a = arg;
	const struct passwd *ksd;

	if (uid == 0 || uid == geteuid())
		return true;
	ksd = pam_modutil_getpwnam(a->pamh, "ksd");
	return ksd != NULL && ksd->pw_uid == uid;
}

/* Shows a line to the person. Whether the host shows it is not our business. */
static void say(void *arg, bool is_error, const char *text)
{
	const struct attempt *a = arg;

	if (a->debug)
		pam_syslog(a->pamh, LOG_DEBUG, "the daemon sent a text of %zu bytes", strlen(text));
	if (!a->silent)
		pam_prompt(a->pamh, is_error ? PAM_ERROR_MSG : PAM_TEXT_INFO, NULL, "%s", text);
}

static const char *item(pam_handle_t *pamh, int type)
{
	const void *v = NULL;

	return pam_get_item(pamh, type, &v) == PAM_SUCCESS && v != NULL ? v : "";
}

/*
 * Where the attempt comes from, for the lock-out. A set-user-ID host (su,
 * sudo) is told apart by the real uid of who started it, which that person
 * cannot choose. Where root is the caller (login, sshd) it is the remote
 * host, else the terminal's name.
 */
static bool find_source(pam_handle_t *pamh, char source[SOURCE_SIZE])
{
	const char *host = item(pamh, PAM_RHOST), *tty = item(pamh, PAM_TTY);
	int n;

	if (getuid() == 0 && *host != '\0')
		n = snprintf(source, SOURCE_SIZE, "host:%s", host);
	else if (getuid() == 0 && *tty != '\0')
		n = snprintf(source, SOURCE_SIZE, "tty:%s", strncmp(tty, "/dev/", 5) == 0 ? tty + 5 : tty);
	else
		n = snprintf(source, SOURCE_SIZE, "uid:%u", (unsigned)getuid());
	return n > 0 && n < SOURCE_SIZE;
}

/* The terminal's type, NULL where there is none or none that can be sent. */
static const char *find_term(void)
{
	const char *term = getenv("TERM");

	return term != NULL && ksd_clean_term(term) ? term : NULL;
}

/* What the person is told about an ending that the daemon cannot tell. */
static const char *advice(enum ksd_end end)
{
	switch (end) {
	case KSD_END_VERDICT:
		return NULL;
	case KSD_END_NO_TTY:
		return "The typing check needs a terminal, and there is none here.";
	case KSD_END_NO_SOCKET:
	case KSD_END_NOT_LISTENING:
		return "The typing check is not running. Ask the administrator.";
	case KSD_END_TIMEOUT:
		return "The typing check did not answer in time.";
	default:
		return "The typing check failed. The system log says why.";
	}
}

/* The one place where an ending becomes a PAM code; what it does not name is denied. */
static int pam_code(struct ksd_outcome o, const struct ksd_options *opt, int flags)
{
	switch (o.end) {
	case KSD_END_NO_TTY:
		return opt->ignore_no_tty ? PAM_IGNORE : PAM_AUTH_ERR;
	case KSD_END_NO_SOCKET:
	case KSD_END_NOT_LISTENING:
		return opt->ignore_unavailable ? PAM_IGNORE : PAM_AUTHINFO_UNAVAIL;
	case KSD_END_VERDICT:
		break;
	default:
		return PAM_AUTH_ERR;
	}
	switch (o.code) {
	case KSD_ACCEPT:
		return PAM_SUCCESS;
	case KSD_LOCKED:
		return PAM_MAXTRIES;
	case KSD_UNENROLLED:
		if (opt->ignore_unenrolled && (flags & PAM_DISALLOW_NULL_AUTHTOK) == 0)
			return PAM_IGNORE;
		return PAM_AUTH_ERR;
	default:
		return PAM_AUTH_ERR;
	}
}

/* Writes the one line of this attempt. user and source were checked by the encoder. */
static void write_log(pam_handle_t *pamh, struct ksd_outcome o, int code, const struct ksd_hello *h)
{
	const char *result = "denied";
	int level = o.end == KSD_END_VERDICT ? LOG_NOTICE : LOG_ERR;

	if (code == PAM_SUCCESS)
		result = "accepted", level = LOG_INFO;
	else if (code == PAM_IGNORE)
		result = "SKIPPED by configuration", level = LOG_WARNING;
	else if (code == PAM_AUTHINFO_UNAVAIL)
		result = "denied as unavailable";
	if (o.end == KSD_END_HELLO)
		pam_syslog(pamh, level, "outcome=%s result=\"%s\"", ksd_outcome_word(o), result);
	else if (o.error != 0)
		pam_syslog(pamh, level, "user=%s source=%s outcome=%s (%s) result=\"%s\"", h->user,
			   h->source, ksd_outcome_word(o), strerror(o.error), result);
	else
		pam_syslog(pamh, level, "user=%s source=%s outcome=%s result=\"%s\"", h->user,
			   h->source, ksd_outcome_word(o), result);
}

/* Opens the terminal and holds the conversation over it. */
static struct ksd_outcome judge(struct attempt *a, const struct ksd_options *opt, const struct ksd_hello *hello)
{
	struct ksd_outcome o = {.end = KSD_END_FAILED};
	char packet[KSD_MAX_PACKET];
	size_t n = ksd_encode_hello(hello, packet);
	struct ksd_tty tty;

	if (n == 0) {
		o.end = KSD_END_HELLO;
		return o;
	}
	switch (ksd_tty_open(&tty)) {
	case KSD_TTY_NONE:
		o.end = KSD_END_NO_TTY;
		return o;
	case KSD_TTY_OPEN:
		break;
	default:
		o.error = errno;
		return o;
	}
	if (a->debug)
		pam_syslog(a->pamh, LOG_DEBUG, "handing the terminal to %s", opt->socket);
	o = ksd_hand_over(&(struct ksd_handover){
		.socket = opt->socket, .timeout = opt->timeout, .tty = tty.fd,
		.hello = packet, .hello_len = n, .is_daemon = is_daemon, .text = say, .arg = a,
	});
	ksd_tty_close(&tty, ksd_modes_undo(o.modes));
	return o;
}

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct attempt a = {.pamh = pamh, .silent = (flags & PAM_SILENT) != 0};
	struct ksd_options opt;
	struct ksd_hello hello = {.silent = a.silent};
	struct ksd_outcome o;
	char source[SOURCE_SIZE];
	const char *bad, *text;
	int code;

	bad = ksd_parse_options(argc, argv, &opt);
	if (bad != NULL) {
		pam_syslog(pamh, LOG_ERR, "option \"%s\" is unknown, repeated or has a bad value: denying", bad);
		return PAM_SERVICE_ERR;
	}
	a.debug = opt.debug;
	if (pam_get_user(pamh, &hello.user, NULL) != PAM_SUCCESS || hello.user == NULL) {
		pam_syslog(pamh, LOG_ERR, "the host gives no user: denying");
		return PAM_AUTH_ERR;
	}
	hello.service = item(pamh, PAM_SERVICE);
	hello.source = find_source(pamh, source) ? source : "";
	hello.term = find_term();
	o = judge(&a, &opt, &hello);
	code = pam_code(o, &opt, flags);
	write_log(pamh, o, code, &hello);
	text = advice(o.end);
	if (text != NULL && code != PAM_IGNORE)
		say(&a, true, text);
	if (o.end == KSD_END_VERDICT && o.code == KSD_REFUSE)
		pam_fail_delay(pamh, FAIL_DELAY_US);
	return code;
}

/* There are no credentials to set; saying so lets a stack of this module alone work. */
int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_SUCCESS;
}

/* PAM_SUCCESS here could open the account phase to a locked account: no opinion. */
int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_IGNORE;
}

int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_IGNORE;
}

int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_IGNORE;
}

int pam_sm_chauthtok(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_IGNORE;
}
