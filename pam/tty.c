#define _GNU_SOURCE
#include "tty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

int ksd_above_stdio(int fd)
{
	int high, error;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	error = errno;
	close(fd);
	errno = error;
	return high;
}

/* Descriptor 0 again, if it is a terminal that can be read and written. */
static enum ksd_tty_state open_stdin(struct ksd_tty *t)
{
	if (!isatty(STDIN_FILENO) || (fcntl(STDIN_FILENO, F_GETFL) & O_ACCMODE) != O_RDWR)
		return KSD_TTY_NONE;
	t->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return t->fd >= 0 ? KSD_TTY_OPEN : KSD_TTY_FAILED;
}

enum ksd_tty_state ksd_tty_open(struct ksd_tty *t)
{
	enum ksd_tty_state state = KSD_TTY_FAILED;

	memset(t, 0, sizeof *t);
	/*
	 * O_NONBLOCK is for the daemon, who gets this very file description: who
	 * owns the terminal could stop its output in the middle of a write, and
	 * would hold a thread of the daemon for as long as it likes.
	 */
	t->fd = ksd_above_stdio(open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
	if (t->fd >= 0)
		state = KSD_TTY_OPEN;
	else if (errno == ENXIO || errno == ENOENT)
		state = open_stdin(t);
	if (state != KSD_TTY_OPEN)
		return state;
	/*
	 * Drops what was typed ahead. As at every password prompt, this stops a
	 * host that runs in the background until it is brought to the front.
	 */
	tcflush(t->fd, TCIFLUSH);
	if (tcgetattr(t->fd, &t->saved) == 0)
		return KSD_TTY_OPEN;
	close(t->fd);
	t->fd = -1;
	return KSD_TTY_FAILED;
}

/* Writes a few bytes if they go through at once: nothing may hold the host here. */
static void write_at_once(int fd, const char *text)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	ssize_t written = 0;

	if (*text != '\0' && poll(&p, 1, 0) == 1 && p.revents == POLLOUT)
		written = write(fd, text, strlen(text));
	(void)written;
}

/*
 * With SIGTTOU blocked, so that a host which was sent to the background while
 * it waited mends the terminal instead of being stopped.
 */
static void restore(const struct ksd_tty *t, const char *undo)
{
	struct termios now;
	sigset_t ttou, before;
	bool same;

	memset(&now, 0, sizeof now);
	if (tcgetattr(t->fd, &now) != 0)
		return;
	same = memcmp(&now, &t->saved, sizeof now) == 0;
	if (same && *undo == '\0')
		return;
	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	if (sigprocmask(SIG_BLOCK, &ttou, &before) != 0)
		return;
	/* TCSANOW, because waiting for the output would wait for a Ctrl-S too. */
	if (!same)
		tcsetattr(t->fd, TCSANOW, &t->saved);
	write_at_once(t->fd, undo);
	tcflush(t->fd, TCIFLUSH);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

void ksd_tty_close(struct ksd_tty *t, const char *undo)
{
	if (t->fd < 0)
		return;
	restore(t, undo);
	close(t->fd);
	t->fd = -1;
}
