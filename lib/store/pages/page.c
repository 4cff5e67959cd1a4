/* Reads one page of a file in the format that LMDB 0.9.24 writes on a 64-bit
 * little-endian machine.
 *
 *   page    0 number u64 | 8 pad u16 | 10 flags u16 | 12 lower u16 | 14 upper
 *           16 offsets of the nodes, u16 each, up to `lower`; free space; nodes
 *           from `upper` to the end.  Overflow: 12 pages u32; 16 bytes of data
 *           that go on in the pages that follow, which have no header.
 *   node    0 low u16 | 2 high u16 | 4 flags u16 | 6 key length u16 | 8 key,
 *           value.  Leaf: value length = low | high << 16; branch: child page
 *           = low | high << 16 | flags << 32.  NODE_BIG: the value is the
 *           number of the first overflow page, u64.  Padded to even sizes.
 *   tree    0 pad u32 | 4 flags u16 | 6 depth u16 | 8 branch pages u64 |
 *           16 leaf pages | 24 overflow pages | 32 entries | 40 root
 *   meta    0 magic u32 | 4 version u32 | 8 address u64 | 16 map size u64 |
 *           24 tree of free pages (its pad is the page size) | 72 main tree |
 *           120 last page u64 | 128 txn u64; after the header of a page
 *
 * Example, a leaf of 4096 bytes that holds "a" -> "xyz":
 *   02 00 00 00 00 00 00 00  00 00  02 00  12 00  f4 0f   page 2, leaf
 *   f4 0f                                                 one node, at 0xff4
 *   ... at 0xff4: 03 00 00 00  00 00  01 00  'a' 'x' 'y' 'z' */
#include "page.h"

#include <assert.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "bide's registry is little-endian"
#endif

enum {
    MAGIC = 0xBEEFC0DE,
    VERSION = 1,
    NODE_HEADER = 8,
    OFFSET = 2,
    /* Flags of a tree: its keys are numbers; and all flags that change the
     * content of its pages, of which bide uses no other. */
    TREE_NUMBERS = 0x08,
    TREE_MASK = 0x7e,
};

_Static_assert(sizeof(struct tree) == 48, "tree");
_Static_assert(sizeof(struct meta) == 136, "meta");

/* Returns the number in `size` bytes; inlined, so that it is one load. */
static inline __attribute__((always_inline)) uint64_t
load(const uint8_t *p, size_t size)
{
    uint64_t number = 0;

    memcpy(&number, p, size);
    return number;
}

static inline uint16_t
load_u16(const uint8_t *p)
{
    return (uint16_t)load(p, 2);
}

static const uint8_t *
node_at(const uint8_t *page, unsigned index)
{
    return page + load_u16(page + PAGE_HEADER + index * OFFSET);
}

/* Returns the size of a node in bytes, without padding; at most 2^33, so that
 * no sum with it overflows. */
static uint64_t
node_size(const uint8_t *node, enum page_kind kind)
{
    uint64_t size = NODE_HEADER + (uint64_t)load_u16(node + 6);

    if (kind == PAGE_BRANCH) {
        return size;
    }
    if (load_u16(node + 4) & NODE_BIG) {
        return size + sizeof(uint64_t);
    }
    return size + load(node, 4);
}

