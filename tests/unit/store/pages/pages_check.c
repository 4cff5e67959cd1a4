/* Damage that a reader may not detect but LMDB cannot handle.  Each kind is
 * made alone in a file that is otherwise whole. */
#include "unit/store/file/scratch.h"

#include <bide.h>
#include "store/pages/page.h"
#include "store/pages/pages.h"

enum { PAGE = 4096 };

struct file {
    uint8_t *bytes;
    size_t length;
    uint8_t *meta; /* the newer meta page, after the page header */
};

static uint64_t
load_u64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static void
store_u64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, sizeof(v));
}

/* Returns a node of a page. */
static uint8_t *
node_of(struct file *f, uint64_t page, unsigned index)
{
    uint8_t *p = f->bytes + page * PAGE;
    uint16_t offset;

    memcpy(&offset, p + 16 + 2 * index, 2);
    return p + offset;
}

static uint64_t
free_root(struct file *f)
{
    return load_u64(f->meta + 24 + 40);
}

static uint64_t
main_root(struct file *f)
{
    return load_u64(f->meta + 72 + 40);
}

/* Returns the first record of the free list: the number of pages, then pages.
 */
static uint8_t *
free_list(struct file *f)
{
    return node_of(f, free_root(f), 0) + 16;
}

/* Returns the description of the first named database's tree. */
static uint8_t *
first_tree(struct file *f)
{
    return node_of(f, main_root(f), 0) + 8 + strlen("policies");
}

typedef void damage_fn(struct file *f);

static void
no_damage(struct file *f)
{
    (void)f;
}

static void
free_page_in_use(struct file *f)
{
    store_u64(free_list(f) + 8, main_root(f));
}

static void
free_page_past_the_end(struct file *f)
{
    store_u64(free_list(f) + 8, load_u64(f->meta + 120) + 1);
}

static void
free_meta_page(struct file *f)
{
    store_u64(free_list(f) + 8 * load_u64(free_list(f)), 1);
}

static void
free_list_out_of_order(struct file *f)
{
    store_u64(free_list(f) + 8, load_u64(free_list(f) + 16));
}

static void
free_list_too_long(struct file *f)
{
    store_u64(free_list(f), 5000);
}

static void
free_list_of_the_future(struct file *f)
{
    store_u64(node_of(f, free_root(f), 0) + 8, load_u64(f->meta + 128) + 1);
}

static void
file_shorter_than_its_last_page(struct file *f)
{
    store_u64(f->meta + 120, load_u64(f->meta + 120) + 1000);
}

static void
one_entry_more(struct file *f)
{
    store_u64(first_tree(f) + 32, load_u64(first_tree(f) + 32) + 1);
}

static void
one_leaf_less(struct file *f)
{
    store_u64(first_tree(f) + 16, load_u64(first_tree(f) + 16) - 1);
}

static void
one_level_more(struct file *f)
{
    first_tree(f)[6]++;
}

static void
one_long_value_less(struct file *f)
{
    store_u64(first_tree(f) + 24, load_u64(first_tree(f) + 24) - 1);
}

static void
two_trees_share_their_pages(struct file *f)
{
    uint8_t *second = node_of(f, main_root(f), 1) + 8 + strlen("versions");

    memcpy(second, first_tree(f), 48);
}

static void
nodes_overlap(struct file *f)
{
    uint8_t *page = f->bytes + main_root(f) * PAGE;

    page[16 + 2] = (uint8_t)(page[16] + 2);
    page[16 + 3] = page[17];
}

static void
a_hole_before_the_nodes(struct file *f)
{
    uint8_t *page = f->bytes + main_root(f) * PAGE;

    page[14] -= 2;
}

/* Exchanges `length` bytes, at most 8. */
static void
swap_bytes(uint8_t *a, uint8_t *b, size_t length)
{
    uint8_t keep[8];

    memcpy(keep, a, length);
    memcpy(a, b, length);
    memcpy(b, keep, length);
}

