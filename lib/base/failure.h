/* Keeps the facts of this thread's last failure.  The rooms record and admin
 * fill them in; the program that reports the failure writes the message. */
#ifndef BIDE_FAILURE_H
#define BIDE_FAILURE_H

#include <stdint.h>

enum failure_kind {
    FAILURE_NONE,          /* nothing failed yet */
    FAILURE_PLAIN,         /* rc says it all */
    FAILURE_STORE,         /* path, words: the registry's files */
    FAILURE_HISTORY,       /* path, words: history.mdb could not be read */
    FAILURE_RECORDING,     /* words: history.mdb could not be written */
    FAILURE_CREATE,        /* words: no registry can be made there */
    FAILURE_NO_POLICY,     /* name, near */
    FAILURE_DELETED,       /* name, version, who: the policy was deleted; near:
                              by a rename to this name */
    FAILURE_NO_VERSION,    /* name */
    FAILURE_FIRST_VERSION, /* name, version: there is none before it */
    FAILURE_NO_LAYER,      /* name, wanted: no layer of it is in force */
    FAILURE_VERSION,       /* name, wanted, version, who, when_ns: the version
                              in force is not the wanted one; 0: there
                              is no such policy */
    FAILURE_TEXT,          /* name, version: its text is damaged */
    FAILURE_RULES,         /* name: its version in force is not valid */
    FAILURE_UNUSED,        /* name, scope: its live state cannot be reset */
};

/* Texts that do not apply are "", numbers 0. */
struct failure {
    enum failure_kind kind;
    int rc; /* a BIDE_E code */
    uint32_t version, wanted;
    uint64_t when_ns; /* of `version`, CLOCK_REALTIME */
    char name[256], scope[64], near[64], who[256];
    char path[1024];
    char denied[1024]; /* BIDE_EPERM: the file that may not be used, if known */
    char words[1024];  /* the store's own: what failed and, after a line break,
                          what to do */
};

/* Begins the facts of a failure; the caller fills in the others.  `name` may be
 * NULL. */
struct failure *failure_begin(enum failure_kind kind, int rc, const char *name);

/* Keeps the path of a file that may not be used, for the next failure. */
void failure_deny(const char *path);
const char *failure_denied(void); /* "": unknown */

/* Keep a whole failure and return rc.  failure_of_store() with rc 0 keeps
 * nothing. */
int failure_plain(int rc);
int failure_at(enum failure_kind kind, int rc, const char *path,
               const char *words);
int failure_of_store(int rc, const char *dir, const char *words);

/* Returns the last failure of this thread; never NULL. */
const struct failure *failure_last(void);

#endif
