/* Fetches a URL under the policy `fetch`, with libcurl: fetch URL.  The answer
 * goes to standard output. */
#include <bide_curl.h>

#include <stdio.h>
#include <stdlib.h>

/* Drops what a failed attempt has received. */
static void
drop_answer(CURL *easy, const struct bide_attempt *attempt, void *answer)
{
    (void)easy, (void)attempt;
    rewind(answer);
}

int
main(int argc, char **argv)
{
    enum bide_verdict verdict = BIDE_UNFINISHED;
    CURL *easy = curl_easy_init();
    struct bide_policy *policy;
    struct bide_call call;
    struct bide *bide;
    char *text, name[64];
    size_t length;
    FILE *answer = open_memstream(&text, &length);

    if (argc == 2 && easy && answer && bide_open(NULL, 0, &bide) == 0) {
        bide_declare(bide, "[fetch]\nattempts = 3\nretry_on = transient\n");
        curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
        if (bide_lookup(bide, "fetch", NULL, &policy) == 0) {
            bide_call_init(&call);
            verdict =
                bide_curl_perform(&call, policy, easy, drop_answer, answer);
            bide_outcome_name(bide_call_result(&call)->outcome, name,
                              sizeof(name));
            fprintf(stderr, "%s after %u attempts: %s\n",
                    bide_verdict_name(verdict),
                    bide_call_result(&call)->attempts, name);
        }
        bide_close(bide);
    }
    if (answer && fclose(answer) == 0 && verdict == BIDE_SUCCEEDED) {
        fwrite(text, 1, length, stdout);
    }
    free(answer ? text : NULL);
    curl_easy_cleanup(easy);
    return verdict != BIDE_SUCCEEDED;
}
