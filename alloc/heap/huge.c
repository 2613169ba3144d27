/* SPDX-License-Identifier: MIT */
#include "heap/huge.h"

#include <string.h>

#include "os/os.h"
#include "kit/tunables.h"

#define SETTING "/sys/kernel/mm/transparent_hugepage/"
#define NEAR (64 * KIB)    /* what small pages take before a huge page: more than it is to be present ahead by little */
#define SLOW_US 1000       /* of processor time: 512 small pages are present after about as long */
#define BACK_OFF_FACTOR 4  /* so that of 128 huge pages, a heap of 256 MiB, at most four are slow, of 8 GiB eight */
#define BACK_OFF_MOST 1024

_Atomic bool huge_were_given;

static struct {
    bool asked, allowed;      /* the kernel's setting has been asked for; what it says */
    _Atomic unsigned wait, back_off; /* huge pages that are left out before the next is asked for; after the last slow one */
    uintptr_t left_out;       /* the last one that was */
} state;

/* ---- the kernel's setting ---------------------------------------------------------------------------------------- */

/* Whether the file of the kernel's has chosen the word: its words stand side by side, the chosen one in brackets. */
static bool has_chosen(const char *path, const char *word) {
    char text[128];
    size_t length = os_read_file(path, text, sizeof text), word_length = strlen(word), at = 0;
    while (at + word_length < length && text[at] != '[')
        at++;
    return at + word_length < length && memcmp(text + at, word, word_length) == 0;
}

/* Since Linux 6.8 each size has a setting of its own, which may be to go by the general one. */
static bool system_allows(void) {
    static const char own[] = SETTING "hugepages-2048kB/enabled";
    if (has_chosen(own, "[never]"))
        return false;
    return has_chosen(own, "[always]") || has_chosen(own, "[madvise]") || !has_chosen(SETTING "enabled", "[never]");
}

bool huge_allowed(void) {
    return os_is_shut_in() || (!os_huge_disabled() && system_allows());
}

/* ---- growth ------------------------------------------------------------------------------------------------------ */

/* The setting is asked for once, when the heap has grown so far that it matters. */
static bool is_allowed(void) {
    if (!state.asked) {
        state.asked = true;
        state.allowed = huge_allowed();
    }
    return state.allowed && tunables.hugepages != CHOICE_OFF;
}

/* Whether it is the turn of the huge page at `start`, which small pages may lead to step by step. */
static bool is_due(uintptr_t start) {
    if (state.wait > 0 && start != state.left_out) {
        state.left_out = start;
        state.wait--;
        return false;
    }
    return start != state.left_out;
}

static void learn(bool quick) {
    if (quick) {
        state.back_off /= BACK_OFF_FACTOR;
        return;
    }
    state.back_off = (unsigned)min_size(max_size(state.back_off, 1) * BACK_OFF_FACTOR, BACK_OFF_MOST);
    state.wait = state.back_off;
}

uintptr_t huge_end_locked(uintptr_t from, uintptr_t most) {
    uintptr_t start = align_up(from, HUGE_PAGE), end = start + HUGE_PAGE;
    return start - from > NEAR || end > most || !is_allowed() || !is_due(start) ? 0 : end;
}

/* Processor time counts, and not that of the clock: others may run in between, which says nothing of the kernel. */
bool huge_populate(uintptr_t from, uintptr_t end) {
    if (!os_hugepage((void *)(end - HUGE_PAGE), HUGE_PAGE))
        return false;
    uint64_t before = os_thread_us();
    bool present = os_populate((void *)from, end - from);
    learn(present && os_thread_us() - before <= SLOW_US);
    if (present)
        atomic_store_explicit(&huge_were_given, true, memory_order_relaxed);
    return present;
}
