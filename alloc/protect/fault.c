/* SPDX-License-Identifier: MIT */
#include "protect/fault.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "os/os.h"
#include "kit/readonly.h"
#include "kit/report.h"
#include "kit/text.h"
#include "kit/tunables.h"
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

static void describe(const struct fault *fault, char *out, size_t room) {
    static const char *const texts[] = {
        [FAULT_HEAD] = "memory clobbered before allocated block",
        [FAULT_TAIL] = "memory clobbered past end of allocated block",
        [FAULT_FREED_TWICE] = "block freed twice",
        [FAULT_USED_FREED] = "block used after it was freed",
        [FAULT_WRITTEN_FREED] = "memory written after the block was freed",
        [FAULT_INVALID] = INVALID_POINTER,
    };
    const struct fault_block *block = &fault->block;
    if (fault->kind == FAULT_FAMILY)
        text_format(out, room, "block allocated by %s", block->alloc_call);
    else if (fault->kind == FAULT_SIZE)
        text_format(out, room, "size %z for a block of %z bytes", fault->named, block->bytes);
    else if (fault->kind == FAULT_ALIGNMENT)
        text_format(out, room, "alignment %z for a block aligned to %z", fault->named, block->align);
    else
        text_format(out, room, "%s", texts[fault->kind]);
}

void fault_say_stack(const char *what, const char *call, uint32_t stack) {
    unsigned count;
    void *const *frames = stacks_frames(stack, &count);
    report_line("  %s%s", what, call);
    if (count > 0)
        backtrace_print(STDERR_FILENO, frames, count);
}

void fault_say_history(const struct fault_block *block) {
    fault_say_stack("allocated by ", block->alloc_call, block->alloc_stack);
    if (block->freed)
        fault_say_stack("freed by ", block->free_call, block->free_stack);
}

static void say_block(const struct fault *fault) {
    const struct fault_block *block = &fault->block;
    if (fault->kind == FAULT_HEAD || fault->kind == FAULT_TAIL || fault->kind == FAULT_WRITTEN_FREED)
        report_line("  block of %z bytes at %p, changed at offset %d", block->bytes, block->start, (int)fault->offset);
    else if (fault->kind == FAULT_INVALID)
        report_line("  block of %z bytes at %p, pointer at offset %d", block->bytes, block->start, (int)fault->offset);
    else
        report_line("  block of %z bytes at %p", block->bytes, block->start);
    fault_say_history(block);
}

static void say(const char *call, const void *p, const struct fault *fault, uint32_t here) {
    char what[160];
    describe(fault, what, sizeof what);
    report_line("%s(%p): %s", call, p, what);
    if (report_action & REPORT_SHORT)
        return;
    fault_say_stack("called from", "", here);
    if (fault->block_known)
        say_block(fault);
    if (fault->more != NULL)
        fault->more();
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
