#include "near.h"

#include <string.h>

enum { NEAR_LENGTH_MAX = 64 };

static int
smaller_of(int a, int b)
{
    return a < b ? a : b;
}

static int
lower_case(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* Returns the number of insertions, deletions, changes and swaps of neighbours
 * that turn `a` into `b`.  Ignores case.  Both are at most NEAR_LENGTH_MAX
 * long. */
static int
edit_distance(const char *a, int a_length, const char *b, int b_length)
{
    int rows[3][NEAR_LENGTH_MAX + 1];

    for (int j = 0; j <= b_length; j++) {
        rows[0][j] = j;
    }
    for (int i = 1; i <= a_length; i++) {
        int *row = rows[i % 3];
        const int *above = rows[(i + 2) % 3];
        const int *higher = rows[(i + 1) % 3];

        row[0] = i;
        for (int j = 1; j <= b_length; j++) {
            bool same = lower_case(a[i - 1]) == lower_case(b[j - 1]);

            row[j] = smaller_of(above[j - 1] + !same,
                                smaller_of(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 &&
                lower_case(a[i - 1]) == lower_case(b[j - 2]) &&
                lower_case(a[i - 2]) == lower_case(b[j - 1])) {
                row[j] = smaller_of(row[j], higher[j - 2] + 1);
            }
        }
    }
    return rows[a_length % 3][b_length];
}

int
near_distance(const char *a, const char *b)
{
    size_t a_length = strlen(a), b_length = strlen(b);

    if (a_length > NEAR_LENGTH_MAX || b_length > NEAR_LENGTH_MAX) {
        return NEAR_LENGTH_MAX;
    }
    return edit_distance(a, (int)a_length, b, (int)b_length);
}

struct near
near_begin(const char *name)
{
    size_t length = strlen(name);
    /* Two changes in a name of three letters leave nothing in common. */
    int most = length <= 1 ? 0 : length <= 4 ? 1 : 2;

    return (struct near){name, NULL, most + 1};
}

bool
near_offer(struct near *n, const char *candidate)
{
    int distance = near_distance(n->name, candidate);

    if (distance >= n->distance) {
        return false;
    }
    n->best = candidate;
    n->distance = distance;
    return true;
}
