#include "top.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/open.h"
#include "base/array.h"
#include "base/clock.h"
#include "base/duration.h"
#include "cli/out/plot.h"
#include "cli/out/text.h"
#include "cli/view/figure.h"
#include "cli/view/guard.h"
#include "cli/watch/uncounted.h"
#include "policy/policy.h"
#include "rule/histogram.h"
#include "store/policies/record.h"

enum { SHARE_OF_TIME = 50, PLOT_ROWS = 24 };

/* ---- rows ---- */

static bool
is_chosen(const struct top *t, const char *name)
{
    return strpbrk(t->filter, "*?[") ? fnmatch(t->filter, name, 0) == 0
                                     : strstr(name, t->filter) != NULL;
}

static void
fill_row(struct top_row *to, struct list *list, const struct list_row *row)
{
    const struct admin_cell *c = row->count ? &row->count->cell : NULL;
    struct alarm_verdict v;

    if (c) {
        to->cell = *c;
        to->waiting = row->count->sleeping;
    }
    if (row->record) {
        strcpy(to->cell.name, row->record->name);
        to->version = row->record->version;
    }
    if (row->policy) {
        policy_summary(row->policy, to->rules, sizeof(to->rules));
        to->paused = row->policy->paused;
    }
    to->worst = row->worst;
    list_judge(row, &v);
    to->level = (int)v.level;
    to->since_ns = v.level ? list_since_ns(list, row) : 0;
    snprintf(to->why, sizeof(to->why), "%s%s", v.words,
             row->record ? "" : "not defined in the registry");
    for (size_t i = 0; c && !*v.words && i < c->now_outcome_count && i < 3;
         i++) {
        size_t used = strlen(to->why);

        snprintf(to->why + used, sizeof(to->why) - used, "%s%s %s",
                 used ? "  " : "", c->now_outcomes[i].name,
                 text_count(c->now_outcomes[i].count).text);
    }
}

/* Is list.add. */
static void
add_top_row(struct list *list, const struct list_row *row)
{
    struct top *t = list->arg;
    struct top_row *to;

    if (is_chosen(t, list_row_name(row))) {
        to = array_add(&t->rows, &t->count, sizeof(*to));
        if (to) {
            fill_row(to, list, row);
        }
    }
}

static int
compare_top_rows(const void *a, const void *b)
{
    const struct top_row *x = a, *y = b;

    return x->rank != y->rank ? (x->rank < y->rank ? 1 : -1)
                              : strcmp(x->cell.name, y->cell.name);
}

/* Ranks rows; those with a warning come before others with the same figure. */
void
top_sort(struct top *t)
{
    for (size_t i = 0; i < t->count; i++) {
        struct top_row *r = &t->rows[i];

        r->rank = t->by_name ? 0
                             : now_rank(&r->cell, t->sort, false) +
                                   1e-15 * (r->level % ALARM_UNKNOWN);
    }
    if (t->count > 0) {
        qsort(t->rows, t->count, sizeof(*t->rows), compare_top_rows);
    }
}

struct top_row *
top_selected(struct top *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (strcmp(t->rows[i].cell.name, t->selected) == 0) {
            return &t->rows[i];
        }
    }
    return t->count > 0 ? t->rows : NULL;
}

void
top_read(struct top *t)
{
    struct list list = {.add = add_top_row, .arg = t};
    struct top_row *rows = t->rows;
    size_t count = t->count;
    uint64_t begin = clock_monotonic_ns(), cpu = clock_cpu_ns();
    int rc = admin_open(t->dir, &list.registry);

    t->rows = NULL;
    t->count = 0;
    if (!t->trend.begun || begin - t->trend.step_ns >= TREND_STEP_NS) {
        trend_begin(&t->trend);
        list.counts.also = trend_add;
        list.counts.also_arg = &t->trend;
    }
    if (rc == 0) {
        rc = list_read(&list);
        if (rc == 0 && list.counts.also) {
            trend_finish(&t->trend, list.registry, begin);
        }
        list_free(&list);
        unrecorded_look(list.registry, t->unrecorded, sizeof(t->unrecorded));
        admin_close(list.registry);
    }
    snprintf(t->failure, sizeof(t->failure), "%s", rc ? bide_strerror(rc) : "");
    if (t->count == 0 && rc) {
        t->rows = rows;
        t->count = count;
    } else {
        free(rows);
    }
    top_sort(t);
    t->read_ns = clock_monotonic_ns();
    t->took_ns = clock_cpu_ns() - cpu;
}

int
top_wait_ms(const struct top *t)
{
    uint64_t wait_ns = t->took_ns * SHARE_OF_TIME, now = clock_monotonic_ns();

    wait_ns = wait_ns > 2000000000 ? wait_ns : 2000000000;
    wait_ns = wait_ns < 30000000000 ? wait_ns : 30000000000;
    return now - t->read_ns >= wait_ns
               ? 0
               : (int)((wait_ns - (now - t->read_ns)) / 1000000) + 1;
}