static void
keys_out_of_order(struct file *f)
{
    uint8_t *page = f->bytes + load_u64(first_tree(f) + 40) * PAGE;

    assert_int_equal(page[10], PAGE_BRANCH);
    page = f->bytes + page_node(page, 1).page * PAGE;
    assert_int_equal(page[10], PAGE_LEAF);
    swap_bytes(page + 16, page + 18, 2);
}

static void
children_in_each_others_place(struct file *f)
{
    uint64_t root = load_u64(first_tree(f) + 40);

    swap_bytes(node_of(f, root, 1), node_of(f, root, 2), 6);
}

static void
first_children_in_each_others_place(struct file *f)
{
    uint64_t root = load_u64(first_tree(f) + 40);

    swap_bytes(node_of(f, root, 0), node_of(f, root, 1), 6);
}

static void
a_database_of_another_kind(struct file *f)
{
    first_tree(f)[4] |= MDB_DUPSORT;
}

static void
the_list_with_keys_of_another_kind(struct file *f)
{
    f->meta[24 + 4] &= (uint8_t)~MDB_INTEGERKEY;
}

static const struct {
    damage_fn *change;
    int result;
} cases[] = {
    {no_damage, 0},
    {free_page_in_use, BIDE_EDAMAGED},
    {free_page_past_the_end, BIDE_EDAMAGED},
    {free_meta_page, BIDE_EDAMAGED},
    {free_list_out_of_order, BIDE_EDAMAGED},
    {free_list_too_long, BIDE_EDAMAGED},
    {free_list_of_the_future, BIDE_EDAMAGED},
    {file_shorter_than_its_last_page, BIDE_EDAMAGED},
    {one_entry_more, BIDE_EDAMAGED},
    {one_leaf_less, BIDE_EDAMAGED},
    {one_level_more, BIDE_EDAMAGED},
    {one_long_value_less, BIDE_EDAMAGED},
    {two_trees_share_their_pages, BIDE_EDAMAGED},
    {nodes_overlap, BIDE_EDAMAGED},
    {a_hole_before_the_nodes, BIDE_EDAMAGED},
    {keys_out_of_order, BIDE_EDAMAGED},
    {children_in_each_others_place, BIDE_EDAMAGED},
    {first_children_in_each_others_place, BIDE_EDAMAGED},
    {a_database_of_another_kind, BIDE_EDAMAGED},
    {the_list_with_keys_of_another_kind, BIDE_EDAMAGED},
};

static int
check_file(const char *path)
{
    struct pages *f;
    int rc = pages_open(path, &f);

    if (!rc) {
        rc = pages_check(f);
        pages_close(f);
    }
    return rc;
}

static void
a_check_finds_all_damage_that_lmdb_cannot_handle(void **state)
{
    struct scratch *t = *state;
    uint64_t seed = 11;
    struct file f;
    uint8_t *whole;

    lmdb_churn(t->file, &seed, 12, 60, 200);
    whole = slurp(t->file, &f.length);
    f.bytes = malloc(f.length);
    assert_non_null(f.bytes);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        memcpy(f.bytes, whole, f.length);
        f.meta = f.bytes + 16;
        if (load_u64(f.meta + 128) < load_u64(f.meta + PAGE + 128)) {
            f.meta += PAGE;
        }
        cases[i].change(&f);
        spill(t->file, f.bytes, f.length);
        if (check_file(t->file) != cases[i].result) {
            fail_msg("case %zu: %s", i, pages_why());
        }
    }
    free(f.bytes);
    free(whole);
}

/* ---- damage that a reader must detect ---- */

static void
load_file(struct file *f, const char *path)
{
    f->bytes = slurp(path, &f->length);
    f->meta = f->bytes + 16;
    if (load_u64(f->meta + 128) < load_u64(f->meta + PAGE + 128)) {
        f->meta += PAGE;
    }
}

static int
count_record(void *arg, const void *key, size_t key_length, const void *value,
             size_t length)
{
    (void)key, (void)key_length, (void)value, (void)length;
    ++*(uint64_t *)arg;
    return 0;
}

