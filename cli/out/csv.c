#include "csv.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void
csv_text(const char *text)
{
    text = text ? text : "";
    fputs(",\"", stdout);
    if (*text && strchr("=+-@", *text)) {
        putchar('\'');
    }
    for (; *text; text++) {
        if (*text == '"') {
            putchar('"');
        }
        putchar((unsigned char)*text < 0x20 ? ' ' : *text);
    }
    putchar('"');
}

void
csv_author(const char *who, uint32_t uid)
{
    csv_text(who);
    putchar(',');
    if (who) {
        printf("%u", uid);
    }
}

struct brief
csv_time(uint64_t ns)
{
    time_t s = (time_t)(ns / 1000000000);
    struct tm tm = {0};
    struct brief out;

    gmtime_r(&s, &tm);
    strftime(out.text, sizeof(out.text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}
