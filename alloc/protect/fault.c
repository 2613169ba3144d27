/* SPDX-License-Identifier: MIT */
#include "protect/fault.h"

#include <stdatomic.h>
#include <string.h>

#include "base/canary.h"
#include "os/os.h"
#include "kit/finding.h"
#include "kit/readonly.h"
#include "kit/report.h"
#include "kit/text.h"
#include "kit/tunables.h"
#include "heap/plain.h"
#include "callers/backtrace.h"
#include "callers/modules.h"
#include "callers/stacks.h"

/* Stored XORed with a random mask, so an attacker who can write here cannot choose the function. */
static _Atomic uintptr_t handler;
READONLY_PAGES(uintptr_t, handler_mask) = {0}; /* set under protect:paranoid only */
static THREAD_LOCAL bool telling;

#define CALLS_MOST 64
static _Atomic(const char *) calls[CALLS_MOST]; /* filled from 1 on */

enum mcheck_status fault_status(enum fault_kind kind) {
    switch (kind) {
    case FAULT_NONE:
        return MCHECK_OK;
    case FAULT_TAIL:
        return MCHECK_TAIL;
    case FAULT_FREED_TWICE:
    case FAULT_USED_FREED:
    case FAULT_WRITTEN_FREED:
        return MCHECK_FREE;
    default: /* glibc has no other name for what else is wrong with a block */
        return MCHECK_HEAD;
    }
}

static void describe(const char *call, const void *p, const struct fault *fault, char *out, size_t room) {
    static const char *const texts[] = {
        [FAULT_HEAD] = "memory clobbered before allocated block",
        [FAULT_TAIL] = "memory clobbered past end of allocated block",
        [FAULT_FREED_TWICE] = "block freed twice",
        [FAULT_USED_FREED] = "block used after it was freed",
        [FAULT_WRITTEN_FREED] = "memory written after the block was freed",
        [FAULT_INVALID] = INVALID_POINTER,
    };
    const struct fault_block *block = &fault->block;
    if (fault->kind == FAULT_INVALID && !fault->block_known) /* its record may be gone, or it may have been a plain block */
        text_format(out, room, "%s", plain_missing(p, fault_of_freed(call) == FAULT_FREED_TWICE));
    else if (fault->kind == FAULT_FAMILY)
        text_format(out, room, "block allocated by %s", block->alloc_call);
    else if (fault->kind == FAULT_SIZE)
        text_format(out, room, "size %z for a block of %z bytes", fault->named, block->bytes);
    else if (fault->kind == FAULT_ALIGNMENT)
        text_format(out, room, "alignment %z for a block aligned to %z", fault->named, block->align);
    else
        text_format(out, room, "%s", texts[fault->kind]);
}

static void say_stack(struct finding *finding, const char *what, const char *call, int thread, uint32_t stack) {
    unsigned count;
    char name[48];
    void *const *frames = stacks_frames(stack, &count);
    finding_thread(thread, name, sizeof name);
    finding_line(finding, "  %s%s%s%s", what, call, *name != '\0' ? ", " : "", name);
    if (count > 0)
        backtrace_print(finding, frames, count);
}

void fault_say_history(struct finding *finding, const struct fault_block *block) {
    say_stack(finding, "allocated by ", block->alloc_call, block->alloc_thread, block->alloc_stack);
    if (block->freed)
        say_stack(finding, "freed by ", block->free_call, block->free_thread, block->free_stack);
}

void fault_say_summary(struct finding *finding, const char *what, const char *call, const void *where) {
    char place[512];
    if (where != NULL)
        finding_summary(finding, "%s: %s in %s", what, call, backtrace_place(where, place, sizeof place));
    else
        finding_summary(finding, "%s: %s", what, call);
}

/* ---- changed bytes ------------------------------------------------------------------------------------------------ */

/* A row of sixteen bytes before the changed one's and two from there on, as far as they lie in the range. Returns the first
 * byte behind what is kept. */
static const char *keep(struct fault *fault, const char *at, const char *from, const char *to) {
    const char *row = (const char *)align_down((uintptr_t)at, 16), *end = to - row > 32 ? row + 32 : to;
    fault->bytes_start = row - from > 16 ? row - 16 : from;
    fault->bytes_count = (uint8_t)(end - fault->bytes_start);
    fault->changed = 0;
    memcpy(fault->bytes, fault->bytes_start, fault->bytes_count);
    return end;
}

