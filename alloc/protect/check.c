/* SPDX-License-Identifier: MIT */
#include "protect/check.h"

#include <string.h>

#include "base/canary.h"
#include "base/freelist.h"
#include "kit/modes.h"
#include "kit/quarantine.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/plain.h"
#include "callers/stacks.h"
#include "protect/check_canaries.h"
#include "protect/check_records.h"
#include "protect/judge.h"

#define PATTERN 0xdb /* in freed blocks, where M_PERTURB names no other */
#define ALIGN_SHIFT_MAX ADDRESS_BITS
#define ALIGN_SHIFT_LEAST 4 /* of BLOCK_ALIGN */

/* From here on a block that is resized moves its pages rather than its bytes. */
#define RESIZE_MIN (128 * KIB)

static struct lock check_lock;
static uint64_t places[QUARANTINE_BLOCKS] BIG_TABLE;
static struct quarantine quarantine = {.places = places, .queue = QUARANTINE_BLOCKS}; /* of records */
static size_t quarantine_bytes;
static bool pedantic;

static void lock(const void *p) {
    (void)p;
    lock_acquire(&check_lock, LOCK_CHECK);
}

static void unlock(const void *p) {
    (void)p;
    lock_release(&check_lock, LOCK_CHECK);
}

/* ---- what is known of a block ------------------------------------------------------------------------------------ */

/* The first byte of a block's memory that tells a fault; NULL if none does. */
static const char *changed(const struct check_record *record) {
    if (record->plain == NULL || record->state == CHECK_UNUSED || record->state == CHECK_DETACHED)
        return NULL;
    if (record->state == CHECK_FREED) {
        size_t same = check_pattern_length((unsigned char *)record->block, record->pattern, record->bytes);
        if (same < record->bytes)
            return record->block + same;
    }
    return record->bare ? NULL : check_canaries_look(record);
}

static struct fault_block known(const struct check_record *record) {
    return (struct fault_block){.start = record->block, .bytes = record->bytes, .align = (size_t)1 << record->align_shift,
                                .alloc_call = record->alloc_call, .free_call = record->free_call,
                                .alloc_stack = record->alloc_stack, .free_stack = record->free_stack,
                                .alloc_thread = record->alloc_thread, .free_thread = record->free_thread,
                                .freed = record->state == CHECK_FREED};
}

static void dump(const struct check_record *record, const char *at, struct fault *fault) {
    const char *block = record->block, *end = block + record->bytes;
    if (at < block)
        fault_dump_canary(fault, at, block - CHECK_CANARY, block, CHECK_SECRET, NULL);
    else if (at >= end)
        fault_dump_canary(fault, at, end, check_tail_end(record), CHECK_SECRET, NULL);
    else
        fault_dump_pattern(fault, at, block, end, record->pattern);
}

/* Notes what has not been reported before; false if there is nothing. */
static bool look_locked(struct check_record *record, struct fault *fault) {
    const char *at = record->reported ? NULL : changed(record);
    if (at == NULL)
        return false;
    record->reported = !fault_has_handler();
    fault->kind = record->state == CHECK_FREED ? FAULT_WRITTEN_FREED : at < record->block ? FAULT_HEAD : FAULT_TAIL;
    fault->block_known = true;
    fault->block = known(record);
    fault->offset = at - record->block;
    dump(record, at, fault);
    return true;
}

/* ---- quarantine -------------------------------------------------------------------------------------------------- */

static size_t held_bytes(const struct check_record *record) {
    return record->plain != NULL ? record->bytes : 0;
}

/* A record whose time in quarantine is over: the plain block is put on the list of those to free. */
static void let_go_locked(struct check_record *record, struct fault_list *faults, void **left) {
    struct fault fault = {0};
    if (look_locked(record, &fault))
        *fault_add(faults, FAULT_AT_RELEASE, record->block) = fault;
    quarantine_bytes -= held_bytes(record);
    if (record->plain != NULL)
        freelist_push(left, record->plain);
    check_record_drop(record);
}

/* What is looked at when the next ones leave the quarantine was last touched when they came: read in order, each record and
 * block would be waited for. That took a fifth of the time of programs that allocate much. */
