/* The file that the test and the library fail.so both map. */
#ifndef TESTS_FAULTS_FAIL_H
#define TESTS_FAULTS_FAIL_H

#include <stdatomic.h>

/* name of a kind, error */
#define FAIL_KINDS(KIND)   \
    KIND(memory, ENOMEM)   \
    KIND(open, EMFILE)     \
    KIND(read, EIO)        \
    KIND(write, ENOSPC)    \
    KIND(sync, EIO)        \
    KIND(map, ENOMEM)      \
    KIND(truncate, ENOSPC) \
    KIND(rename, EIO)      \
    KIND(link, EACCES)     \
    KIND(unlink, EACCES)   \
    KIND(stat, EIO)        \
    KIND(lock, ENOLCK)     \
    KIND(directory, EACCES)

enum fail_kind {
#define KIND(name, error) FAIL_##name,
    FAIL_KINDS(KIND)
#undef KIND
        FAIL_KIND_COUNT
};

struct fail {
    int kind;
    long nth;           /* the first call that fails; 0: none */
    int later;          /* all later ones fail too */
    _Atomic long calls; /* of that kind, since the process began */
};

#define FAIL_FILE "BIDE_TEST_FAIL" /* environment: the path of the file */

#endif
