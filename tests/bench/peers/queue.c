/* Other queues for deferred work.  Each is configured to write every piece to
 * the disk before it answers, as bide does. */
#include "queue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_sqlite3
#include <sqlite3.h>
#endif
#ifdef HAVE_hiredis
#include <hiredis/hiredis.h>
#endif
#include "race.h"

/* ---- a table of SQLite ---- */

#ifdef HAVE_sqlite3
struct sqlite_table {
    sqlite3 *db;
    sqlite3_stmt *put, *take, *done;
};

static sqlite3_stmt *
prepare_statement(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s;

    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) {
        race_stop("sqlite", sqlite3_errmsg(db));
    }
    return s;
}

static sqlite3 *
open_sqlite_db(const char *place)
{
    char path[4096];
    sqlite3 *db;

    snprintf(path, sizeof(path), "%s/queue.db", place);
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_busy_timeout(db, 600000) != SQLITE_OK ||
        sqlite3_exec(db,
                     "pragma journal_mode=wal; pragma synchronous=full;"
                     "create table if not exists queue(id integer primary key,"
                     " due integer, work blob);"
                     "create index if not exists by_due on queue(due)",
                     NULL, NULL, NULL) != SQLITE_OK) {
        race_stop("sqlite", sqlite3_errmsg(db));
    }
    return db;
}

static void *
sqlite_enter(const char *place)
{
    sqlite3_close(open_sqlite_db(place));
    return (void *)(uintptr_t)place;
}

static void *
sqlite_open_table(void *process)
{
    struct sqlite_table *t = calloc(1, sizeof(*t));

    if (!t) {
        race_stop("sqlite", "out of memory");
    }
    t->db = open_sqlite_db(process);
    t->put =
        prepare_statement(t->db, "insert into queue(due, work) values(?1, ?2)");
    /* A lease of 5 minutes: the work is due again after that. */
    t->take = prepare_statement(
        t->db, "update queue set due = ?1 + 300 where id = "
               "(select id from queue where due <= ?1"
               " order by due, id limit 1) returning id, work");
    t->done = prepare_statement(t->db, "delete from queue where id = ?1");
    return t;
}

static void
step_statement(struct sqlite_table *t, sqlite3_stmt *s, int expected)
{
    if (sqlite3_step(s) != expected) {
        race_stop("sqlite", sqlite3_errmsg(t->db));
    }
}

static void
sqlite_put(void *thread)
{
    struct sqlite_table *t = thread;

    sqlite3_bind_int64(t->put, 1, time(NULL));
    sqlite3_bind_blob(t->put, 2, queue_bytes, QUEUE_BYTES, SQLITE_STATIC);
    step_statement(t, t->put, SQLITE_DONE);
    sqlite3_reset(t->put);
}

static void
sqlite_do_one(void *thread)
{
    struct sqlite_table *t = thread;
    sqlite3_int64 id;

    sqlite3_bind_int64(t->take, 1, time(NULL));
    step_statement(t, t->take, SQLITE_ROW);
    id = sqlite3_column_int64(t->take, 0);
    step_statement(t, t->take, SQLITE_DONE); /* commits */
    sqlite3_reset(t->take);
    sqlite3_bind_int64(t->done, 1, id);
    step_statement(t, t->done, SQLITE_DONE);
    sqlite3_reset(t->done);
}

const struct queue_kind queue_sqlite = {
    "sqlite", sqlite_enter, sqlite_open_table, sqlite_put, sqlite_do_one};
#else
const struct queue_kind queue_sqlite = {"sqlite", NULL, NULL, NULL, NULL};
#endif

/* ---- a stream of redis ---- */

#ifdef HAVE_hiredis
/* Returns `r`; ends the program if it does not have that type. */
static redisReply *
check_reply(redisReply *r, int type)
{
    if (!r || r->type != type) {
        race_stop("redis",
                  r && r->type == REDIS_REPLY_ERROR ? r->str : "no answer");
    }
    return r;
}

