#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bide.h>
#include "base/crc32c.h"
#include "base/paths.h"
#include "base/safe.h"
#include "document.h"
#include "rule/draw.h"
#include "store/file/place.h"

#define PATH_SETUP PATH_POLICIES "/fleet.json"
enum { SETUP_MAX = 1 << 14 };

#define TEXT(type, member) FIELD(FIELD_TEXT, struct type, member)
#define NUMBER(type, member) FIELD(FIELD_NUMBER, struct type, member)

static const struct field setup_fields[] = {
    TEXT(host_setup, urls),       TEXT(host_setup, name),
    TEXT(host_setup, machine),    TEXT(host_setup, prefix),
    TEXT(host_setup, labels),     TEXT(host_setup, local),
    TEXT(host_setup, fleet),      TEXT(host_setup, cacert),
    TEXT(host_setup, cert),       TEXT(host_setup, key),
    TEXT(host_setup, token_file), {NULL, 0, 0, 0}};

const struct field host_record_fields[] = {
    TEXT(host_record, host),       NUMBER(host_record, release),
    NUMBER(host_record, refused),  TEXT(host_record, fault),
    NUMBER(host_record, since_ms), TEXT(host_record, local),
    NUMBER(host_record, broke),    TEXT(host_record, figures),
    TEXT(host_record, labels),     TEXT(host_record, machine),
    TEXT(host_record, agent),      TEXT(host_record, library),
    NUMBER(host_record, time_ms),  {NULL, 0, 0, 0}};

/* ---- the setup ---- */

static int
say_errno_of(const char *path, char *why)
{
    snprintf(why, DOCUMENT_WHY, "%.160s: %.80s", path, strerror(errno));
    return safe_code(errno);
}

int
host_setup_read(const char *dir, struct host_setup *out, char *why)
{
    char *path = place_path(dir, PATH_SETUP), bytes[SETUP_MAX];
    FILE *f = path ? fopen(path, "re") : NULL;
    size_t length = f ? fread(bytes, 1, sizeof(bytes), f) : 0;
    int rc =
        !path ? BIDE_ENOMEM
        : f ? document_read(setup_fields, bytes, length, out, sizeof(*out), why)
        : errno == ENOENT ? BIDE_EMISSING
                          : say_errno_of(path, why);

    if (f) {
        fclose(f);
    }
    free(path);
    return rc;
}

static int
fill_setup(void *arg, const char *fresh, int fd)
{
    const char *text = arg;
    size_t length = strlen(text);

    return write(fd, text, length) == (ssize_t)length &&
                   safe_inherit(fd, fresh, SAFE_FILE) == 0
               ? 0
               : place_failed(fresh, errno);
}

int
host_setup_write(const char *dir, const struct host_setup *s, char *why)
{
    char *path = place_path(dir, PATH_SETUP);
    char *text = document_write(setup_fields, s);
    struct place_new n = {
        .dir = dir, .path = path, .fill = fill_setup, .arg = text};
    int lock, rc = path && text ? 0 : BIDE_ENOMEM;

    if (rc == 0) {
        rc = place_lock_directory(path, &lock);
    }
    if (rc == 0) {
        rc = place_make_file(&n);
        place_unlock(lock);
    }
    if (rc) {
        snprintf(why, DOCUMENT_WHY, "%s", place_why());
    }
    free(path);
    free(text);
    return rc;
}

int
host_setup_remove(const char *dir, char *why)
{
    char *path = place_path(dir, PATH_SETUP);
    int rc = path ? 0 : BIDE_ENOMEM;

    if (path && unlink(path)) {
        rc = errno == ENOENT ? BIDE_EMISSING : say_errno_of(path, why);
    }
    free(path);
    return rc;
}

/* ---- names ---- */

void
host_machine(const char *name, char out[33])
{
    char id[64] = "";
    FILE *f = fopen("/etc/machine-id", "re");
    uint32_t crc;

    if (f) {
        (void)!fread(id, 1, 32, f);
        fclose(f);
    }
    crc = crc32c(crc32c(0, id, strlen(id)), name, strlen(name));
    snprintf(out, 33, "%08x", crc);
}

bool
host_name_ok(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return length > 0 && length <= FLEET_NAME_MAX && !name[length];
}

void
host_draw_id(char out[33])
{
    unsigned long long half[2] = {0};

    (void)!getrandom(half, sizeof(half), 0);
    snprintf(out, 33, "%016llx%016llx", half[0], half[1]);
}

double
host_draw_share(void)
{
    uint64_t bits = 0;

    (void)!getrandom(&bits, sizeof(bits), 0);
    return draw_unit(bits);
}

struct fleet_key
fleet_key(const char *prefix, const char *kind, const char *name)
{
    struct fleet_key k;

    snprintf(k.text, sizeof(k.text), "%s/%s%s%s", prefix, kind, name ? "/" : "",
             name ? name : "");
    return k;
}

/* ---- the record ---- */

char *
host_record_write(const struct host_record *r)
{
    return document_write(host_record_fields, r);
}

int
host_record_read(const char *bytes, size_t length, struct host_record *out,
                 char *why)
{
    return document_read(host_record_fields, bytes, length, out, sizeof(*out),
                         why);
}