static void
a_walk_detects_lost_records(void **state)
{
    struct scratch *t = *state;
    uint64_t seed = 11, seen = 0, entries;
    struct snapshot s;
    struct pages *p;
    struct file f;

    lmdb_churn(t->file, &seed, 12, 60, 200);
    load_file(&f, t->file);
    entries = load_u64(first_tree(&f) + 32);
    one_entry_more(&f);
    spill(t->file, f.bytes, f.length);
    assert_int_equal(pages_open(t->file, &p), 0);
    assert_int_equal(pages_begin(p, &s), 0);
    assert_int_equal(
        pages_walk(&s, "policies", NULL, 0, false, count_record, &seen, NULL),
        BIDE_EDAMAGED);
    assert_int_equal(seen, entries);
    pages_close(p);
    free(f.bytes);
}

/* A branch that leads to a neighbour's page gives BIDE_EDAMAGED, not
 * BIDE_ENOPOLICY. */
static void
a_page_in_the_place_of_another_is_detected(void **state)
{
    static const int leads_to[][2] = {{1, 2}, {2, 1}, {0, 1}, {1, 0}};
    struct scratch *t = *state;
    uint64_t seed = 11;
    struct snapshot s;
    struct pages *p;
    struct file f;

    lmdb_churn(t->file, &seed, 12, 60, 200);
    load_file(&f, t->file);
    assert_int_equal(pages_open(t->file, &p), 0);
    assert_int_equal(pages_begin(p, &s), 0);
    for (size_t i = 0; i < sizeof(leads_to) / sizeof(*leads_to); i++) {
        uint64_t root = load_u64(first_tree(&f) + 40);
        uint8_t *from = node_of(&f, root, (unsigned)leads_to[i][0]);
        uint8_t *to = node_of(&f, root, (unsigned)leads_to[i][1]);
        uint64_t page =
            page_node(f.bytes + root * PAGE, (unsigned)leads_to[i][0]).page;
        struct node lost = page_node(f.bytes + page * PAGE, 0);
        uint8_t keep[6];
        size_t length;
        void *value;

        memcpy(keep, from, 6);
        memcpy(from, to, 6);
        spill(t->file, f.bytes, f.length);
        assert_int_equal(pages_get(&s, "policies", lost.key, lost.key_length,
                                   &value, &length),
                         BIDE_EDAMAGED);
        memcpy(from, keep, 6);
    }
    pages_close(p);
    free(f.bytes);
}

static void
a_long_value_longer_than_its_pages_is_damage(void **state)
{
    struct scratch *t = *state;
    MDB_env *env = lmdb_env(t->file);
    uint64_t page;
    struct snapshot s;
    struct pages *p;
    struct file f;
    size_t length;
    void *value;
    MDB_txn *txn;
    MDB_dbi dbi;

    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "policies", MDB_CREATE, &dbi), 0);
    lmdb_fill(txn, dbi, 1, 2 * PAGE - 16, 0);
    lmdb_fill(txn, dbi, 2, 3 * PAGE, 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    load_file(&f, t->file);
    assert_int_equal(pages_open(t->file, &p), 0);
    assert_int_equal(pages_begin(p, &s), 0);
    assert_int_equal(pages_get(&s, "policies", "k000001", 7, &value, &length),
                     0);
    free(value);
    page = page_node(f.bytes + load_u64(first_tree(&f) + 40) * PAGE, 0).page;
    assert_int_equal(f.bytes[page * PAGE + 12], 2);
    f.bytes[page * PAGE + 12] = 1;
    spill(t->file, f.bytes, f.length);
    assert_int_equal(pages_get(&s, "policies", "k000001", 7, &value, &length),
                     BIDE_EDAMAGED);
    f.bytes[page * PAGE + 15] = 0x7f; /* nor past the end of the file */
    spill(t->file, f.bytes, f.length);
    assert_int_equal(pages_get(&s, "policies", "k000001", 7, &value, &length),
                     BIDE_EDAMAGED);
    pages_close(p);
    free(f.bytes);
}