void fault_dump_canary(struct fault *fault, const char *at, const char *from, const char *to, uint64_t secret,
                       const char *nul) {
    keep(fault, at, from, to);
    for (unsigned i = 0; i < fault->bytes_count; i++)
        fault->changed |= (uint64_t)(fault->bytes[i] != canary_byte(secret, fault->bytes_start + i, nul)) << i;
}

void fault_dump_pattern(struct fault *fault, const char *at, const char *from, const char *to, unsigned char pattern) {
    keep(fault, at, from, to);
    for (unsigned i = 0; i < fault->bytes_count; i++)
        fault->changed |= (uint64_t)(fault->bytes[i] != pattern) << i;
}

/* "    0x55dcadd4c020:  9f [41][42] 80  |.AB.|": a row of the bytes from `first` on; the changed ones in brackets, and shown as
 * characters. Returns the first of the next row. */
static unsigned say_row(struct finding *finding, const struct fault *fault, unsigned first) {
    static const char hex[] = "0123456789abcdef";
    char bytes[16 * 4 + 1], characters[17];
    const char *start = fault->bytes_start + first;
    unsigned count = (unsigned)min_size(16 - ((uintptr_t)start & 15), fault->bytes_count - first);
    for (unsigned i = 0; i < count; i++) {
        unsigned char byte = fault->bytes[first + i];
        bool changed = fault->changed >> (first + i) & 1;
        const char shown[4] = {changed ? '[' : ' ', hex[byte >> 4], hex[byte & 15], changed ? ']' : ' '};
        memcpy(bytes + i * 4, shown, 4);
        characters[i] = changed && byte >= ' ' && byte < 0x7f ? (char)byte : '.';
    }
    bytes[count * 4] = characters[count] = '\0';
    finding_line(finding, "    %p: %s |%s|", start, bytes, characters);
    return first + count;
}

static void say_bytes(struct finding *finding, const struct fault *fault) {
    for (unsigned at = 0; at < fault->bytes_count;)
        at = say_row(finding, fault, at);
}

/* ---- what is told ------------------------------------------------------------------------------------------------ */

static void say_block(struct finding *finding, const struct fault *fault) {
    const struct fault_block *block = &fault->block;
    if (fault->kind == FAULT_HEAD || fault->kind == FAULT_TAIL || fault->kind == FAULT_WRITTEN_FREED)
        finding_line(finding, "  block of %z bytes at %p, changed at offset %d",
                     block->bytes, block->start, (int)fault->offset);
    else if (fault->kind == FAULT_INVALID)
        finding_line(finding, "  block of %z bytes at %p, pointer at offset %d",
                     block->bytes, block->start, (int)fault->offset);
    else
        finding_line(finding, "  block of %z bytes at %p", block->bytes, block->start);
    say_bytes(finding, fault);
    fault_say_history(finding, block);
}

/* Found by a look at many blocks, not by a call for this one: where that was says nothing of the fault. */
static bool is_late(const char *call) {
    return strcmp(call, FAULT_AT_EXIT) == 0 || strcmp(call, FAULT_AT_RELEASE) == 0;
}

static void say(const char *call, const void *p, const struct fault *fault, uint32_t here) {
    char what[160];
    struct finding finding;
    unsigned count;
    bool late = is_late(call);
    void *const *frames = stacks_frames(late ? 0 : here, &count);
    describe(call, p, fault, what, sizeof what);
    if (late)
        finding_begin(&finding, "%s: %s", call, what);
    else
        finding_begin(&finding, "%s(%p): %s", call, p, what);
    if (!(report_action & REPORT_SHORT)) {
        if (!late)
            say_stack(&finding, "called from", "", report_thread_life(), here);
        if (fault->block_known)
            say_block(&finding, fault);
        if (fault->more != NULL)
            fault->more(&finding);
        fault_say_summary(&finding, what, call, count > 0 ? (const char *)frames[0] : NULL);
    }
    finding_end(&finding);
}

/* malloc and its kin, new, or new[]. */
static int family(const char *call) {
    if (strncmp(call, "operator", 8) != 0)
        return 0;
    return call[strlen(call) - 1] == ']' ? 2 : 1;
}

/* True if the call of malloc or free that does not fit the other side's operator came from a module with operators of its own,
 * which we do not see: they end in malloc and free, and so the fault may be none. */
