/* The parts that all commands of a fleet use. */
#ifndef BIDE_CLI_FLEET_H
#define BIDE_CLI_FLEET_H

#include "cli/command/command.h"
#include "fleet/document.h"
#include "fleet/etcd.h"
#include "fleet/host.h"
#include "fleet/stage.h"

struct fleet {
    struct host_setup setup;
    struct etcd *etcd;
    char why[DOCUMENT_WHY]; /* of the last failure of lib/fleet */
    struct stage_look look;
    uint64_t now_ns; /* when that was read, CLOCK_REALTIME */
};

/* Reads the setup of this host, opens etcd, and checks that it is this fleet.
 * Returns 0, or the exit status after an error message.  fleet_close() in any
 * case. */
int fleet_open(struct command_line *line, struct fleet *out);
/* Reads also the pointer and the hosts. */
int fleet_look(struct command_line *line, struct fleet *out);
void fleet_close(struct fleet *f);

/* Prints "WHAT: " and f->why.  Returns the exit status; 0 if `rc` is 0. */
int fleet_say(const struct fleet *f, int rc, const char *what);

/* Copies a text of the command line; NULL is "".  Returns 0 or the exit status.
 */
int fleet_take(const char *what, const char *text, char *to, size_t size);

/* Adds the members of a document to JSON, those that are empty as well. */
struct json;
void fleet_put(struct json *j, const struct field *fields, const void *from);

/* Writes the stage: "web-1, 10 % of hosts; then 50%,100%, every 10m". */
struct fleet_words {
    char text[700];
};
struct fleet_words fleet_stage(const struct pointer *p);

/* follow DIR: mirrors a directory of files until a signal. */
int follow_directory(struct command_line *line, int signals);

#endif