static void expect_leaving(void) {
    const struct check_record *later = (void *)(uintptr_t)quarantine_soon(&quarantine, 8);
    const struct check_record *soon = (void *)(uintptr_t)quarantine_soon(&quarantine, 4);
    PREFETCH(later);
    if (soon == NULL || soon->plain == NULL)
        return;
    check_record_expect(soon->block);
    PREFETCH(soon->block - CHECK_CANARY);
    PREFETCH(check_tail_end(soon) - 1);
}

/* A block that is too large to be kept gives its plain block back at once; so does what is pushed out for it. */
static void hold_locked(struct check_record *record, struct fault_list *faults, void **left) {
    record->state = CHECK_FREED;
    record->pattern = tunables.perturb != 0 ? (uint8_t)tunables.perturb : PATTERN;
    if (record->bytes > QUARANTINE_LARGE) {
        freelist_push(left, record->plain);
        record->plain = NULL;
    } else {
        memset(record->block, record->pattern, record->bytes);
    }
    quarantine_bytes += held_bytes(record);
    record->place = quarantine_next(&quarantine);
    expect_leaving();
    struct check_record *out = (void *)(uintptr_t)quarantine_push(&quarantine, NULL, (uintptr_t)record);
    if (out != NULL)
        let_go_locked(out, faults, left);
}

/* A record whose memory is gone must not stand in the way of a new block at its address. */
static void forget_gone_locked(const void *block) {
    struct check_record *gone = check_record_find(block);
    if (gone == NULL)
        return;
    ASSERT(gone->state == CHECK_FREED && gone->plain == NULL); /* H1 */
    quarantine_remove(&quarantine, gone->place);
    check_record_drop(gone);
}

static void free_all(void *left, const char *call) {
    while (left != NULL)
        plain_free(freelist_pop(&left), call);
}

/* Lets the oldest go, one by one and each told, while there are too many bytes, or until none is left. */
static void release_overdue(bool all, const char *call) {
    struct check_record *record;
    do {
        struct fault_list faults;
        void *left = NULL;
        faults.count = 0;
        lock(NULL);
        bool over = all || quarantine_bytes > QUARANTINE_BYTES;
        record = over ? (void *)(uintptr_t)quarantine_pull(&quarantine) : NULL;
        if (record != NULL)
            let_go_locked(record, &faults, &left);
        unlock(NULL);
        fault_tell_all(&faults);
        free_all(left, call);
    } while (record != NULL);
}

static size_t trim(bool all) {
    if (all)
        release_overdue(true, FAULT_AT_RELEASE);
    return 0;
}

/* ---- allocation -------------------------------------------------------------------------------------------------- */

/* Makes a checked block out of a plain one; NULL if memory for the record is refused. */
static void *enter(char *plain, size_t bytes, size_t align, const char *call) {
    char *block = plain + align;
    check_record_expect(block); /* while the call stack is taken */
    uint32_t here = stacks_capture();
    lock(NULL);
    forget_gone_locked(block);
    const struct check_record *record = check_record_enter(
        &(struct check_record){.block = block, .plain = plain, .bytes = bytes, .align_shift = (uint8_t)high_bit(align),
                               .alloc_call = call, .alloc_stack = here, .alloc_thread = report_thread_life(),
                               .state = CHECK_LIVE});
    if (record != NULL)
        check_canaries_write(record);
    unlock(NULL);
    return record != NULL ? block : NULL;
}

static void *alloc(size_t bytes, size_t align, bool *zeroed, const char *call) {
    align = max_size(align, CHECK_CANARY);
    char *plain = plain_alloc(check_plain_bytes_for(bytes, align), align, zeroed);
    void *p = plain != NULL ? enter(plain, bytes, align, call) : NULL;
    if (p == NULL && plain != NULL)
        plain_free(plain, call);
    return p;
}

/* A plain block from before the checks. One that is too large to be kept would leave a record at an address that the next
 * plain block may have: it is freed as if nothing checked. */