static bool is_by_hidden_operator(const char *call, const struct fault *fault) {
    bool frees = family(call) == 0;
    if (fault->kind != FAULT_FAMILY || frees == (family(fault->block.alloc_call) == 0))
        return false;
    unsigned count;
    void *const *frames = stacks_frames(frees ? stacks_capture() : fault->block.alloc_stack, &count);
    return count > 0 && modules_hides_operators((const char *)frames[0] - 1);
}

/* Whether the tunable that is named for the check is on. */
static bool is_wanted(enum fault_kind kind) {
    switch (kind) {
    case FAULT_HEAD:
    case FAULT_TAIL:
        return tunables.overrun;
    case FAULT_FREED_TWICE:
    case FAULT_USED_FREED:
        return tunables.double_free;
    case FAULT_WRITTEN_FREED:
        return tunables.late_write;
    case FAULT_FAMILY:
        return tunables.mismatch;
    case FAULT_SIZE:
    case FAULT_ALIGNMENT:
        return tunables.wrong_size;
    case FAULT_INVALID:
        return tunables.bad_pointer;
    case FAULT_NONE:
        break;
    }
    return true;
}

void fault_tell(const char *call, const void *p, const struct fault *fault) {
    uintptr_t masked = atomic_load_explicit(&handler, memory_order_acquire);
    if (telling || !is_wanted(fault->kind) || is_by_hidden_operator(call, fault))
        return;
    telling = true;
    if (masked != 0) {
        ((void (*)(enum mcheck_status))(masked ^ handler_mask_pages.value))(fault_status(fault->kind));
    } else {
        uint32_t here = stacks_capture();
        if (report_action & REPORT_SAY)
            say(call, p, fault, here);
        if (report_action & REPORT_ABORT)
            os_abort();
    }
    telling = false;
}

struct fault *fault_add(struct fault_list *list, const char *call, const void *p) {
    unsigned at = list->count < FAULTS_MOST ? list->count++ : FAULTS_MOST - 1;
    list->entries[at].call = call;
    list->entries[at].p = p;
    list->entries[at].fault = (struct fault){0};
    return &list->entries[at].fault;
}

void fault_tell_all(const struct fault_list *list) {
    for (unsigned i = 0; i < list->count; i++)
        fault_tell(list->entries[i].call, list->entries[i].p, &list->entries[i].fault);
}

uint8_t fault_call_number(const char *call) {
    for (unsigned i = 1; i < CALLS_MOST; i++) {
        const char *known = atomic_load_explicit(&calls[i], memory_order_relaxed);
        if (known == call)
            return (uint8_t)i;
        if (known == NULL && atomic_compare_exchange_strong(&calls[i], &known, call))
            return (uint8_t)i;
        if (known == call) /* another thread was faster */
            return (uint8_t)i;
    }
    return 0;
}

const char *fault_call_name(uint8_t number) {
    const char *call = atomic_load_explicit(&calls[number % CALLS_MOST], memory_order_relaxed);
    return call != NULL ? call : "a call that is not known";
}

/* An operator delete that is given no alignment is not for over-aligned blocks. */
void fault_judge(struct fault *fault, const struct fault_block *block, const char *call, size_t bytes, size_t align) {
    size_t named = max_size(align, BLOCK_ALIGN);
    if (fault->kind != FAULT_NONE)
        return;
    if (family(call) != family(block->alloc_call))
        fault->kind = FAULT_FAMILY;
    else if (bytes != SIZE_MAX && bytes != block->bytes)
        fault->kind = FAULT_SIZE;
    else if ((align != 0 || family(call) != 0) && named != block->align)
        fault->kind = FAULT_ALIGNMENT;
    fault->named = fault->kind == FAULT_SIZE ? bytes : named;
}

enum fault_kind fault_of_freed(const char *call) {
    bool resizes = strcmp(call, "realloc") == 0 || strcmp(call, FAULT_USE) == 0;
    return resizes ? FAULT_USED_FREED : FAULT_FREED_TWICE;
}

void fault_set_handler(void (*function)(enum mcheck_status)) {
    uintptr_t masked = function != NULL ? (uintptr_t)function ^ handler_mask_pages.value : 0;
    atomic_store_explicit(&handler, masked, memory_order_release);
}

void fault_mask_handler(void) {
    if (handler == 0 && readonly_open(&handler_mask_pages, sizeof handler_mask_pages))
        os_random(&handler_mask_pages.value, sizeof handler_mask_pages.value);
}

bool fault_has_handler(void) {
    return atomic_load_explicit(&handler, memory_order_relaxed) != 0;
}

bool fault_is_telling(void) {
    return telling;
}
