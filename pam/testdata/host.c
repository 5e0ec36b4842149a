/*
 * A PAM host for the tests. Its exit status is 100 plus the code of
 * pam_authenticate, so that nothing else can look like a success.
 *
 *	host [-f] [-h] [-i] [-n] [-s] [-l NUMBER] CONFDIR SERVICE USER
 *
 * -f authenticates in a child forked after pam_start, as sshd does; -n and -s
 * set PAM_DISALLOW_NULL_AUTHTOK and PAM_SILENT; -i interrupts every system call
 * after 10 ms by a signal; -h lets the module go on only after the daemon has
 * hung up; -l lets so many descriptors be
 * opened when the module is already loaded. Texts go to stdout as "info: …"
 * and "error: …"; "delay" follows if the module asks for one, and "leak" if
 * descriptors stayed open. RHOST in the environment becomes PAM_RHOST, TTY
 * becomes PAM_TTY.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

static int converse(int n, const struct pam_message **m, struct pam_response **r, void *arg)
{
	(void)arg;
	*r = calloc((size_t)n, sizeof **r);
	for (int i = 0; i < n; i++)
		printf("%s: %s\n", m[i]->msg_style == PAM_ERROR_MSG ? "error" : "info", m[i]->msg);
	fflush(stdout);
	return *r != NULL ? PAM_SUCCESS : PAM_CONV_ERR;
}

static int waits;

/* In place of libc's, which the module calls between connecting and sending. */
int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	struct pollfd p = {.fd = fd};

	if (waits)
		poll(&p, 1, -1);
	return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}

/* Stands in for libpam's own delay. */
static void no_delay(int code, unsigned usec, void *arg)
{
	(void)arg;
	if (code != PAM_SUCCESS && usec > 0)
		printf("delay\n");
}

static int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 64; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void nothing(int number) { (void)number; }

static void interrupt(void)
{
	struct itimerval every = {{0, 10000}, {0, 10000}};
	struct sigaction act = {.sa_handler = nothing};

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

static int authenticate(pam_handle_t *pamh, int flags)
{
	int before = open_descriptors();
	int code = pam_authenticate(pamh, flags);

	if (open_descriptors() != before)
		printf("leak\n");
	if (pam_acct_mgmt(pamh, 0) == PAM_SUCCESS)
		printf("the account phase was opened\n");
	if (code == PAM_SUCCESS && pam_setcred(pamh, PAM_ESTABLISH_CRED) != PAM_SUCCESS)
		printf("setcred failed\n");
	fflush(stdout);
	return 100 + code;
}

int main(int argc, char **argv)
{
	static const struct pam_conv conv = {.conv = converse};
	int opt, flags = 0, forks = 0, status = 0;
	pam_handle_t *pamh = NULL;
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	while ((opt = getopt(argc, argv, "fhinsl:")) != -1) {
		forks |= opt == 'f';
		waits |= opt == 'h';
		if (opt == 'i')
			interrupt();
		limit.rlim_cur = opt == 'l' ? (rlim_t)atoi(optarg) : limit.rlim_cur;
		flags |= opt == 'n' ? PAM_DISALLOW_NULL_AUTHTOK : opt == 's' ? (int)PAM_SILENT : 0;
	}
	openlog("host", LOG_NDELAY, LOG_AUTHPRIV); /* its descriptor is not the module's */
	if (argc - optind != 3 ||
	    pam_start_confdir(argv[optind + 1], argv[optind + 2], &conv, argv[optind], &pamh) != PAM_SUCCESS)
		return 2;
	pam_set_item(pamh, PAM_FAIL_DELAY, (const void *)no_delay);
	if (getenv("RHOST") != NULL)
		pam_set_item(pamh, PAM_RHOST, getenv("RHOST"));
	if (getenv("TTY") != NULL)
		pam_set_item(pamh, PAM_TTY, getenv("TTY"));
	setrlimit(RLIMIT_NOFILE, &limit);
	if (!forks) {
		status = authenticate(pamh, flags);
	} else if (fork() == 0) {
		_exit(authenticate(pamh, flags));
	} else {
		wait(&status);
		status = WIFEXITED(status) ? WEXITSTATUS(status) : 3;
	}
	pam_end(pamh, PAM_SUCCESS);
	return status;
}