static bool adopt(void *p, size_t bytes, const char *call) {
    struct fault_list faults;
    void *left = NULL;
    if (bytes > QUARANTINE_LARGE)
        return false;
    uint32_t here = stacks_capture();
    faults.count = 0;
    lock(p);
    struct check_record *record = check_record_enter(
        &(struct check_record){.block = p, .plain = p, .bytes = bytes, .align_shift = ALIGN_SHIFT_LEAST, .bare = true,
                               .alloc_call = "a call that was not checked", .free_call = call, .free_stack = here,
                               .free_thread = report_thread_life(),
                               .state = CHECK_FREED});
    if (record != NULL)
        hold_locked(record, &faults, &left);
    unlock(p);
    fault_tell_all(&faults);
    free_all(left, call);
    release_overdue(false, call);
    return record != NULL;
}

/* ---- one block ---------------------------------------------------------------------------------------------------- */

/* True if a known block lies in the plain block that starts here, behind a canary as long as its alignment. */
static bool holds_locked(const void *plain) {
    bool held = false;
    for (unsigned shift = ALIGN_SHIFT_LEAST; shift < ALIGN_SHIFT_MAX && !held; shift++) {
        const struct check_record *record = check_record_find((const char *)plain + ((size_t)1 << shift));
        held = record != NULL && record->plain == plain;
    }
    return held;
}

static bool owns(const void *p) {
    PREFETCH((const void *)((uintptr_t)p - CHECK_CANARY)); /* p may be any number */
    lock(p);
    const struct check_record *record = check_record_find(p);
    bool owns = record != NULL || holds_locked(p);
    PREFETCH(record);
    unlock(p);
    return owns;
}

static bool covers(const struct check_record *record, const char *p) {
    return record->state != CHECK_UNUSED && record->plain != NULL && p >= record->plain &&
           p < (record->bare ? record->block + record->bytes : check_tail_end(record));
}

static const struct check_record *around_locked(const void *p) {
    for (const struct check_chunk *chunk = check_chunks; chunk != NULL; chunk = chunk->next)
        for (size_t i = 0; i < CHUNK_RECORDS; i++)
            if (covers(&chunk->records[i], p))
                return &chunk->records[i];
    return NULL;
}

static enum found find(const void *p, struct fault_block *block) {
    const struct check_record *record = check_record_find(p), *around = record != NULL ? record : around_locked(p);
    if (around == NULL)
        return FOUND_NOTHING;
    *block = known(around);
    return record == NULL ? FOUND_NEAR : record->state == CHECK_LIVE ? FOUND_LIVE : FOUND_FREED;
}

static void look(const void *p, bool again, struct fault *fault) {
    struct check_record *record = check_record_find(p);
    record->reported &= !again;
    look_locked(record, fault);
}

static void *retire(void *p, const char *call, uint32_t stack, struct fault_list *faults) {
    struct check_record *record = check_record_find(p);
    void *left = NULL;
    record->free_call = call;
    record->free_stack = stack;
    record->free_thread = report_thread_life();
    hold_locked(record, faults, &left);
    return left;
}

static void release(void *left, const char *call) {
    free_all(left, call);
    release_overdue(false, call);
}

static void shrink(void *p, size_t bytes, const char *call, uint32_t stack) {
    struct check_record *record = check_record_find(p);
    record->bytes = bytes;
    record->alloc_call = call;
    record->alloc_stack = stack;
    record->alloc_thread = report_thread_life();
    check_canaries_write(record);
}

/* ---- resizing ----------------------------------------------------------------------------------------------------- */

/* Takes a live block out of the table while its plain block is resized; NULL if it is not live, or has another alignment than
 * plain blocks, which the resized one might lose. */
static struct check_record *detach(void *p) {
    lock(p);
    struct check_record *record = check_record_find(p);
    if (record != NULL && (record->state != CHECK_LIVE || record->align_shift != ALIGN_SHIFT_LEAST))
        record = NULL;
    if (record != NULL)
        check_record_detach(record);
    unlock(p);
    return record;
}

/* Back in, in a plain block that may be another, of a size that may be another. Cannot fail. */
static void *attach(struct check_record *record, char *plain, size_t bytes, const char *call) {
    uint32_t here = stacks_capture();
    char *block = plain + ((size_t)1 << record->align_shift);
    lock(plain);
    forget_gone_locked(block);
    if (block != record->block || bytes != record->bytes) {
        record->alloc_call = call;
        record->alloc_stack = here;
        record->alloc_thread = report_thread_life();
    }
    record->block = block;
    record->plain = plain;
    record->bytes = bytes;
    check_record_attach(record);
    check_canaries_write(record);
    unlock(plain);
    return block;
}