/* ---- output of commands ---- */

static void
run_child(const struct top *t, const char *const *words, int out)
{
    const char *argv[32] = {"bide", "--dir", t->dir};
    size_t n = 3;

    while (*words && n < 31) {
        argv[n++] = *words++;
    }
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    setenv("NO_COLOR", "1", 1);
    execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
    _exit(127);
}

int
top_run(const struct top *t, const char *const *words, struct draft *out)
{
    int fds[2], status = -1;
    char *line = NULL;
    size_t size = 0;
    FILE *from;
    pid_t pid;

    if (pipe(fds)) {
        return -1;
    }
    pid = fork();
    if (pid == 0) {
        run_child(t, words, fds[1]);
    }
    close(fds[1]);
    from = fdopen(fds[0], "r");
    while (from && getline(&line, &size, from) >= 0) {
        char *safe;

        line[strcspn(line, "\n")] = '\0';
        safe = text_safe(line);
        draft_text(out, safe ? safe : "");
        draft_text(out, "\n");
        free(safe);
    }
    free(line);
    if (from) {
        fclose(from);
    }
    return pid > 0 && TEMP_FAILURE_RETRY(waitpid(pid, &status, 0)) == pid &&
                   WIFEXITED(status)
               ? WEXITSTATUS(status)
               : -1;
}

/* ---- detail ---- */

/* Appends the latencies of succeeded attempts in the last minute, a bar for
 * each doubling. */
static void
draw_histogram(struct draft *out, const uint64_t *counts)
{
    uint64_t octave[HISTOGRAM_OCTAVES + 2] = {0}, most = 0;

    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        size_t at = (i + HISTOGRAM_STEPS - 1) / HISTOGRAM_STEPS;

        octave[at] += counts[i];
        most = octave[at] > most ? octave[at] : most;
    }
    draft_text(out, most > 0 ? "\n" : "  none\n");
    for (size_t i = 0; i < HISTOGRAM_OCTAVES + 2; i++) {
        char line[256];

        if (octave[i]) {
            int width = (int)(octave[i] * 40 / most);

            snprintf(line, sizeof(line), "  < %-8s %s %.*s\n",
                     duration_round(UINT64_C(1024) << i).text,
                     text_count(octave[i]).text, width > 0 ? width : 1,
                     "########################################");
            draft_text(out, line);
        }
    }
}

static int
draw_now(void *arg, const struct admin_cell *c)
{
    struct draft *out = arg;

    if (!c->is_sum) {
        return 0;
    }
    draft_text(out, "\nOutcomes of the last minute:");
    draft_text(out, c->now_outcome_count > 0 ? "" : "  none");
    for (size_t i = 0; i < c->now_outcome_count; i++) {
        if (c->now_outcomes[i].count > 0) {
            draft_text(out, "  ");
            draft_text(out, c->now_outcomes[i].name);
            draft_text(out, " ");
            draft_text(out, text_count(c->now_outcomes[i].count).text);
        }
    }
    draft_text(out, "\n\nLatency of succeeded attempts in the last minute:");
    draw_histogram(out, c->now_succeeded);
    draft_text(out, "\nSince the live state was created:");
    draft_text(out, c->stats.latency_calls.count > 0 ? "\n" : "  no calls\n");
    figure_calls(&c->stats, out);
    return 0;
}

void
top_read_detail(struct top *t)
{
    static const struct {
        const char *title, *words[6];
    } parts[] = {
        {"Now", {"list", NULL, "--scopes"}},
        {"Recorded, last ten minutes",
         {"stats", NULL, "--since", "10m", "--by", "minute"}},
        {"Waiting calls (of all policies)", {"calls", "--most", "10"}},
        {"Rules", {"show", NULL, "--resolved"}},
        {"Versions", {"log", NULL, "--most", "10"}},
    };
    struct draft out = {0};
    struct admin *registry;

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        const char *words[7] = {0};

        for (size_t k = 0; k < 6; k++) {
            words[k] = parts[i].words[k];
        }
        words[1] = words[1] ? words[1] : t->selected;
        draft_text(&out, i > 0 ? "\n== " : "== ");
        draft_text(&out, parts[i].title);
        draft_text(&out, " ==\n");
        top_run(t, words, &out);
        if (i == 0 && admin_open(t->dir, &registry) == 0) {
            admin_each_cell(registry, t->selected, ADMIN_NOW, draw_now, &out);
            admin_close(registry);
        }
    }
    free(t->detail);
    t->detail = out.failed ? NULL : out.bytes;
}
