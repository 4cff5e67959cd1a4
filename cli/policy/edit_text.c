/* bide edit, copy: policies as whole texts.
 *
 * The text in the editor has lines for the user, which begin with MARK.  They
 * are removed before it is read, and written anew when it is shown again:
 *
 *   [pay]
 *   # bide: attempts = lots: must be a whole number, 1 to 1000000, or unlimited
 *   attempts = lots
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/change.h"
#include "admin/read.h"
#include "base/clock.h"
#include "base/draft.h"
#include "base/failure.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/text.h"
#include "cli/view/layer.h"
#include "policy/policy.h"
#include "store/policies/record.h"
#include "change.h"
#include "difference.h"
#include "edit.h"
#include "source.h"

#define MARK "# bide: "

/* ---- the editor ---- */

/* The file that is edited, in a new directory that only the user can enter.  It
 * stays whatever ends this process, until editor_end(). */
struct editor {
    char dir[512], path[640];
};

static int
editor_begin(struct editor *e, const char *name)
{
    const char *tmp = getenv("TMPDIR");

    tmp = tmp && *tmp ? tmp : "/tmp";
    snprintf(e->dir, sizeof(e->dir), "%s/bide-edit.XXXXXX", tmp);
    if (!mkdtemp(e->dir)) {
        return say_errno(e->dir);
    }
    snprintf(e->path, sizeof(e->path), "%s/%s.ini", e->dir, name);
    return 0;
}

/* Replaces the text in the file, or leaves it as it was. */
static int
editor_write(const struct editor *e, const char *text, size_t length)
{
    char fresh[sizeof(e->path) + 4];
    FILE *f;
    bool whole;

    snprintf(fresh, sizeof(fresh), "%s.new", e->path);
    f = fopen(fresh, "wxe");
    whole = f && fwrite(text, 1, length, f) == length;
    whole = f && fclose(f) == 0 && whole && rename(fresh, e->path) == 0;
    if (!whole) {
        int status = say_errno(e->path);

        unlink(fresh);
        return status;
    }
    return 0;
}

/* Runs in the child.  Like git and crontab, lets a shell split the command. */
static void
exec_editor(const char *command, const char *path)
{
    char script[4096];

    if ((size_t)snprintf(script, sizeof(script), "%s \"$@\"", command) <
        sizeof(script)) {
        execl("/bin/sh", "sh", "-c", script, command, path, (char *)NULL);
    }
    _exit(127);
}

/* Passes the end of the terminal on to the editor, where the kernel tells only
 * this process, and survives it to say where the text is. */
static void
on_hangup(int signal)
{
    sigaction(signal, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    kill(0, SIGHUP);
}

/* Runs the editor.  Meanwhile the signals of the terminal are for it alone. */
static int
editor_run(const struct editor *e)
{
    static const int signals[] = {SIGINT, SIGQUIT, SIGHUP};
    enum { SIGNALS = sizeof(signals) / sizeof(*signals) };
    const struct sigaction act[SIGNALS] = {{.sa_handler = SIG_IGN},
                                           {.sa_handler = SIG_IGN},
                                           {.sa_handler = on_hangup}};
    struct sigaction old[SIGNALS];
    const char *visual = getenv("VISUAL"), *command = getenv("EDITOR");
    int how = 0;
    pid_t pid;

    command = visual && *visual ? visual : command && *command ? command : "vi";
    fflush(NULL);
    for (int i = 0; i < SIGNALS; i++) {
        sigaction(signals[i], &act[i], &old[i]);
    }
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < SIGNALS; i++) {
            sigaction(signals[i], &old[i], NULL);
        }
        exec_editor(command, e->path);
    }
    while (pid > 0 && waitpid(pid, &how, 0) < 0 && errno == EINTR) {
    }
    for (int i = 0; i < SIGNALS; i++) {
        sigaction(signals[i], &old[i], NULL);
    }
    if (pid < 0) {
        return say_errno(command);
    }
    if (how == 0) {
        return 0;
    }
    say("%s: exit status %d; to use another editor, set VISUAL", command,
        WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how));
    return STATUS_NO;
}

