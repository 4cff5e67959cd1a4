/* The wait between two tries of a piece: its jitter, and its minimum. */
#include "queue.h"

#include "rule/draw.h"

static void
a_piece_waits_a_second_at_least(void **state)
{
    static const struct jitter jitters[] = {{.form = JITTER_NONE},
                                            {.form = JITTER_FULL},
                                            {.form = JITTER_SHARE, .share = 1}};
    static const uint64_t waits[] = {0, 1, SECOND / 2, SECOND};
    struct queue *q = *state;
    uint64_t id = queue_put(q, "x");

    for (size_t i = 0; i < 12; i++) {
        q->rules.jitter = jitters[i % 3];
        q->rules.wait_ns = q->rules.wait_max_ns = waits[i / 3];
        assert_string_equal(queue_take_text(q), "x");
        assert_int_equal(queue_nack(q, NULL), 0);
        assert_int_equal(queue_get(q, id).due_ns, q->now.realtime_ns + SECOND);
        queue_pass(q, SECOND);
    }
}

/* Each wait is drawn from the piece and its attempts. */
static void
pieces_that_failed_together_are_due_apart(void **state)
{
    enum { PIECES = 100 };
    struct queue *q = *state;
    uint64_t due[PIECES], first = UINT64_MAX, last = 0, id = 0;
    int differ = 0;

    q->rules.jitter = (struct jitter){JITTER_SHARE, 0.2, 0};
    for (int i = 0; i < PIECES; i++) {
        id = queue_put(q, "x");
        assert_string_equal(queue_take_text(q), "x");
        assert_int_equal(queue_nack(q, NULL), 0);
        due[i] = queue_get(q, id).due_ns - q->now.realtime_ns;
        assert_in_range(due[i], 48 * SECOND, 72 * SECOND);
        first = due[i] < first ? due[i] : first;
        last = due[i] > last ? due[i] : last;
        differ += i > 0 && due[i] != due[i - 1];
    }
    assert_int_equal(differ, PIECES - 1);
    assert_true(last - first > 20 * SECOND);
    /* The same draw as rule/draw.h gives, on every machine. */
    assert_int_equal(
        due[PIECES - 1],
        (uint64_t)(60e9 *
                       (0.8 + 0.4 * draw_unit(draw_bits(
                                        queue_get(q, id).stored_ns, id, 1))) +
                   0.5));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(a_piece_waits_a_second_at_least),
        QUEUE(pieces_that_failed_together_are_due_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