static void *
redis_open(void *process)
{
    redisContext *c = redisConnectUnix(process);

    if (!c || c->err) {
        race_stop("redis", "cannot connect");
    }
    /* The reply is an error if the group exists; that is fine. */
    freeReplyObject(redisCommand(c, "XGROUP CREATE q g 0 MKSTREAM"));
    return c;
}

static void *
redis_enter(const char *place)
{
    redisFree(redis_open((void *)(uintptr_t)place));
    return (void *)(uintptr_t)place;
}

static void
redis_put(void *thread)
{
    freeReplyObject(check_reply(
        redisCommand(thread, "XADD q * w %b", queue_bytes, (size_t)QUEUE_BYTES),
        REDIS_REPLY_STRING));
}

static void
redis_do_one(void *thread)
{
    redisReply *r = check_reply(
        redisCommand(thread, "XREADGROUP GROUP g c COUNT 1 STREAMS q >"),
        REDIS_REPLY_ARRAY);
    /* The first stream, its entries, the first entry, its id. */
    const char *id = r->element[0]->element[1]->element[0]->element[0]->str;
    void *reply;

    redisAppendCommand(thread, "XACK q g %s", id);
    redisAppendCommand(thread, "XDEL q %s", id);
    freeReplyObject(r);
    for (int i = 0; i < 2; i++) {
        if (redisGetReply(thread, &reply) != REDIS_OK) {
            race_stop("redis", "no answer");
        }
        freeReplyObject(check_reply(reply, REDIS_REPLY_INTEGER));
    }
}

const struct queue_kind queue_redis = {"redis", redis_enter, redis_open,
                                       redis_put, redis_do_one};
#else
const struct queue_kind queue_redis = {"redis", NULL, NULL, NULL, NULL};
#endif

/* ---- beanstalkd ---- */

struct beanstalkd_connection {
    FILE *in, *out;
};

static void *
beanstalkd_open(void *process)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)race_number(process)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct beanstalkd_connection *t = calloc(1, sizeof(*t));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (!t || fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        !(t->in = fdopen(fd, "r")) || !(t->out = fdopen(dup(fd), "w"))) {
        race_stop("beanstalkd", strerror(errno));
    }
    return t;
}

static void *
beanstalkd_enter(const char *place)
{
    return (void *)(uintptr_t)place;
}

/* Sends the buffered request and reads an answer that must begin with the word
 * `expected`.  Returns the number after that word. */
static unsigned long
read_answer(struct beanstalkd_connection *t, const char *expected)
{
    size_t length = strlen(expected);
    char line[128];

    fflush(t->out);
    if (!fgets(line, sizeof(line), t->in) ||
        strncmp(line, expected, length) != 0) {
        race_stop("beanstalkd", "unexpected answer");
    }
    return strtoul(line + length, NULL, 10);
}

static void
beanstalkd_put(void *thread)
{
    struct beanstalkd_connection *t = thread;

    fprintf(t->out, "put 0 0 300 %d\r\n", QUEUE_BYTES);
    fwrite(queue_bytes, 1, QUEUE_BYTES, t->out);
    fputs("\r\n", t->out);
    read_answer(t, "INSERTED");
}

static void
beanstalkd_do_one(void *thread)
{
    char work[QUEUE_BYTES + 2];
    struct beanstalkd_connection *t = thread;
    unsigned long id;

    fputs("reserve\r\n", t->out);
    id = read_answer(t, "RESERVED");
    if (fread(work, 1, sizeof(work), t->in) != sizeof(work)) {
        race_stop("beanstalkd", "the work is truncated");
    }
    fprintf(t->out, "delete %lu\r\n", id);
    read_answer(t, "DELETED");
}

const struct queue_kind queue_beanstalkd = {"beanstalkd", beanstalkd_enter,
                                            beanstalkd_open, beanstalkd_put,
                                            beanstalkd_do_one};
