/* A queue that keeps what it accepted: one of those that queue.c sets against
 * each other.  What must not fail stops the program (race_stop). */
#ifndef BENCH_QUEUE_H
#define BENCH_QUEUE_H

enum { QUEUE_BYTES = 500 };
extern char queue_bytes[QUEUE_BYTES];

struct queue_kind {
    const char *id;
    /* Once in each process: what its threads share.  `place` is a directory, or
     * the socket of a server. */
    void *(*enter)(const char *place);
    void *(*open)(void *process); /* once in each thread */
    void (*put)(void *thread);    /* returns when it is on the disk */
    void (*do_one)(void *thread); /* take one, and say that it is done */
};

extern const struct queue_kind queue_bide, queue_sqlite, queue_redis,
    queue_beanstalkd; /* enter NULL: built without */

#endif
