/* Slots are written without a lock.  A process claims a slot by a CAS of
 * `claim`, which names the owner and the time of waking.  It then writes the
 * other fields and at last sets `filled` to the claim.  A reader accepts the
 * fields only if `claim` and `filled` were equal before its reading and `claim`
 * is the same after it.
 *
 * Another process may take over a slot whose time is past, for example when the
 * owner was stopped.  The slot then has another claim, and the former owner
 * leaves it alone. */
#include "inside.h"

#include "base/boot.h"
#include "live/words/words.h"

enum {
    SEARCH = 64,
    SLOT_BITS = 12,
    SERIAL_BITS = 10,
    ID_SHIFT = 42,
    SERIAL_SHIFT = 32,
    UNIT_SHIFT = 26,  /* of the time in a claim: 67 ms */
    GRACE_UNITS = 15, /* 1 s: a call leaves slightly after its time */
};

_Static_assert(SLEEPER_SLOTS == 1 << SLOT_BITS, "a slot's number has 12 bits");

static struct sleeper_slot *
slot_at(struct live *l, uint32_t i)
{
    struct sleeper_slot *slots = (void *)(l->memory + LIVE_SLEEPERS);

    return &slots[i % SLEEPER_SLOTS];
}

/* ---- claims ---- */

static uint64_t
pack_claim(uint32_t id, uint32_t serial, uint64_t wake_ns)
{
    uint64_t units = wake_ns >> UNIT_SHIFT;

    units = units < UINT32_MAX ? units + 1 : UINT32_MAX;
    return (uint64_t)id << ID_SHIFT | (uint64_t)serial << SERIAL_SHIFT | units;
}

static bool
is_claim_past(uint64_t claim, uint64_t now_ns)
{
    return (now_ns >> UNIT_SHIFT) > (uint64_t)(uint32_t)claim + GRACE_UNITS;
}

/* Reports whether the owner of a slot is dead, as far as that is known: not
 * before the slot is filled. */
static bool
is_claim_dead(struct sleeper_slot *slot, uint64_t claim)
{
    return atomic_load(&slot->filled) == claim &&
           process_is_gone(atomic_load(&slot->pid),
                           atomic_load(&slot->pid_space));
}

/* ---- entering and leaving ---- */

/* Claims a free slot near `start`, or returns -1.  The first round takes only
 * free slots and those past their time; the second also asks the kernel whether
 * the owners are alive. */
static int
claim_slot(struct live *l, uint32_t start, uint64_t claim)
{
    uint64_t now_ns = clock_monotonic_ns();

    for (uint32_t i = 0; i < 2 * SEARCH; i++) {
        uint32_t number = (start + i % SEARCH) % SLEEPER_SLOTS;
        struct sleeper_slot *slot = slot_at(l, number);
        uint64_t seen = atomic_load(&slot->claim);

        if (seen && !is_claim_past(seen, now_ns) &&
            (i < SEARCH || !is_claim_dead(slot, seen))) {
            continue;
        }
        if (atomic_compare_exchange_strong(&slot->claim, &seen, claim)) {
            return (int)number;
        }
    }
    return -1;
}

static void
publish_wait(struct sleeper_slot *slot, uint64_t claim, uint32_t allowed,
             enum bide_reason waits_for, uint64_t wake_ns)
{
    atomic_store(&slot->allowed, allowed);
    atomic_store(&slot->waits_for, waits_for);
    atomic_store(&slot->wake_ns, wake_ns);
    atomic_store(&slot->filled, claim);
}

int
sleeper_enter(struct live *l, uint32_t cell, uint32_t attempts,
              uint32_t allowed, struct bide_outcome last,
              enum bide_reason waits_for, uint64_t wake_ns)
{
    struct process self = process_self();
    uint32_t serial = atomic_fetch_add(&l->sleeper_serial, 1);
    uint64_t seed = (uint64_t)self.id << 32 | serial, claim;
    char outcome[64] = "";
    struct sleeper_slot *slot;
    int number;