/* Removes the file, and what the editor left beside it. */
static void
editor_end(const struct editor *e)
{
    DIR *dir = opendir(e->dir);
    struct dirent *one;

    while (dir && (one = readdir(dir))) {
        unlinkat(dirfd(dir), one->d_name, 0); /* "." and ".." stay */
    }
    dir ? closedir(dir) : 0;
    rmdir(e->dir);
}

/* Begins a change of the first operand, and checks --if-version. */
static int
find_policy(struct command_line *line, struct change *c, struct record *out)
{
    int status = change_begin(line, c);

    status = status ? status
                    : say_unless_found(line->registry, line->operands[0], out);
    if (!status && c->change.if_version &&
        c->change.if_version != out->version) {
        say("%s: the version in force is %u, not %u", out->name, out->version,
            c->change.if_version);
        status = STATUS_VERSION;
    }
    return status;
}

/* One policy in an editor. */
struct session {
    struct command_line *line;
    struct change change;
    const char *name;
    struct policy_text *base; /* as it is stored; NULL: deleted meanwhile */
    struct editor editor;
    struct draft shown;   /* the file when the editor began */
    struct faults faults; /* of what was saved */
    struct draft notes;   /* lines for the user, above all others */
};

/* ---- the lines for the user ---- */

static void
add_note(struct draft *to, const char *what, const char *hint)
{
    char *text = NULL, *safe = NULL;

    if (asprintf(&text, hint ? "%s (%s)" : "%s", what, hint) >= 0) {
        safe = text_safe(text);
        free(text);
    }
    draft_text(to, MARK);
    draft_text(to, safe ? safe : "?");
    draft_text(to, "\n");
    free(safe);
}

/* Adds the faults of a line of the file; 0: those that are of no line of it. */
static void
add_faults(struct session *s, struct draft *to, int line)
{
    for (size_t i = 0; i < s->faults.count; i++) {
        const struct fault *f = &s->faults.list[i];
        bool here = strcmp(f->file, s->editor.path) == 0;

        if ((here ? f->line : 0) == line && !f->warning) {
            add_note(to, f->what, f->hint);
        }
    }
}

/* Sets what the editor shows: `text` with its notes and faults. */
static void
compose(struct session *s, const char *text, size_t length)
{
    const char *end = text + length;

    draft_clear(&s->shown);
    draft_text(&s->shown, s->notes.used ? s->notes.bytes : "");
    add_faults(s, &s->shown, 0);
    for (int line = 1; text < end; line++) {
        const char *next = memchr(text, '\n', (size_t)(end - text));

        next = next ? next + 1 : end;
        add_faults(s, &s->shown, line);
        draft_add(&s->shown, text, (size_t)(next - text));
        text = next;
    }
}

/* Removes the lines for the user from a text; returns its new length. */
static size_t
remove_marked(char *text, size_t length)
{
    char *to = text, *end = text + length, *next;

    for (char *from = text; from < end; from = next) {
        next = memchr(from, '\n', (size_t)(end - from));
        next = next ? next + 1 : end;
        if ((size_t)(end - from) < sizeof(MARK) - 1 ||
            memcmp(from, MARK, sizeof(MARK) - 1) != 0) {
            memmove(to, from, (size_t)(next - from));
            to += next - from;
        }
    }
    *to = '\0';
    return (size_t)(to - text);
}

/* Notes what is edited, and the layers over it, which are not. */
static void
note_policy(struct session *s, const struct record *r)
{
    char text[256];
    uint64_t now_ns = clock_realtime_ns();

    snprintf(text, sizeof(text), "%s v%u, by %s, %s", s->name, r->version,
             author_write(r->who, r->uid).text,
             when_write(r->when_ns, now_ns).text);
    add_note(&s->notes, text, NULL);
    add_note(&s->notes,
             "save it to store it; unchanged or empty, it changes "
             "nothing",
             "keys: bide help keys");
    for (size_t i = 0; i < r->part_count - 1;) {
        char *layer =
            layer_line(r->parts + 1, r->part_count - 1, NULL, now_ns, &i);

        add_note(&s->notes, layer ? layer : "?", "not edited here");
        free(layer);
    }
}

/* ---- storing ---- */

/* Shows what somebody else changed since the text was read; from now on, this
 * newer version is the one that is replaced.  Returns 0 or the exit status. */
