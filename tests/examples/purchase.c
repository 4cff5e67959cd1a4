/* An example: a service that sells things and runs its steps under policies.
 *
 * A sale has seven steps, each a request to another server.  Any of them may
 * fail.  The policy of the step (policies/purchase.ini), not this program, says
 * how often to retry, how long to wait and when to stop.  The consequence of a
 * failed step depends on its importance: without a payment the sale is aborted,
 * the confirmation is deferred, and the number for a statistic is dropped.
 *
 *   purchase --port N [--sales 20] [--rate 5] [--workers 4] [--scope NAME]
 *            [--say] [--json]
 *   purchase --port N --later < WORK
 *
 * --scope gives the payments a live state of their own, by the server that they
 * go to.  --say prints a line for each sale while the program runs; --json
 * prints one JSON object for each sale at the end instead of the table. --later
 * does one deferred step: `bide deferred replay STEP --exec 'purchase --port N
 * --later'`. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bide.h>
#include "http.h"

static const struct step {
    const char *policy; /* its rules */
    const char *path;   /* of the request */
} steps[] = {
    {"check_user_auth", "auth"},       {"check_goods_availability", "goods"},
    {"do_transaction", "payment"},     {"place_order", "order"},
    {"give_reward_to_user", "reward"}, {"send_confirmation_email", "email"},
    {"send_metrics", "metrics"},
};
enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

/* The rules for policies that the registry does not define: without a registry
 * sales go on. */
static const char declared[] = "[default]\n"
                               "attempts = 2\n"
                               "attempt_timeout = 1s\n"
                               "wait_initial = 100ms\n";

struct sale {
    int number;
    char story[256]; /* how it ended, in words */
    int retries;
    const char *aborted_at; /* NULL: confirmed */
};

static struct shop {
    int port, sales, workers;
    double rate;       /* sales a second */
    const char *scope; /* of the payments; NULL: none */
    int say, json, later;
    struct bide_policy *policy[STEPS];
    struct sale *sale;
    atomic_int next;
    struct timespec start;
} shop = {.sales = 20, .workers = 4, .rate = 5};

/* ---- a sale ---- */

/* Writes the path of a request: "/payment/17".  With the number of the sale it
 * is the same payment however often it is sent. */
struct request {
    char path[64];
};

/* Makes one attempt at a step; bide calls it as often as the policy allows. */
static struct bide_outcome
attempt_step(const struct bide_attempt *attempt, void *arg)
{
    const struct request *request = arg;
    struct http_answer answer;
    int error =
        http_post(shop.port, request->path, attempt->deadline_ns, &answer);

    if (error) {
        return bide_errno(error);
    }
    return bide_http(answer.status, answer.retry_after);
}

static void __attribute__((format(printf, 2, 3)))
append_story(struct sale *sale, const char *format, ...)
{
    size_t length = strlen(sale->story);
    va_list args;

    va_start(args, format);
    vsnprintf(sale->story + length, sizeof(sale->story) - length, format, args);
    va_end(args);
}

/* Runs a step.  Returns whether the sale can go on. */
static int
do_step(struct sale *sale, int i)
{
    struct request request;
    struct bide_work work = {.bytes = request.path, .type = "text/x-path"};
    const struct bide_result *result;
    struct bide_call call;
    char outcome[64];

    snprintf(request.path, sizeof(request.path), "/%s/%d", steps[i].path,
             sale->number);
    work.length = strlen(request.path);
    /* The work of a failed step is stored if its policy is postponable. */
    bide_call_init(&call);
    if (bide_call_set_work(&call, &work)) {
        append_story(sale, ", %s would be lost", steps[i].policy);
    }
    bide_call_run(&call, shop.policy[i], attempt_step, &request);
    result = bide_call_result(&call);
    sale->retries += result->attempts > 1 ? (int)result->attempts - 1 : 0;
    if (result->verdict == BIDE_SUCCEEDED) {
        return 1;
    }
    switch (result->end) {
    case BIDE_END_DEFERRED: /* it is stored, and will be done later */
        append_story(sale, ", %s later", steps[i].policy);
        return 1;
    case BIDE_END_NOT_STORED: /* a real shop would keep it elsewhere */
        append_story(sale, ", %s lost (%s)", steps[i].policy,
                     bide_strerror(result->defer_error));
        return 1;
    case BIDE_END_DROPPED:
        append_story(sale, ", without %s", steps[i].policy);
        return 1;
    default: /* aborted, or rejected */
        bide_outcome_name(result->outcome, outcome, sizeof(outcome));
        snprintf(sale->story, sizeof(sale->story), "aborted at %s: %s (%s)",
                 steps[i].policy, bide_reason_name(result->reason),
                 result->attempts > 0 ? outcome : "not tried");
        sale->aborted_at = steps[i].policy;
        return 0;
    }
}

static void
make_sale(struct sale *sale)
{
    snprintf(sale->story, sizeof(sale->story), "confirmed");
    for (int i = 0; i < STEPS && do_step(sale, i); i++) {
    }
    if (shop.say) {
        printf("sale %3d  %-9s  %s\n", sale->number,
               sale->retries > 0 ? "retried" : "", sale->story);
        fflush(stdout);
    }
}

/* ---- many sales ---- */

