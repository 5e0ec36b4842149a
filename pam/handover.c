#define _GNU_SOURCE
#include "handover.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tty.h"

static const char *const end_words[KSD_ENDS] = {
	[KSD_END_FAILED] = "error",           [KSD_END_NO_TTY] = "no-tty",
	[KSD_END_NO_SOCKET] = "no-socket",    [KSD_END_NOT_LISTENING] = "connection-refused",
	[KSD_END_STRANGER] = "wrong-server",  [KSD_END_HELLO] = "unsendable",
	[KSD_END_TIMEOUT] = "no-answer",      [KSD_END_EOF] = "broken-off",
	[KSD_END_MALFORMED] = "malformed",    [KSD_END_VERDICT] = "verdict",
};

const char *ksd_outcome_word(struct ksd_outcome o)
{
	if (o.end == KSD_END_VERDICT)
		return ksd_code_word(o.code);
	return end_words[o.end < KSD_ENDS ? o.end : KSD_END_FAILED];
}

static struct ksd_outcome ended(enum ksd_end end)
{
	return (struct ksd_outcome){.end = end};
}

static struct ksd_outcome failed(void)
{
	return (struct ksd_outcome){.end = KSD_END_FAILED, .error = errno};
}

/* Milliseconds on a clock that nobody can set. */
static int64_t now_ms(void)
{
	struct timespec t = {0};

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Milliseconds until the deadline, 0 if it is over. */
static int left_ms(int64_t deadline)
{
	int64_t left = deadline - now_ms();

	return left > 0 ? (int)left : 0;
}

/*
 * Lets the next connect or send block until the deadline and no longer. (On a
 * Unix socket poll cannot wait for a place in the listener's queue; this can.)
 */
static bool arm(int fd, int64_t deadline)
{
	int left = left_ms(deadline);
	struct timeval tv = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};

	errno = ETIMEDOUT;
	return left > 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) == 0;
}

/*
 * Only two errors of connect say that there is no daemon, and neither can be
 * brought about by who started the host: no file, and nobody behind it.
 */
static struct ksd_outcome connect_error(void)
{
	switch (errno) {
	case ENOENT:
		return ended(KSD_END_NO_SOCKET);
	case ECONNREFUSED:
		return ended(KSD_END_NOT_LISTENING);
	case EAGAIN:
	case ETIMEDOUT:
		return ended(KSD_END_TIMEOUT);
	}
	return failed();
}

/* Once connected, no error says that there is no daemon. */
static struct ksd_outcome talk_error(void)
{
	switch (errno) {
	case EAGAIN:
	case ETIMEDOUT:
		return ended(KSD_END_TIMEOUT);
	case EPIPE:
	case ECONNRESET:
		return ended(KSD_END_EOF);
	}
	return failed();
}

static bool connect_to(int fd, const char *path, int64_t deadline)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t n = strlen(path);

	errno = ENAMETOOLONG;
	if (n >= sizeof to.sun_path)
		return false;
	memcpy(to.sun_path, path, n + 1);
	while (arm(fd, deadline)) {
		if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
			return true;
		if (errno != EINTR)
			return false;
	}
	return false;
}

/* Sends the packet with the terminal's descriptor beside it. */
static bool send_hello(int fd, const struct ksd_handover *h, int64_t deadline)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof h->tty)];
	} control;
	struct iovec iov = {.iov_base = (void *)h->hello, .iov_len = h->hello_len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;
	ssize_t sent;

	memset(&control, 0, sizeof control);
	m.msg_control = &control;
	m.msg_controllen = sizeof control.space;
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof h->tty);
	memcpy(CMSG_DATA(c), &h->tty, sizeof h->tty);
	do {
		if (!arm(fd, deadline))
			return false;
		sent = sendmsg(fd, &m, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)h->hello_len;
}

/* Waits for a packet: its whole length, which may be beyond n; 0 at the end. */
static ssize_t receive(int fd, char *packet, size_t n, int64_t deadline)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t got;

	do {
		int left = left_ms(deadline);
		int ready = left > 0 ? poll(&p, 1, left) : 0;

		if (ready == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		got = -1;
		if (ready > 0)
			got = recv(fd, packet, n, MSG_DONTWAIT | MSG_TRUNC);
	} while (got < 0 && (errno == EINTR || errno == EAGAIN));
	return got;
}

/* How it ended, with the modes that the daemon may have left the terminal in. */
static struct ksd_outcome left_in(unsigned modes, struct ksd_outcome o)
{
	o.modes = modes;
	return o;
}

/* Relays texts until the verdict. The first verdict counts, nothing after it is read. */
static struct ksd_outcome relay(int fd, const struct ksd_handover *h, char packet[KSD_MAX_PACKET], int64_t deadline)
{
	unsigned modes = 0;

	for (;;) {
		ssize_t n = receive(fd, packet, KSD_MAX_PACKET, deadline);
		struct ksd_reply r;

		if (n < 0)
			return left_in(modes, talk_error());
		if (n == 0)
			return left_in(modes, ended(KSD_END_EOF));
		r = ksd_decode_reply(packet, (size_t)n);
		switch (r.kind) {
		case KSD_TEXT:
			h->text(h->arg, r.is_error, r.text);
			break;
		case KSD_MODE:
			modes = ksd_modes_with(modes, r.mode);
			break;
		case KSD_VERDICT:
			return (struct ksd_outcome){.end = KSD_END_VERDICT, .code = r.code};
		case KSD_MALFORMED:
		default:
			return left_in(modes, ended(KSD_END_MALFORMED));
		}
	}
}

static struct ksd_outcome converse(int fd, const struct ksd_handover *h, int64_t deadline)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof peer;
	char packet[KSD_MAX_PACKET];
	struct ksd_outcome o;

	if (!connect_to(fd, h->socket, deadline))
		return connect_error();
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || len != sizeof peer)
		return failed();
	if (!h->is_daemon(h->arg, peer.uid))
		return ended(KSD_END_STRANGER);
	if (!send_hello(fd, h, deadline))
		return talk_error();
	o = relay(fd, h, packet, deadline);
	explicit_bzero(packet, sizeof packet);
	return o;
}

struct ksd_outcome ksd_hand_over(const struct ksd_handover *h)
{
	int64_t deadline = now_ms() + (int64_t)h->timeout * 1000;
	struct ksd_outcome o;
	int fd = ksd_above_stdio(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));

	if (fd < 0)
		return failed();
	o = converse(fd, h, deadline);
	close(fd);
	return o;
}