static int
follow_conflict(struct session *s)
{
    struct failure last = *failure_last();
    struct policy_text *now = NULL;
    struct record r;
    char *what, text[1024];
    int rc = admin_policy(s->line->registry, s->name, &r);

    if (rc == 0) {
        last.version = r.version;
        rc = admin_base(&r, &now);
        record_free(&r);
    }
    if (rc && rc != BIDE_ENOPOLICY) {
        return say_failure(rc, s->name);
    }
    what = now ? difference_line(s->base, now) : strdup("deleted");
    snprintf(text, sizeof(text), "%s changed it meanwhile, v%u -> v%u: %s",
             last.who, s->change.change.if_version, last.version,
             what && *what ? what : "temporarily");
    free(what);
    draft_clear(&s->notes);
    add_note(&s->notes, text, NULL);
    add_note(&s->notes,
             "to replace that by the text below, remove these two lines", NULL);
    policy_text_free(s->base);
    s->base = now;
    s->change.change.if_version = last.version;
    return 0;
}

/* Stores what was saved.  Returns 0 or a BIDE_E code; *out_same: it is as
 * before, or empty, and nothing was stored. */
static int
store_saved(struct session *s, const char *text, size_t length, bool *out_same,
            struct admin_results *out)
{
    struct policy_list texts = {0};
    bool blank = strspn(text, " \t\r\n") == length;
    int rc =
        blank ? 0
              : policy_read(s->editor.path, text, length, &texts, &s->faults);
    const struct policy_text *t = texts.count ? texts.list[0] : NULL;
    struct fault fault;

    if (rc == 0 && t &&
        (texts.count > 1 || strcmp(policy_text_name(t), s->name) != 0)) {
        t = texts.list[texts.count - 1];
        fault = policy_text_fault(t, s->editor.path, FAULT_NAME, NULL, NULL);
        fault.hint = "for another policy: bide copy";
        fault_add(&s->faults, &fault, "here is only [%s]", s->name);
        rc = BIDE_EINPUT;
    }
    *out_same = rc == 0 && (!t || (s->base && policy_text_same(t, s->base)));
    if (rc == 0 && !*out_same) {
        rc = admin_apply(s->line->registry, &s->change.change, &texts,
                         &(const char *){s->editor.path}, false, out,
                         &s->faults);
    }
    policy_list_free(&texts);
    return rc;
}

/* ---- edit ---- */

/* Lets the user edit once.  *out is the text, malloc'ed; NULL if it cannot be
 * read.  Returns 0 or the exit status. */
static int
show_text(struct session *s, char **out, size_t *out_length, bool *out_saved)
{
    int status = editor_write(&s->editor, s->shown.bytes, s->shown.used);

    *out = NULL;
    *out_saved = false;
    if (status) {
        return status;
    }
    status = editor_run(&s->editor);
    if (source_bytes(s->editor.path, out, out_length, &s->faults)) {
        *out = NULL;
        return say_refusal(BIDE_EINPUT, &s->faults, s->name, NULL);
    }
    *out_saved = *out_length != s->shown.used ||
                 memcmp(*out, s->shown.bytes, *out_length) != 0;
    return status;
}

/* Ends an edit after which nothing is stored: says why and where the text is,
 * if the user has typed any. */
static int
give_up(struct session *s, int status, bool again, bool saved)
{
    if (again && !saved && faults_any(&s->faults)) {
        status = say_refusal(BIDE_EINPUT, &s->faults, s->name, NULL);
    } else if (again && !saved) {
        say("%s: somebody else changed it to v%u", s->name,
            s->change.change.if_version);
        status = STATUS_VERSION;
    }
    if (again || saved) {
        say("%s: your text was not stored; it is kept in %s", s->name,
            s->editor.path);
    } else {
        editor_end(&s->editor);
    }
    return status;
}

/* Tells the result of what was saved, for which there is no other try. */
static int
end_session(struct session *s, int rc, bool same, struct admin_results *results)
{
    int status;

    if (same) {
        printf("%s v%u: unchanged, nothing was changed\n", s->name,
               s->change.change.if_version);
    }
    status = same ? STATUS_DONE
                  : edit_end(s->line, &s->change, rc, results, &s->faults);
    if (rc) {
        return give_up(s, status, false, true);
    }
    editor_end(&s->editor);
    return status;
}