static void
sleep_until_sale(int i)
{
    double s = i / shop.rate + shop.start.tv_nsec / 1e9;
    struct timespec then = {.tv_sec = shop.start.tv_sec + (time_t)s};

    then.tv_nsec = (long)((s - (double)(time_t)s) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, NULL) ==
           EINTR) {
    }
}

static void *
run_worker(void *arg)
{
    (void)arg;
    for (int i; (i = atomic_fetch_add(&shop.next, 1)) < shop.sales;) {
        shop.sale[i].number = i + 1;
        sleep_until_sale(i);
        make_sale(&shop.sale[i]);
    }
    return NULL;
}

static int
make_all_sales(void)
{
    pthread_t worker[64];
    int started = 0;

    clock_gettime(CLOCK_MONOTONIC, &shop.start);
    while (started < shop.workers &&
           pthread_create(&worker[started], NULL, run_worker, NULL) == 0) {
        started++;
    }
    for (int i = 0; i < started; i++) {
        pthread_join(worker[i], NULL);
    }
    return started > 0 ? 0 : -1;
}

/* ---- results ---- */

static void
print_json(void)
{
    for (int i = 0; i < shop.sales; i++) {
        const struct sale *s = &shop.sale[i];

        printf("{\"sale\":%d,\"confirmed\":%s,\"aborted_at\":%s%s%s,"
               "\"retries\":%d,\"story\":\"%s\"}\n",
               s->number, s->aborted_at ? "false" : "true",
               s->aborted_at ? "\"" : "",
               s->aborted_at ? s->aborted_at : "null",
               s->aborted_at ? "\"" : "", s->retries, s->story);
    }
}

/* Sales with the same end share a row of the table. */
static void
print_table(void)
{
    char *shown = calloc((size_t)shop.sales, 1);

    for (int i = 0; shown && i < shop.sales; i++) {
        const char *story = shop.sale[i].story;
        int count = 0;

        if (shown[i]) {
            continue;
        }
        for (int j = i; j < shop.sales; j++) {
            count += strcmp(shop.sale[j].story, story) == 0;
        }
        printf("%4d  %s\n      sales", count, story);
        for (int j = i; j < shop.sales; j++) {
            if (strcmp(shop.sale[j].story, story) == 0) {
                printf(" %d", shop.sale[j].number);
                shown[j] = 1;
            }
        }
        printf("\n");
    }
    free(shown);
}

/* ---- deferred steps ---- */

enum { LATER_FAILED = 75 }; /* EX_TEMPFAIL: exit.75 for the policy */

/* The policy says how often and when a deferred step is tried. */
static int
do_deferred_step(void)
{
    struct request request;
    struct http_answer answer;
    size_t length = fread(request.path, 1, sizeof(request.path) - 1, stdin);

    request.path[length] = '\0';
    if (*request.path != '/') {
        fprintf(stderr, "purchase: standard input is not a deferred step\n");
        return 1;
    }
    return http_post(shop.port, request.path, UINT64_MAX, &answer) == 0 &&
                   answer.status < 300
               ? 0
               : LATER_FAILED;
}

/* ---- main ---- */

static int
open_policies(struct bide **bide)
{
    int rc = bide_open(NULL, 0, bide);

    if (rc == 0 && (rc = bide_declare(*bide, declared)) == BIDE_EINPUT) {
        fprintf(stderr, "purchase: %s\n", bide_declare_error());
    }
    for (int i = 0; rc == 0 && i < STEPS; i++) {
        int pays = strcmp(steps[i].path, "payment") == 0;

        rc = bide_lookup(*bide, steps[i].policy, pays ? shop.scope : NULL,
                         &shop.policy[i]);
    }
    if (rc) {
        fprintf(stderr, "purchase: %s\n", bide_strerror(rc));
    }
    return rc;
}

static int
read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"sales", required_argument, NULL, 'n'},
        {"rate", required_argument, NULL, 'r'},
        {"workers", required_argument, NULL, 'w'},
        {"scope", required_argument, NULL, 's'},
        {"say", no_argument, &shop.say, 1},
        {"json", no_argument, &shop.json, 1},
        {"later", no_argument, &shop.later, 1},
        {NULL, 0, NULL, 0},
    };

    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'p':
            shop.port = atoi(optarg);
            break;
        case 'n':
            shop.sales = atoi(optarg);
            break;
        case 'r':
            shop.rate = atof(optarg);
            break;
        case 'w':
            shop.workers = atoi(optarg);
            break;
        case 's':
            shop.scope = optarg;
            break;
        case '?':
            return -1;
        }
    }
    return shop.port > 0 && shop.sales > 0 && shop.rate > 0 &&
                   shop.workers > 0 && shop.workers <= 64
               ? 0
               : -1;
}

int
main(int argc, char **argv)
{
    struct bide *bide = NULL;
    int rc = 1;

    if (read_options(argc, argv) < 0) {
        fputs("usage: purchase --port N [--sales N] [--rate PER_SECOND] "
              "[--workers N]\n"
              "       [--scope NAME] [--say] [--json]\n"
              "       purchase --port N --later < WORK\n",
              stderr);
        return 2;
    }
    if (shop.later) {
        return do_deferred_step();
    }
    shop.sale = calloc((size_t)shop.sales, sizeof(*shop.sale));
    if (shop.sale && open_policies(&bide) == 0 && make_all_sales() == 0) {
        if (shop.json) {
            print_json();
        } else {
            print_table();
        }
        rc = 0;
    }
    bide_close(bide);
    free(shop.sale);
    return rc;
}
