/*
 * tty.h: the terminal that is handed to the daemon. The module never reads
 * from it and never changes it, except to put back what it found. It writes to
 * it only to undo what a daemon that is gone had switched on.
 */
#ifndef KSD_TTY_H
#define KSD_TTY_H

#include <termios.h>

/*
 * KSD_TTY_NONE is the fact that there is no terminal, and nothing else: a
 * caller that lets the descriptors run out must not look like that.
 */
enum ksd_tty_state { KSD_TTY_FAILED = 0, KSD_TTY_NONE, KSD_TTY_OPEN };

struct ksd_tty {
	int fd; /* -1 if it is not open */
	struct termios saved;
};

/*
 * Opens /dev/tty, else takes descriptor 0 if that is a terminal, and saves its
 * settings. KSD_TTY_FAILED leaves the reason in errno.
 */
enum ksd_tty_state ksd_tty_open(struct ksd_tty *t);

/*
 * Puts the saved settings back if they are not in force any more, writes undo
 * if the terminal takes it at once, and drops what was typed meanwhile; then
 * closes the descriptor. undo is a few bytes, "" where nothing is to be undone.
 */
void ksd_tty_close(struct ksd_tty *t, const char *undo);

/* Moves fd to 3 or above, where no host takes it for stdin, stdout or stderr. */
int ksd_above_stdio(int fd);

#endif