int
page_compare(bool numbers, const void *a, size_t a_length, const void *b,
             size_t b_length)
{
    size_t shorter = a_length < b_length ? a_length : b_length;
    int order;

    if (numbers && a_length == 8 && b_length == 8) {
        uint64_t x = load(a, 8), y = load(b, 8);

        return (x > y) - (x < y);
    }
    order = shorter ? memcmp(a, b, shorter) : 0;
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

unsigned
page_count(const uint8_t *page)
{
    return (load_u16(page + 12) - PAGE_HEADER) / OFFSET;
}

struct node
page_node(const uint8_t *page, unsigned index)
{
    const uint8_t *p = node_at(page, index);
    struct node n = {.key = p + NODE_HEADER, .key_length = load_u16(p + 6)};

    if (load_u16(page + 10) == PAGE_BRANCH) {
        n.page = load(p, 4) | load(p + 4, 2) << 32;
        return n;
    }
    n.flags = load_u16(p + 4);
    n.value_length = load(p, 4);
    if (n.flags & NODE_BIG) {
        n.page = load(n.key + n.key_length, 8);
    } else {
        n.value = n.key + n.key_length;
    }
    return n;
}

/* Returns the fault of a node, or NULL. */
static const char *
node_fault(const uint8_t *page, uint32_t size, unsigned index,
           enum page_kind kind, bool numbers)
{
    uint32_t offset = load_u16(page + PAGE_HEADER + index * OFFSET);
    uint32_t key_length;

    /* `upper` is past the offsets (page_fault), so offset must not be below. */
    if (offset < load_u16(page + 14) || offset > size - NODE_HEADER ||
        offset % 2) {
        return "a node lies outside the page";
    }
    if (node_size(page + offset, kind) > size - offset) {
        return "a node is longer than the page";
    }
    key_length = load_u16(page + offset + 6);
    /* The first key of a branch is not used: its child begins the range. */
    if (key_length > PAGE_KEY_MAX ||
        (!key_length && (kind != PAGE_BRANCH || index))) {
        return "a key has a wrong length";
    }
    if (kind == PAGE_LEAF && load_u16(page + offset + 4) > NODE_TREE) {
        return "a node has an unknown type";
    }
    if (numbers && key_length != 8 && (kind != PAGE_BRANCH || index)) {
        return "a key is not a number";
    }
    return NULL;
}

const char *
page_fault(const uint8_t *page, uint32_t size, uint64_t number,
           enum page_kind kind, bool numbers)
{
    uint32_t lower = load_u16(page + 12), upper = load_u16(page + 14);
    unsigned first = kind == PAGE_BRANCH; /* the first key that is used */
    /* LMDB may leave one child in a branch of the list of free pages. */
    unsigned least = kind == PAGE_BRANCH && !numbers ? 2 : 1;
    struct node before = {.key_length = 0};

    if (load(page, 8) != number) {
        return "it has the number of another page";
    }
    if (load_u16(page + 10) != kind) {
        return "it has the wrong type";
    }
    if (lower < PAGE_HEADER || lower % OFFSET || lower > upper ||
        upper > size || upper % 2) {
        return "its bounds are wrong";
    }
    if (page_count(page) < least) {
        return "it is empty";
    }
    for (unsigned i = 0; i < page_count(page); i++) {
        const char *fault = node_fault(page, size, i, kind, numbers);
        struct node n;

        if (fault) {
            return fault;
        }
        n = page_node(page, i);
        if (i > first && page_compare(numbers, before.key, before.key_length,
                                      n.key, n.key_length) >= 0) {
            return "its keys are out of order";
        }
        before = n;
    }
    return NULL;
}

unsigned
page_find(const uint8_t *page, bool numbers, unsigned low, const void *key,
          size_t key_length)
{
    unsigned high = page_count(page);

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        struct node n = page_node(page, middle);

        if (page_compare(numbers, n.key, n.key_length, key, key_length) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

unsigned
page_child(const uint8_t *page, bool numbers, const void *key,
           size_t key_length)
{
    unsigned i = page_find(page, numbers, 1, key, key_length);
    struct node n;

    if (i < page_count(page)) {
        n = page_node(page, i);
        if (!page_compare(numbers, n.key, n.key_length, key, key_length)) {
            return i;
        }
    }
    return i - 1;
}

const char *
page_tight(const uint8_t *page, uint32_t size)
{
    enum page_kind kind = load_u16(page + 10);
    uint64_t most = (((size - PAGE_HEADER) / 2) & ~1u) - OFFSET, sum = 0;
    uint8_t taken[PAGE_SIZE_MAX];
    unsigned used = 0;

    assert(size <= sizeof(taken)); /* page_meta */
    memset(taken, 0, size);
    for (unsigned i = 0; i < page_count(page); i++) {
        const uint8_t *node = node_at(page, i);
        uint64_t whole = node_size(node, kind);

        if (whole > most) {
            return "a node is larger than LMDB makes them";
        }
        whole += whole % 2;
        if (whole > (uint64_t)(page + size - node)) {
            return "a node is longer than the page";
        }
        memset(taken + (node - page), 1, whole);
        sum += whole;
    }
    for (unsigned i = 0; i < size; i++) {
        used += taken[i];
    }
    if (used != sum || sum != size - load_u16(page + 14)) {
        return "its nodes overlap or leave gaps";
    }
    return NULL;
}

uint32_t
page_run(const uint8_t *header, uint64_t number)
{
    if (load(header, 8) != number || load_u16(header + 10) != PAGE_OVERFLOW) {
        return 0;
    }
    return (uint32_t)load(header + 12, 4);
}

const char *
page_tree_fault(const struct tree *t, uint64_t last_page)
{
    if (t->root == PAGE_NONE) {
        return t->entries || t->depth ? "it has entries but no pages" : NULL;
    }
    if (t->root < 2 || t->root > last_page) {
        return "its root is not a page of the file";
    }
    if (!t->depth || t->depth > PAGE_DEPTH_MAX) {
        return "its depth is impossible";
    }
    if (!t->entries || !t->leaf_pages || t->leaf_pages > last_page ||
        t->branch_pages > last_page || t->overflow_pages > last_page) {
        return "its sizes are impossible";
    }
    return NULL;
}

const char page_other_version[] = "its LMDB format has another version";

const char *
page_meta(const uint8_t *page, uint64_t number, struct meta *out)
{
    uint32_t size;

    memcpy(out, page + PAGE_HEADER, sizeof(*out));
    size = out->free.page_size;
    if (load(page, 8) != number || load_u16(page + 10) != PAGE_META ||
        out->magic != MAGIC) {
        return "it is not an LMDB file";
    }
    if (size < PAGE_SIZE_MIN || size > PAGE_SIZE_MAX || size & (size - 1)) {
        return "its page size is impossible";
    }
    if (out->version != VERSION) {
        return page_other_version;
    }
    if ((out->free.flags & TREE_MASK) != TREE_NUMBERS || out->main.flags) {
        return "its main tree is not one of bide's";
    }
    return NULL;
}
