#include "options.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* The value of word if it is "name=value", else NULL. */
static const char *value_of(const char *word, const char *name)
{
	size_t n = strlen(name);

	return strncmp(word, name, n) == 0 && word[n] == '=' ? word + n + 1 : NULL;
}

static bool read_path(const char *v, const char **path)
{
	*path = v;
	return v[0] == '/' && strlen(v) < sizeof ((struct sockaddr_un *)0)->sun_path;
}

static bool read_seconds(const char *v, int *seconds)
{
	int n = 0;

	for (; *v >= '0' && *v <= '9' && n <= KSD_MAX_TIMEOUT; v++)
		n = n * 10 + (*v - '0');
	*seconds = n;
	return *v == '\0' && n >= 1 && n <= KSD_MAX_TIMEOUT;
}

/* One of two words; the first is the strict one. */
static bool read_choice(const char *v, const char *strict, const char *lenient, bool *is_lenient)
{
	*is_lenient = strcmp(v, lenient) == 0;
	return *is_lenient || strcmp(v, strict) == 0;
}

/* Reads one word. *seen has a bit for each option that was there before. */
static bool read_option(const char *word, struct ksd_options *o, unsigned *seen)
{
	const char *v;
	unsigned bit;
	bool good;

	if ((v = value_of(word, "socket")) != NULL)
		bit = 1, good = read_path(v, &o->socket);
	else if ((v = value_of(word, "timeout")) != NULL)
		bit = 2, good = read_seconds(v, &o->timeout);
	else if ((v = value_of(word, "unenrolled")) != NULL)
		bit = 4, good = read_choice(v, "deny", "ignore", &o->ignore_unenrolled);
	else if ((v = value_of(word, "fail")) != NULL)
		bit = 8, good = read_choice(v, "closed", "open", &o->ignore_unavailable);
	else if ((v = value_of(word, "no_tty")) != NULL)
		bit = 16, good = read_choice(v, "deny", "ignore", &o->ignore_no_tty);
	else
		bit = 32, good = o->debug = strcmp(word, "debug") == 0;
	good = good && (*seen & bit) == 0;
	*seen |= bit;
	return good;
}

const char *ksd_parse_options(int argc, const char **argv, struct ksd_options *o)
{
	unsigned seen = 0;

	*o = (struct ksd_options){.socket = "/run/ksd/login.sock", .timeout = 120};
	for (int i = 0; i < argc; i++) {
		if (!read_option(argv[i], o, &seen)) {
			*o = (struct ksd_options){0};
			return argv[i];
		}
	}
	return NULL;
}
