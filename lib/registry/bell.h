/* bide_fd stays the same when the live file is replaced.  Under bide->lock. */
#ifndef BIDE_BELL_H
#define BIDE_BELL_H

struct bide;

void bell_move(struct bide *b);
void bell_close(struct bide *b);

#endif
