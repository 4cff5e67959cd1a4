/* The agent of a host: it reads the pointer, applies the release that it gives
 * to this host, watches for changes, and keeps the host's record.  Services
 * never wait for it: without etcd the policies stay as they are. */
#ifndef BIDE_FLEET_AGENT_H
#define BIDE_FLEET_AGENT_H

#include "host.h"

struct agent_options {
    const char *dir; /* of the registry */
    const struct host_setup *setup;
    int signals;         /* readable: end */
    uint64_t report_ns;  /* the longest time without a record; jittered */
    const char *version; /* of the agent */
    /* Is told each event that people should know, once. */
    void (*told)(void *arg, const char *line);
    void *arg;
};

/* Runs until `signals` is readable, or, if the setup can never work, fails. */
int agent_run(const struct agent_options *o);

/* Checks that etcd has the fleet of `id`, which may be "": then its id is
 * stored there, and a fleet is made if there is none.  Fails as etcd_do(), and
 * with BIDE_EVERSION if it is another fleet. */
struct etcd;
int agent_fleet(struct etcd *e, const char *prefix, char id[33], char *why);

#endif