static void
an_empty_lmdb_file_is_whole(void **state)
{
    struct scratch *t = *state;

    mdb_env_close(lmdb_env(t->file));
    assert_int_equal(check_file(t->file), 0);
}

/* A transaction that was killed, or ran out of space, may leave such bytes. */
static void
bytes_after_the_last_page_are_ignored(void **state)
{
    static const size_t more[] = {1, 100, 4095, 4096, 10000};
    struct scratch *t = *state;
    uint64_t seed = 11;
    uint8_t *bytes;
    size_t length;

    lmdb_churn(t->file, &seed, 12, 60, 200);
    bytes = slurp(t->file, &length);
    bytes = realloc(bytes, length + 10000);
    assert_non_null(bytes);
    memset(bytes + length, 0xab, 10000);
    for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++) {
        spill(t->file, bytes, length + more[i]);
        assert_int_equal(check_file(t->file), 0);
    }
    free(bytes);
}

/* The transactions also drop whole databases, and values grow and shrink. */
static void
files_after_random_transactions_are_whole(void **state)
{
    struct scratch *t = *state;
    uint64_t seed = 100;

    for (unsigned round = 0; round < 150; round++) {
        lmdb_churn(t->file, &seed, 1 + round % 3,
                   1 + (unsigned)below(&seed, 400),
                   1 + (unsigned)below(&seed, 900));
        if (round % 20 == 19) {
            MDB_env *env = lmdb_env(t->file);
            MDB_txn *txn;
            MDB_dbi dbi;

            assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
            assert_int_equal(mdb_dbi_open(txn, "versions", 0, &dbi), 0);
            assert_int_equal(mdb_drop(txn, dbi, (int)below(&seed, 2)), 0);
            assert_int_equal(mdb_txn_commit(txn), 0);
            mdb_env_close(env);
        }
        if (check_file(t->file)) {
            fail_msg("round %u: %s", round, pages_why());
        }
    }
}

/* ---- a page by itself ---- */

static void
the_example_page_of_page_c_is_read(void **state)
{
    static const uint8_t head[] = {2, 0, 0, 0,  0, 0,    0,    0,    0,
                                   0, 2, 0, 18, 0, 0xf4, 0x0f, 0xf4, 0x0f};
    static const uint8_t node[] = {3, 0, 0, 0, 0, 0, 1, 0, 'a', 'x', 'y', 'z'};
    uint8_t page[PAGE] = {0};
    struct node n;

    (void)state;
    memcpy(page, head, sizeof(head));
    memcpy(page + 0xff4, node, sizeof(node));
    assert_null(page_fault(page, PAGE, 2, PAGE_LEAF, false));
    assert_null(page_tight(page, PAGE));
    assert_int_equal(page_count(page), 1);
    n = page_node(page, 0);
    assert_int_equal(n.key_length, 1);
    assert_int_equal(n.key[0], 'a');
    assert_int_equal(n.value_length, 3);
    assert_memory_equal(n.value, "xyz", 3);
    assert_int_equal(page_find(page, false, 0, "a", 1), 0);
    assert_int_equal(page_find(page, false, 0, "A", 1), 0);
    assert_int_equal(page_find(page, false, 0, "aa", 2), 1);
    assert_non_null(page_fault(page, PAGE, 3, PAGE_LEAF, false));
    assert_non_null(page_fault(page, PAGE, 2, PAGE_BRANCH, false));
    assert_non_null(page_fault(page, PAGE, 2, PAGE_LEAF, true));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH(a_check_finds_all_damage_that_lmdb_cannot_handle),
        SCRATCH(a_walk_detects_lost_records),
        SCRATCH(a_page_in_the_place_of_another_is_detected),
        SCRATCH(a_long_value_longer_than_its_pages_is_damage),
        SCRATCH(an_empty_lmdb_file_is_whole),
        SCRATCH(bytes_after_the_last_page_are_ignored),
        SCRATCH(files_after_random_transactions_are_whole),
        cmocka_unit_test(the_example_page_of_page_c_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