    serial &= (1u << SERIAL_BITS) - 1;
    claim = pack_claim(self.id, serial, wake_ns);
    number = claim_slot(l, (uint32_t)words_hash(&seed, sizeof(seed)), claim);
    if (number < 0) {
        return -1;
    }
    slot = slot_at(l, (uint32_t)number);
    bide_outcome_name(last, outcome, sizeof(outcome));
    atomic_store(&slot->pid, self.pid);
    atomic_store(&slot->pid_space, self.space);
    atomic_store(&slot->cell, cell);
    atomic_store(&slot->attempts, attempts);
    who_write(slot->program);
    words_write(slot->outcome, 8, outcome);
    publish_wait(slot, claim, allowed, waits_for, wake_ns);
    return number | (int)serial << SLOT_BITS;
}

/* Returns the claim of this process for the call `number` of sleeper_enter. */
static uint64_t
claim_of(int number, uint64_t wake_ns)
{
    return pack_claim(process_self().id, (uint32_t)number >> SLOT_BITS,
                      wake_ns);
}

/* Returns the slot and its claim if this process still owns it, else NULL. */
static struct sleeper_slot *
own_slot(struct live *l, int number, uint64_t *claim)
{
    struct sleeper_slot *slot = slot_at(l, (uint32_t)number);

    *claim = atomic_load(&slot->claim);
    return number >= 0 && *claim >> 32 == claim_of(number, 0) >> 32 ? slot
                                                                    : NULL;
}

void
sleeper_move(struct live *l, int number, uint32_t allowed,
             enum bide_reason waits_for, uint64_t wake_ns)
{
    uint64_t seen, claim = claim_of(number, wake_ns);
    struct sleeper_slot *slot = own_slot(l, number, &seen);

    if (slot && atomic_compare_exchange_strong(&slot->claim, &seen, claim)) {
        publish_wait(slot, claim, allowed, waits_for, wake_ns);
    }
}

void
sleeper_leave(struct live *l, int number)
{
    uint64_t seen;
    struct sleeper_slot *slot = own_slot(l, number, &seen);

    if (slot) {
        atomic_compare_exchange_strong(&slot->claim, &seen, 0);
    }
}

/* ---- reading ---- */

static bool
read_slot(struct sleeper_slot *slot, struct sleeper *out)
{
    uint64_t claim = atomic_load(&slot->claim);

    if (!claim || atomic_load(&slot->filled) != claim) {
        return false;
    }
    who_read(atomic_load(&slot->pid), atomic_load(&slot->pid_space),
             slot->program, &out->by);
    out->cell = atomic_load(&slot->cell);
    out->attempts = atomic_load(&slot->attempts);
    out->allowed = atomic_load(&slot->allowed);
    out->wake_ns = atomic_load(&slot->wake_ns);
    out->waits_for = (enum bide_reason)atomic_load(&slot->waits_for);
    words_show(slot->outcome, 8, out->outcome, sizeof(out->outcome));
    return atomic_load(&slot->claim) == claim && !is_claim_dead(slot, claim);
}

int
sleeper_each(struct live *l, uint64_t now_ns,
             int (*visit)(void *arg, const struct sleeper *s), void *arg)
{
    for (uint32_t i = 0; i < SLEEPER_SLOTS; i++) {
        struct sleeper s;
        int rc;

        if (!read_slot(slot_at(l, i), &s) || s.wake_ns < now_ns) {
            continue;
        }
        rc = visit(arg, &s);
        if (rc) {
            return rc;
        }
    }
    return 0;
}

uint32_t
sleeper_dead(struct live *l, uint64_t now_ns)
{
    uint32_t dead = 0;

    for (uint32_t i = 0; i < SLEEPER_SLOTS; i++) {
        struct sleeper_slot *slot = slot_at(l, i);
        uint64_t claim = atomic_load(&slot->claim);

        dead += claim && !is_claim_past(claim, now_ns) &&
                is_claim_dead(slot, claim) &&
                atomic_load(&slot->cell) != SLEEPER_CLOSED;
    }
    return dead;
}
