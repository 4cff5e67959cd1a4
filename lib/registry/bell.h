/* The descriptor of bide_fd.  Both under b->lock. */
#ifndef BIDE_BELL_H
#define BIDE_BELL_H

struct bide;

/* Lets the descriptor follow the bell of the present live file. */
void bell_move(struct bide *b);
/* Closes the descriptor; the next bide_fd makes another. */
void bell_close(struct bide *b);

#endif
