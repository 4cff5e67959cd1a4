/* Fetches a URL many times at once, in one thread, with the multi interface of
 * libcurl: fetch_many URL COUNT.  Prints how the transfers ended.  SIGTERM
 * cancels those in progress. */
#include <bide_curl.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct bide_curl_multi transfers;
static volatile sig_atomic_t is_stopped;
static unsigned ended[BIDE_CANCELLED + 1]; /* by verdict */

static void
stop(int signal)
{
    (void)signal;
    is_stopped = 1;
    curl_multi_wakeup(transfers.multi);
}

static size_t
drop_answer(char *bytes, size_t size, size_t count, void *arg)
{
    (void)bytes, (void)arg;
    return size * count;
}

static void
count_transfer(struct bide_loop_call *c, const struct bide_result *result)
{
    struct bide_curl_transfer *t = (struct bide_curl_transfer *)c;

    ended[result->verdict]++;
    curl_easy_cleanup(t->easy);
    free(t);
}

static void
start_transfer(struct bide_policy *policy, const char *url)
{
    struct bide_curl_transfer *t = calloc(1, sizeof(*t));

    if (t) {
        t->easy = curl_easy_init();
        t->call.done = count_transfer;
        curl_easy_setopt(t->easy, CURLOPT_URL, url);
        curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, drop_answer);
        bide_curl_start(&transfers, t, policy);
    }
}

int
main(int argc, char **argv)
{
    struct bide_policy *policy;
    struct bide *bide;

    if (argc != 3 || bide_open(NULL, 0, &bide) ||
        bide_lookup(bide, "fetch", NULL, &policy) ||
        bide_curl_init(&transfers, bide)) {
        return 2;
    }
    signal(SIGTERM, stop);
    for (int i = 0; i < atoi(argv[2]); i++) {
        start_transfer(policy, argv[1]);
    }
    while (!is_stopped && bide_curl_turn(&transfers, -1) > 0) {
    }
    signal(SIGTERM, SIG_IGN); /* it uses what is freed now */
    bide_curl_close(&transfers);
    for (int v = BIDE_SUCCEEDED; v <= BIDE_CANCELLED; v++) {
        if (ended[v]) {
            printf("%u %s\n", ended[v], bide_verdict_name(v));
        }
    }
    bide_close(bide);
    return ended[BIDE_SUCCEEDED] == 0;
}
