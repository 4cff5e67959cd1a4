/* Prints the progress, messages and summary of replay and work. */
#ifndef BIDE_CLI_REPLAY_PRINT_H
#define BIDE_CLI_REPLAY_PRINT_H

#include "replay.h"

/* Returns how many pieces are being processed. */
uint32_t replay_active(const struct replay *r);

/* Prints, or clears, the line on a terminal that shows the progress. */
void replay_progress(struct replay *r);
void replay_clear(struct replay *r);

/* Prints "deferred ID of POLICY: TEXT" on stderr, over the progress line. */
void replay_say(struct replay *r, const struct piece *p, const char *text);

/* Prints the summary, or the error `rc`.  Returns the exit status. */
int replay_report(struct replay *r, bool as_json, int rc);

#endif
