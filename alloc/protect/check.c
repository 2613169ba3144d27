/* SPDX-License-Identifier: MIT */
#include "protect/check.h"

#include <string.h>

#include "base/address_map.h"
#include "os/os.h"
#include "kit/budget.h"
#include "kit/lock.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/region.h"
#include "callers/stacks.h"
#include "protect/fault.h"
#include "protect/hardened.h"

#define CANARY BLOCK_ALIGN
#define PATTERN 0xdb /* in freed blocks, where M_PERTURB names no other */
#define SLAB_RECORDS 128
#define ALIGN_SHIFT_MAX ADDRESS_BITS

struct slab {
    struct slab *next;
    struct check_record records[SLAB_RECORDS];
};

struct entry {
    char *block;
    struct check_record *record;
};

static struct lock check_lock;
static struct slab *slabs;
static struct check_record *unused;
static struct address_map records = ADDRESS_MAP(struct entry);
static size_t detached; /* records that are not in the map for a moment, and for which it has room */
static struct check_record *newest, *oldest;
static size_t quarantine_blocks, quarantine_bytes;
static bool pedantic;

/* ---- records ----------------------------------------------------------------------------------------------------- */

static struct check_record *find_locked(const void *block) {
    const struct entry *entry = address_map_find(&records, block);
    return entry != NULL ? entry->record : NULL;
}

static void table_insert_locked(struct check_record *record) {
    ((struct entry *)address_map_insert(&records, record->block))->record = record;
}

static void table_remove_locked(const struct check_record *record) {
    address_map_remove(&records, address_map_find(&records, record->block));
}

bool check_is_table(const void *p) {
    lock_acquire(&check_lock, LOCK_CHECK);
    bool is = address_map_covers(&records, p);
    lock_release(&check_lock, LOCK_CHECK);
    return is;
}

static struct check_record *record_new_locked(void) {
    if (unused == NULL) {
        struct slab *slab = region_meta(sizeof *slab);
        if (slab == NULL)
            return NULL;
        slab->next = slabs;
        slabs = slab;
        for (size_t i = 0; i < SLAB_RECORDS; i++) {
            slab->records[i].older = unused;
            unused = &slab->records[i];
        }
    }
    if (!budget_grow_map(&records, detached + 1))
        return NULL;
    struct check_record *record = unused;
    unused = record->older;
    *record = (struct check_record){0};
    return record;
}

static void record_drop_locked(struct check_record *record) {
    record->state = CHECK_UNUSED;
    record->older = unused;
    unused = record;
}

/* ---- canaries and patterns --------------------------------------------------------------------------------------- */

static void canary_make(const char *block, bool tail, unsigned char out[CANARY]) {
    uint64_t words[CANARY / 8];
    for (size_t i = 0; i < CANARY / 8; i++)
        words[i] = ((uintptr_t)block + 2 * i + tail) * UINT64_C(0x9e3779b97f4a7c15) | UINT64_C(0x8080808080808080);
    memcpy(out, words, CANARY);
}

static void canaries_write(const struct check_record *record) {
    canary_make(record->block, false, (unsigned char *)record->block - CANARY);
    canary_make(record->block, true, (unsigned char *)record->block + record->bytes);
}

/* Finds the changed canary byte next to the block. */
static enum fault_kind canaries_look(const struct check_record *record, ptrdiff_t *offset) {
    unsigned char head[CANARY], tail[CANARY];
    const unsigned char *before = (unsigned char *)record->block - CANARY, *behind = before + CANARY + record->bytes;
    canary_make(record->block, false, head);
    canary_make(record->block, true, tail);
    for (size_t i = CANARY; i-- > 0;)
        if (before[i] != head[i]) {
            *offset = (ptrdiff_t)i - (ptrdiff_t)CANARY;
            return FAULT_HEAD;
        }
    for (size_t i = 0; i < CANARY; i++)
        if (behind[i] != tail[i]) {
            *offset = (ptrdiff_t)(record->bytes + i);
            return FAULT_TAIL;
        }
    return FAULT_NONE;
}

/* Position of the first byte that is not the pattern, or `bytes`. */
static size_t pattern_length(const unsigned char *p, unsigned char pattern, size_t bytes) {
    if (bytes == 0 || (p[0] == pattern && memcmp(p, p + 1, bytes - 1) == 0))
        return bytes;
    size_t at = 0;
    while (at < bytes && p[at] == pattern)
        at++;
    return at;
}

