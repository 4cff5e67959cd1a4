/* A durable queue: the interface of the queues that queue.c compares.  If an
 * operation fails, the program ends (race_stop). */
#ifndef BENCH_QUEUE_H
#define BENCH_QUEUE_H

enum { QUEUE_BYTES = 500 };
extern char queue_bytes[QUEUE_BYTES];

struct queue_kind {
    const char *id;
    /* Called once in each process; returns the state that its threads share.
     * `place` is a directory, or the socket or port of a server.  NULL if the
     * program was built without this queue. */
    void *(*enter)(const char *place);
    /* Called once in each thread with that state; returns its connection. */
    void *(*open)(void *process);
    void (*put)(void *thread);    /* returns when the work is on the disk */
    void (*do_one)(void *thread); /* takes one piece and acknowledges it */
};

extern const struct queue_kind queue_bide, queue_sqlite, queue_redis,
    queue_beanstalkd;

#endif