static int
edit_until_stored(struct session *s)
{
    bool saved = false, same;

    for (int turn = 0;; turn++) {
        bool again = turn > 0;
        struct admin_results results = {0};
        size_t length = 0;
        char *text;
        int rc, status = show_text(s, &text, &length, &saved);

        if (status || (again && !saved)) {
            free(text);
            return give_up(s, status, again, saved);
        }
        length = remove_marked(text, length);
        faults_free(&s->faults);
        rc = store_saved(s, text, length, &same, &results);
        draft_clear(&s->notes);
        if (rc == BIDE_EVERSION && !s->line->option[OPTION_IF_VERSION]) {
            status = follow_conflict(s);
        } else if (rc != BIDE_EINPUT || !faults_any(&s->faults)) {
            free(text);
            return end_session(s, rc, same, &results);
        }
        compose(s, text, length);
        free(text);
        if (again && !isatty(STDIN_FILENO)) {
            return give_up(s, status, true, false); /* no user, but a script */
        }
        if (status || s->shown.failed) {
            return give_up(s, status ? status : say_no_memory(), true, true);
        }
    }
}

static int
begin_session(struct session *s, const struct record *r)
{
    int rc = admin_base(r, &s->base);

    if (rc) {
        return say_failure(rc, s->name);
    }
    s->change.change.if_version = r->version;
    note_policy(s, r);
    compose(s, r->text, strlen(r->text));
    return s->shown.failed ? say_no_memory()
                           : editor_begin(&s->editor, s->name);
}

int
edit_command(struct command_line *line)
{
    struct session s = {.line = line, .name = line->operands[0]};
    struct record r = {0};
    int status = find_policy(line, &s.change, &r);

    status = status ? status : begin_session(&s, &r);
    status = status ? status : edit_until_stored(&s);
    record_free(&r);
    faults_free(&s.faults);
    draft_free(&s.notes);
    draft_free(&s.shown);
    policy_text_free(s.base);
    change_end(&s.change);
    return status;
}

/* ---- copy, rename ---- */

/* Finds the first operand, and checks that the second can be a name.  The
 * change, which is of the second then, gets a note about the first. */
static int
begin_naming(struct command_line *line, struct change *c, struct record *r,
             char note[128])
{
    char **names = line->operands;
    int status = find_policy(line, c, r);

    snprintf(note, 128, "%s %s v%u",
             line->command->run == copy_command ? "copy of" : "renamed from",
             r->name, r->version);
    c->change.note = c->change.note ? c->change.note : note;
    if (!status && !policy_name_ok(names[1])) {
        status = say_no_name("", names[1]);
    }
    names[0] = names[1]; /* the name of the result */
    return status;
}

/* Stores the copy, unless a policy has its name. */
static int
store_copy(struct command_line *line, struct change *c, const struct record *r)
{
    const char *name = line->operands[1];
    struct policy_list texts = {0};
    struct admin_results results = {0};
    struct faults faults = {0};
    char *text = record_text_named(r, name);
    int rc = text ? policy_read(name, text, strlen(text), &texts, &faults)
                  : BIDE_ENOMEM;

    free(text);
    c->change.if_version = 0;
    c->change.fresh = true;
    rc = rc ? rc
            : admin_apply(line->registry, &c->change, &texts, &name, false,
                          &results, &faults);
    policy_list_free(&texts);
    if (rc == 0 && r->part_count > 1) {
        say("%s: its temporary changes are not copied", r->name);
    }
    return edit_end(line, c, rc, &results, &faults);
}

int
copy_command(struct command_line *line)
{
    struct record r = {0};
    struct change c;
    char note[128];
    int status = begin_naming(line, &c, &r, note);

    status = status ? status : store_copy(line, &c, &r);
    record_free(&r);
    change_end(&c);
    return status;
}

int
rename_command(struct command_line *line)
{
    struct admin_results results = {0};
    struct faults faults = {0};
    struct record r = {0};
    struct change c;
    char note[128];
    int rc, status = begin_naming(line, &c, &r, note);

    if (status == 0) {
        rc =
            admin_rename(line->registry, &c.change, r.name, line->operands[1],
                         line->option[OPTION_FORCE] != NULL, &results, &faults);
        status = edit_end(line, &c, rc, &results, &faults);
    }
    record_free(&r);
    change_end(&c);
    return status;
}