/* What the memory of a block says. */
static enum fault_kind record_look(const struct check_record *record, ptrdiff_t *offset) {
    if (record->plain == NULL || record->state == CHECK_UNUSED || record->state == CHECK_DETACHED)
        return FAULT_NONE;
    if (record->state == CHECK_FREED) {
        size_t same = pattern_length((unsigned char *)record->block, record->pattern, record->bytes);
        *offset = (ptrdiff_t)same;
        if (same < record->bytes)
            return FAULT_WRITTEN_FREED;
    }
    enum fault_kind kind = record->bare ? FAULT_NONE : canaries_look(record, offset);
    return kind != FAULT_NONE && record->state == CHECK_FREED ? FAULT_WRITTEN_FREED : kind;
}

/* ---- reports ------------------------------------------------------------------------------------------------------ */

static struct fault_block known(const struct check_record *record) {
    return (struct fault_block){.start = record->block, .bytes = record->bytes, .align = record->align,
                                .alloc_call = record->alloc_call, .free_call = record->free_call,
                                .alloc_stack = record->alloc_stack, .free_stack = record->free_stack,
                                .freed = record->state == CHECK_FREED};
}

/* As record_look, for what has not been said before. */
static enum fault_kind news_locked(struct check_record *record, ptrdiff_t *offset) {
    enum fault_kind kind = record->told ? FAULT_NONE : record_look(record, offset);
    record->told |= kind != FAULT_NONE && !fault_has_handler();
    return kind;
}

static void note_locked(struct fault *fault, enum fault_kind kind, const struct check_record *record) {
    fault->kind = kind;
    fault->block_known = true;
    fault->block = known(record);
}

/* ---- quarantine -------------------------------------------------------------------------------------------------- */

static void quarantine_remove_locked(struct check_record *record) {
    *(record->newer ? &record->newer->older : &newest) = record->older;
    *(record->older ? &record->older->newer : &oldest) = record->newer;
    quarantine_blocks--;
    quarantine_bytes -= record->plain != NULL ? record->bytes : 0;
}

/* The plain block to free now, if it is too large to be kept. */
static void *quarantine_insert_locked(struct check_record *record) {
    void *plain = record->bytes > QUARANTINE_LARGE ? record->plain : NULL;
    record->state = CHECK_FREED;
    record->pattern = tunables.perturb != 0 ? (uint8_t)tunables.perturb : PATTERN;
    if (plain != NULL)
        record->plain = NULL;
    else
        memset(record->block, record->pattern, record->bytes);
    record->newer = NULL;
    record->older = newest;
    *(newest ? &newest->newer : &oldest) = record;
    newest = record;
    quarantine_blocks++;
    quarantine_bytes += record->plain != NULL ? record->bytes : 0;
    return plain;
}

/* A record whose memory is gone must not stand in the way of a new block at its address. */
static void forget_gone_locked(const void *block) {
    struct check_record *gone = find_locked(block);
    if (gone == NULL)
        return;
    ASSERT(gone->state == CHECK_FREED && gone->plain == NULL); /* H1 */
    quarantine_remove_locked(gone);
    table_remove_locked(gone);
    record_drop_locked(gone);
}

static bool is_over_locked(void) {
    return quarantine_blocks > QUARANTINE_BLOCKS || quarantine_bytes > QUARANTINE_BYTES;
}