static void *resize(void *p, size_t old, size_t bytes, const char *call) {
    size_t room = check_plain_bytes_for(bytes, BLOCK_ALIGN);
    if (old < RESIZE_MIN || bytes < RESIZE_MIN || room == SIZE_MAX)
        return NULL;
    judge_use(&check_protection, p, call);
    struct check_record *record = detach(p);
    if (record == NULL)
        return NULL;
    char *moved = plain_resize(record->plain, room);
    p = attach(record, moved ? moved : record->plain, moved ? bytes : old, call);
    return moved ? p : NULL;
}

/* ---- all blocks --------------------------------------------------------------------------------------------------- */

/* The cursor: the chunk's address, and the record in it. Chunks stay where they are, new ones come before the first. */
static bool look_on(struct protection_cursor *cursor, struct fault_list *faults) {
    lock(NULL);
    struct check_chunk *chunk = cursor->at[0] != 0 ? (void *)cursor->at[0] : check_chunks;
    size_t index = cursor->at[1];
    for (; chunk != NULL && faults->count == 0; index++) {
        struct fault fault = {0};
        if (index == CHUNK_RECORDS) {
            chunk = chunk->next;
            index = SIZE_MAX;
        } else if (look_locked(&chunk->records[index], &fault)) {
            *fault_add(faults, "", fault.block.start) = fault;
        }
    }
    cursor->at[0] = (uintptr_t)chunk;
    cursor->at[1] = index;
    unlock(NULL);
    return faults->count > 0;
}

static void walk_quarantine_locked(struct walk *walk) {
    size_t blocks = 0, bytes = 0;
    for (uint32_t i = 0; i < QUARANTINE_BLOCKS; i++) {
        const struct check_record *record = (void *)(uintptr_t)places[i];
        if (record == NULL)
            continue;
        blocks++;
        bytes += held_bytes(record);
        report_walk(walk, record->state == CHECK_FREED && record->place == i && check_record_find(record->block) == record,
                    "check H3", record);
    }
    report_walk(walk, blocks == quarantine.held && bytes == quarantine_bytes, "check H3", &quarantine);
}

static bool is_no_root(const void *p) {
    lock(p);
    bool is = check_records_cover(p);
    unlock(p);
    return is;
}

static void walk(struct walk *walk) {
    lock(NULL);
    check_records_walk(walk);
    walk_quarantine_locked(walk);
    unlock(NULL);
}

void check_set_handler(void (*function)(enum mcheck_status), bool always) {
    lock(NULL);
    pedantic |= always;
    unlock(NULL);
    fault_set_handler(function);
}

bool check_is_pedantic(void) {
    return pedantic;
}

const struct lock_set check_locks = {.rank = LOCK_CHECK, .lock = &check_lock, .forked = check_records_forked};

void check_each(void (*see)(const void *plain, size_t asked, void *data), void *data) {
    lock_acquire(&check_lock, LOCK_CHECK);
    for (const struct check_chunk *chunk = check_chunks; chunk != NULL; chunk = chunk->next)
        for (size_t i = 0; i < CHUNK_RECORDS; i++) {
            const struct check_record *record = &chunk->records[i];
            if (record->plain != NULL && (record->state == CHECK_LIVE || record->state == CHECK_FREED))
                see(record->plain, record->state == CHECK_LIVE ? record->bytes : 0, data);
        }
    lock_release(&check_lock, LOCK_CHECK);
}

const struct protection check_protection = {
    .mode = MODE_CHECK,
    .serves_all = true,
    .alloc = alloc,
    .resize = resize,
    .adopt = adopt,
    .trim = trim,
    .owns = owns,
    .lock = lock,
    .unlock = unlock,
    .find = find,
    .look = look,
    .retire = retire,
    .release = release,
    .shrink = shrink,
    .look_on = look_on,
    .walk = walk,
    .is_no_root = is_no_root,
};
