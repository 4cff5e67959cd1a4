/* peer_lookup NAMES DIR SOCKET ROUNDS N: measures other ways to read a record
 * of 500 bytes by name: SQLite, redis, reading an INI file again, stat() of a
 * file. DIR is for the files; SOCKET is that of a redis server, "-" for none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_sqlite3
#include <sqlite3.h>
#endif
#ifdef HAVE_hiredis
#include <hiredis/hiredis.h>
#endif
#ifdef HAVE_inih
#include <ini.h>
#endif
#include "race.h"

static char **names;
static long name_count;
static char value[501];
static struct racer racers[8];
static size_t racer_count;

static const char *
random_name(void)
{
    return names[random() % name_count];
}

static void
add_racer(const char *id, void (*run)(void *, long), void *arg, double divide)
{
    racers[racer_count++] =
        (struct racer){.id = id, .run = run, .arg = arg, .divide = divide};
}

#ifdef HAVE_sqlite3
static void
sqlite_get(void *arg, long n)
{
    while (n-- > 0) {
        sqlite3_bind_text(arg, 1, random_name(), -1, SQLITE_STATIC);
        if (sqlite3_step(arg) != SQLITE_ROW) {
            race_stop("sqlite", "a record is missing");
        }
        sqlite3_reset(arg);
    }
}

static sqlite3_stmt *
prepare_statement(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s;

    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) {
        race_stop("sqlite", sqlite3_errmsg(db));
    }
    return s;
}

static void
add_sqlite(const char *path)
{
    sqlite3_stmt *put;
    sqlite3 *db;

    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db,
                     "pragma journal_mode=wal;"
                     "create table policy(name text primary key, rules text)"
                     " without rowid; begin",
                     NULL, NULL, NULL) != SQLITE_OK) {
        race_stop("sqlite", "cannot make the table");
    }
    put = prepare_statement(db, "insert into policy values(?, ?)");
    for (long i = 0; i < name_count; i++) {
        sqlite3_bind_text(put, 1, names[i], -1, SQLITE_STATIC);
        sqlite3_bind_text(put, 2, value, -1, SQLITE_STATIC);
        sqlite3_step(put);
        sqlite3_reset(put);
    }
    sqlite3_finalize(put);
    sqlite3_exec(db, "commit", NULL, NULL, NULL);
    add_racer("sqlite", sqlite_get,
              prepare_statement(db, "select rules from policy where name = ?"),
              1);
}
#endif

#ifdef HAVE_hiredis
static void
redis_get(void *arg, long n)
{
    for (n = n / 20 + 1; n > 0; n--) {
        redisReply *r = redisCommand(arg, "GET %s", random_name());

        if (!r || r->type != REDIS_REPLY_STRING) {
            race_stop("redis", "a record is missing");
        }
        freeReplyObject(r);
    }
}

static void
add_redis(const char *path, long n)
{
    redisContext *c = redisConnectUnix(path);
    void *reply;

    if (!c || c->err) {
        race_stop("redis", "cannot connect");
    }
    for (long i = 0; i < name_count; i++) {
        redisAppendCommand(c, "SET %s %s", names[i], value);
    }
    for (long i = 0; i < name_count; i++) {
        if (redisGetReply(c, &reply) != REDIS_OK) {
            race_stop("redis", "cannot store");
        }
        freeReplyObject(reply);
    }
    add_racer("redis", redis_get, c, (double)(n / 20 + 1) / (double)n);
}
#endif

#ifdef HAVE_inih
static int
add_value_length(void *user, const char *section, const char *key,
                 const char *text)
{
    (void)section;
    (void)key;
    *(size_t *)user += strlen(text);
    return 1;
}

/* Reads the whole file again, as a service without a registry would. */
static void
read_ini(void *arg, long n)
{
    size_t seen = 0;

    for (n = n / 100 + 1; n > 0; n--) {
        if (ini_parse(arg, add_value_length, &seen)) {
            race_stop(arg, "cannot be read");
        }
    }
}

static void
add_ini(const char *id, char *path, long sections, long n)
{
    FILE *f = fopen(path, "w");

    if (!f) {
        race_stop(path, "cannot be written");
    }
    for (long i = 0; i < sections && i < name_count; i++) {
        fprintf(f,
                "[%s]\nattempts = 3\nwait = exponential\n"
                "wait_initial = 100ms\nwait_max = 10s\n",
                names[i]);
    }
    fclose(f);
    add_racer(id, read_ini, path, (double)(n / 100 + 1) / (double)n);
}
#endif

static void
stat_file(void *arg, long n)
{
    struct stat s;

    while (n-- > 0) {
        if (stat(arg, &s)) {
            race_stop(arg, "is gone");
        }
    }
}

int
main(int argc, char **argv)
{
    long n;

    if (argc != 6) {
        race_stop("usage", "peer_lookup NAMES DIR SOCKET ROUNDS N");
    }
    names = race_lines(argv[1], &name_count);
    n = race_number(argv[5]);
    memset(value, 'x', sizeof(value) - 1);
    if (chdir(argv[2])) {
        race_stop(argv[2], "no such directory");
    }
    add_racer("stat", stat_file, argv[1], 1);
#ifdef HAVE_sqlite3
    add_sqlite("peer.sqlite");
#endif
#ifdef HAVE_hiredis
    if (strcmp(argv[3], "-")) {
        add_redis(argv[3], n);
    }
#endif
#ifdef HAVE_inih
    add_ini("ini_10", "10.ini", 10, n);
    add_ini("ini_1000", "1000.ini", 1000, n);
#endif
    race(racers, racer_count, (int)race_number(argv[4]), n);
    return 0;
}
