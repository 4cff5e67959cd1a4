/* Fills in the templates of doctor/finding_kinds.h. */
#include "findings.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <bide.h>
#include "base/duration.h"
#include "cli/out/text.h"

static const struct {
    const char *what, *run, *to_do;
} words[FINDING_COUNT] = {
#define FINDING(id, level, area, what, command, to_do) \
    [FINDING_##id] = {what, command, to_do},
#include "doctor/finding_kinds.h"
};

struct fact {
    const char *key;
    char text[2100];
};
enum { FACTS = 13 };

static void
write_facts(const struct doctor_finding *f, const char *bide, bool shell,
            struct fact facts[FACTS])
{
    char quoted[4 * sizeof(f->path) + 8];
    int i = 0;

#define FACT(name, ...)    \
    facts[i].key = (name); \
    snprintf(facts[i++].text, sizeof(facts->text), __VA_ARGS__)
    FACT("bide", "%s", bide);
    FACT("path", "%s",
         shell ? text_shell(f->path, quoted, sizeof(quoted)) : f->path);
    FACT("name", "%s", f->name);
    FACT("cell", "%s%s%s", f->name, *f->scope ? "/" : "", f->scope);
    FACT("in", "%s%s", *f->scope ? " --scope " : "", f->scope);
    FACT("others", "%s", f->count > 1 ? " and others" : "");
    FACT("version", "%u", f->version);
    FACT("count", "%llu", (unsigned long long)f->count);
    FACT("s", "%s", f->count == 1 ? "" : "s");
    FACT("user", "%u", f->user);
    FACT("size", "%s", text_bytes(f->bytes).text);
    FACT("age", "%s", duration_round(f->age_ns).text);
    FACT("why", "%s", *f->words ? f->words : bide_strerror(f->rc));
#undef FACT
    assert(i == FACTS);
}

static const char *
find_fact(const struct fact facts[FACTS], const char *key, size_t length)
{
    for (int i = 0; i < FACTS; i++) {
        if (strlen(facts[i].key) == length &&
            memcmp(facts[i].key, key, length) == 0) {
            return facts[i].text;
        }
    }
    assert(!"the template names an unknown fact");
    return "";
}

/* Writes the template with its facts to `out`, cut at `size`. */
static void
fill_template(const char *template, const struct fact facts[FACTS], char *out,
              size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    while (*template && used < size) {
        size_t length = strcspn(template, "{");

        used += (size_t)snprintf(out + used, size - used, "%.*s", (int)length,
                                 template);
        template += length;
        if (*template == '{' && used < size) {
            length = strcspn(++template, "}");
            used += (size_t)snprintf(out + used, size - used, "%s",
                                     find_fact(facts, template, length));
            template += length + 1;
        }
    }
}

void
findings_explain(const struct doctor_finding *f, const char *bide,
                 struct finding_words *out)
{
    struct explained *said = &out->said;
    struct fact facts[FACTS];
    char *rest;

    out->run[0] = '\0';
    if (f->failure) {
        explain(f->failure, said);
        return;
    }
    write_facts(f, bide, false, facts);
    fill_template(words[f->id].what, facts, said->why, sizeof(said->why));
    fill_template(words[f->id].to_do, facts, said->to_do, sizeof(said->to_do));
    write_facts(f, bide, true, facts);
    fill_template(words[f->id].run, facts, out->run, sizeof(out->run));
    rest = strchr(said->why, '\n');
    if (rest) { /* the remedy is the second line of {why} */
        *rest = '\0';
        snprintf(said->to_do, sizeof(said->to_do), "%s",
                 *out->run ? "" : rest + 1);
    }
}