void *check_overdue(bool all) {
    struct fault fault = {0};
    void *plain = NULL;
    lock_acquire(&check_lock, LOCK_CHECK);
    while (plain == NULL && oldest != NULL && (all || is_over_locked())) {
        struct check_record *record = oldest;
        enum fault_kind kind = news_locked(record, &fault.offset);
        if (kind != FAULT_NONE)
            note_locked(&fault, kind, record);
        plain = record->plain;
        quarantine_remove_locked(record);
        table_remove_locked(record);
        record_drop_locked(record);
    }
    lock_release(&check_lock, LOCK_CHECK);
    if (fault.kind != FAULT_NONE)
        fault_tell("quarantine", fault.block.start, &fault);
    return plain;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

size_t check_room(size_t bytes, size_t align) {
    size_t around = max_size(align, CANARY) + CANARY;
    return bytes > SIZE_LIMIT - around ? SIZE_MAX : bytes + around;
}

void *check_enter(void *plain, size_t bytes, size_t align, const char *call) {
    uint32_t here = stacks_capture();
    align = max_size(align, CANARY);
    char *block = (char *)plain + align;
    lock_acquire(&check_lock, LOCK_CHECK);
    struct check_record *record = record_new_locked();
    if (record != NULL) {
        forget_gone_locked(block);
        *record =
            (struct check_record){.block = block, .plain = plain, .bytes = bytes, .align = align, .state = CHECK_LIVE};
        record->alloc_call = call;
        record->alloc_stack = here;
        table_insert_locked(record);
        canaries_write(record);
    }
    lock_release(&check_lock, LOCK_CHECK);
    return record != NULL ? block : NULL;
}

/* What is wrong with a call for this block. */
static void judge_locked(struct check_record *record, const char *call, size_t bytes, size_t align,
                         struct fault *fault) {
    if (record->state == CHECK_FREED) {
        note_locked(fault, fault_of_freed(call), record);
        return;
    }
    enum fault_kind kind = record->state == CHECK_LIVE ? news_locked(record, &fault->offset) : FAULT_NONE;
    note_locked(fault, kind, record);
    fault_judge(fault, &fault->block, call, bytes, align);
}

enum check_result check_look(const void *p, const char *call, size_t bytes, size_t align, size_t *size) {
    struct fault fault = {0};
    enum check_result result = CHECK_UNKNOWN;
    lock_acquire(&check_lock, LOCK_CHECK);
    struct check_record *record = find_locked(p);
    if (record != NULL) {
        judge_locked(record, call, bytes, align, &fault);
        *size = record->bytes;
        result = record->state == CHECK_FREED ? CHECK_REFUSED : CHECK_DONE;
    }
    lock_release(&check_lock, LOCK_CHECK);
    if (fault.kind != FAULT_NONE)
        fault_tell(call, p, &fault);
    return result;
}

enum check_result check_size(const void *p, const char *call, size_t *size) {
    lock_acquire(&check_lock, LOCK_CHECK);
    const struct check_record *record = find_locked(p);
    bool live = record != NULL && record->state == CHECK_LIVE;
    if (live)
        *size = record->bytes;
    lock_release(&check_lock, LOCK_CHECK);
    return live ? CHECK_DONE : check_look(p, call, SIZE_MAX, 0, size);
}

enum check_result check_leave(void *p, const char *call, void **plain) {
    uint32_t here = stacks_capture();
    struct fault fault = {0};
    enum check_result result = CHECK_UNKNOWN;
    *plain = NULL;
    lock_acquire(&check_lock, LOCK_CHECK);
    struct check_record *record = find_locked(p);
    if (record != NULL && record->state == CHECK_FREED) { /* another thread came first */
        note_locked(&fault, FAULT_FREED_TWICE, record);
        result = CHECK_REFUSED;
    } else if (record != NULL) {
        record->free_call = call;
        record->free_stack = here;
        *plain = quarantine_insert_locked(record);
        result = CHECK_DONE;
    }
    lock_release(&check_lock, LOCK_CHECK);
    if (fault.kind != FAULT_NONE)
        fault_tell(call, p, &fault);
    return result;
}

bool check_adopt(void *p, size_t bytes, const char *call) {
    uint32_t here = stacks_capture();
    if (bytes > QUARANTINE_LARGE)
        return false;
    lock_acquire(&check_lock, LOCK_CHECK);
    struct check_record *record = record_new_locked();
    if (record != NULL) {
        *record = (struct check_record){.block = p, .plain = p, .bytes = bytes, .align = BLOCK_ALIGN, .bare = true};
        record->alloc_call = "a call that was not checked";
        record->free_call = call;
        record->free_stack = here;
        table_insert_locked(record);
        quarantine_insert_locked(record);
    }
    lock_release(&check_lock, LOCK_CHECK);
    return record != NULL;
}

struct check_record *check_detach(void *p, void **plain) {
    lock_acquire(&check_lock, LOCK_CHECK);
    struct check_record *record = find_locked(p);
    if (record != NULL && record->state != CHECK_LIVE)
        record = NULL;
    if (record != NULL) {
        table_remove_locked(record);
        detached++;
        record->state = CHECK_DETACHED;
        *plain = record->plain;
    }
    lock_release(&check_lock, LOCK_CHECK);
    return record;
}

void *check_attach(struct check_record *record, void *plain, size_t bytes, const char *call) {
    uint32_t here = stacks_capture();
    char *block = (char *)plain + record->align;
    lock_acquire(&check_lock, LOCK_CHECK);
    forget_gone_locked(block);
    if (block != record->block || bytes != record->bytes) {
        record->alloc_call = call;
        record->alloc_stack = here;
    }
    record->block = block;
    record->plain = plain;
    record->bytes = bytes;
    record->state = CHECK_LIVE;
    table_insert_locked(record);
    detached--;
    canaries_write(record);
    lock_release(&check_lock, LOCK_CHECK);
    return block;
}

/* ---- all blocks -------------------------------------------------------------------------------------------------- */

bool check_holds(const void *plain) {
    bool held = false;
    lock_acquire(&check_lock, LOCK_CHECK);
    for (unsigned shift = 4; shift < ALIGN_SHIFT_MAX && !held; shift++) {
        const struct check_record *record = find_locked((const char *)plain + ((size_t)1 << shift));
        held = record != NULL && record->plain == plain;
    }
    lock_release(&check_lock, LOCK_CHECK);
    return held;
}

static bool covers(const struct check_record *record, const char *p) {
    return record->state != CHECK_UNUSED && record->plain != NULL && p >= record->plain &&
           p < record->block + record->bytes + (record->bare ? 0 : CANARY);
}

void check_invalid(const void *p, const char *call) {
    struct fault fault = {.kind = FAULT_INVALID};
    lock_acquire(&check_lock, LOCK_CHECK);
    for (const struct slab *slab = slabs; slab != NULL && !fault.block_known; slab = slab->next)
        for (size_t i = 0; i < SLAB_RECORDS && !fault.block_known; i++)
            if (covers(&slab->records[i], p)) {
                note_locked(&fault, FAULT_INVALID, &slab->records[i]);
                fault.offset = (const char *)p - slab->records[i].block;
            }
    lock_release(&check_lock, LOCK_CHECK);
    fault_tell(call, p, &fault);
}

/* Goes on behind the last fault: slabs stay where they are, new ones come before the first. */
static bool next_fault(struct slab **slab, size_t *index, struct fault *fault) {
    lock_acquire(&check_lock, LOCK_CHECK);
    fault->kind = FAULT_NONE;
    for (; *slab != NULL && fault->kind == FAULT_NONE; ++*index) {
        if (*index == SLAB_RECORDS) {
            *slab = (*slab)->next;
            *index = SIZE_MAX;
            continue;
        }
        struct check_record *record = &(*slab)->records[*index];
        enum fault_kind kind = news_locked(record, &fault->offset);
        if (kind != FAULT_NONE)
            note_locked(fault, kind, record);
    }
    lock_release(&check_lock, LOCK_CHECK);
    return fault->kind != FAULT_NONE;
}

void check_all(const char *call) {
    struct fault fault = {0};
    lock_acquire(&check_lock, LOCK_CHECK);
    struct slab *slab = slabs;
    lock_release(&check_lock, LOCK_CHECK);
    size_t index = 0;
    while (!fault_is_telling() && next_fault(&slab, &index, &fault))
        fault_tell(call, fault.block.start, &fault);
    hardened_check(call);
}

void check_pedantic(const char *call) {
    if (pedantic)
        check_all(call);
}

void check_set_handler(void (*function)(enum mcheck_status), bool always) {
    lock_acquire(&check_lock, LOCK_CHECK);
    pedantic |= always;
    lock_release(&check_lock, LOCK_CHECK);
    fault_set_handler(function);
}

enum check_result check_probe(const void *p, const char *call, enum mcheck_status *status) {
    struct fault fault = {0};
    lock_acquire(&check_lock, LOCK_CHECK);
    struct check_record *record = find_locked(p);
    if (record != NULL) {
        enum fault_kind kind = record_look(record, &fault.offset);
        record->told |= kind != FAULT_NONE && !fault_has_handler();
        if (record->state == CHECK_FREED)
            kind = kind == FAULT_NONE ? FAULT_USED_FREED : FAULT_WRITTEN_FREED;
        if (kind != FAULT_NONE)
            note_locked(&fault, kind, record);
    }
    lock_release(&check_lock, LOCK_CHECK);
    if (fault.kind != FAULT_NONE)
        fault_tell(call, p, &fault);
    *status = fault_status(fault.kind);
    return record != NULL ? CHECK_DONE : CHECK_UNKNOWN;
}

static void walk_quarantine_locked(struct walk *walk) {
    const struct check_record *older = NULL, *at = oldest;
    size_t blocks = 0, bytes = 0;
    for (; at != NULL && blocks <= QUARANTINE_BLOCKS; older = at, at = at->newer) {
        blocks++;
        bytes += at->plain != NULL ? at->bytes : 0;
        if (!report_walk(walk, at->state == CHECK_FREED && at->older == older && find_locked(at->block) == at,
                         "check H3", at))
            return;
    }
    report_walk(walk, older == newest && blocks == quarantine_blocks && bytes == quarantine_bytes, "check H3", newest);
}

void check_walk(struct walk *walk) {
    size_t found = 0;
    lock_acquire(&check_lock, LOCK_CHECK);
    for (const struct slab *slab = slabs; slab != NULL; slab = slab->next)
        for (size_t i = 0; i < SLAB_RECORDS; i++) {
            const struct check_record *record = &slab->records[i];
            if (record->state != CHECK_LIVE && record->state != CHECK_FREED)
                continue;
            found++;
            report_walk(walk, find_locked(record->block) == record, "check H1", record);
        }
    report_walk(walk, found == records.count, "check H1", &records);
    const void *lost = address_map_verify(&records);
    report_walk(walk, lost == NULL, "check H1", lost);
    walk_quarantine_locked(walk);
    lock_release(&check_lock, LOCK_CHECK);
}

static void forked(void) {
    detached = 0; /* by threads that are gone */
}

const struct lock_set check_locks = {.rank = LOCK_CHECK, .lock = &check_lock, .forked = forked};
