/* SPDX-License-Identifier: MIT */
#include "process/control.h"

#include <errno.h>
#include <pthread.h>

#include "kit/budget.h"
#include "kit/lock.h"
#include "kit/modes.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/aside.h"
#include "heap/decay.h"
#include "heap/holes.h"
#include "heap/mapped.h"
#include "heap/mode_switch.h"
#include "heap/plain.h"
#include "heap/span.h"
#include "callers/code.h"
#include "callers/unwind.h"
#include "protect/guarded.h"
#include "protect/protections.h"
#include "observe/profile.h"
#include "observe/profile_text.h"
#include "observe/record.h"
#include "process/all_locks.h"
#include "process/verify.h"

#pragma weak pthread_create /* a static program has it only if it uses threads itself */

struct outcome {
    enum mailbox_status status;
    uint64_t result;
};

static struct outcome done(uint64_t result) {
    return (struct outcome){MAILBOX_DONE, result};
}

static struct outcome refused(int error) {
    return (struct outcome){MAILBOX_REFUSED, (uint64_t)error};
}

static struct outcome set(size_t tunable, size_t value, uint64_t result) {
    return mapped_set(tunable, value) ? done(result) : refused(EACCES);
}

/* ---- where it may be done ------------------------------------------------------------------------------------------ */

bool control_may_act(void) {
    return !modes_has(MODE_START) && !aside_is_on() && !lock_is_forking() && !report_thread.inside &&
           !all_locks_is_interrupted();
}

/* In a static program all code is of one module, and the question has no answer. */
bool control_is_for_libc(void) {
    void *caller;
    struct code its, libcs;
    if (pthread_create == NULL || unwind_capture(&caller, 1, 0) != 1 || !code_find((uintptr_t)caller, &its) ||
        !code_find((uintptr_t)pthread_create, &libcs))
        return true;
    return its.module == libcs.module || code_is_loader((uintptr_t)caller);
}

/* ---- what is done -------------------------------------------------------------------------------------------------- */

size_t control_trim(size_t pad) {
    size_t bytes = modes_any() ? protections_trim(false) : 0;
    return bytes + plain_trim(pad);
}

/* What would go by age: lists of threads and chains in transit stay. */
static size_t purge(void) {
    size_t bytes = span_purge(tunables.top_pad);
    return bytes + holes_return();
}

static struct outcome limit(uint64_t bytes) {
    if (bytes != UINT64_MAX && (bytes > SIZE_LIMIT || bytes < tunables_rows[TUNABLE_AT_limit].least))
        return (struct outcome){MAILBOX_BOUNDS, 0};
    return set(TUNABLE_AT_limit, bytes, budget_taken());
}

static struct outcome decay(uint64_t ms) {
    if (ms > tunables_rows[TUNABLE_AT_decay_ms].most)
        return (struct outcome){MAILBOX_BOUNDS, 0};
    struct outcome outcome = set(TUNABLE_AT_decay_ms, ms, 0);
    decay_changed();
    return outcome;
}

static struct outcome profile(uint64_t on) {
    if (on > 1)
        return (struct outcome){MAILBOX_BOUNDS, 0};
    uint64_t before = profile_is_on() ? MAILBOX_WAS_ON : 0;
    if (on)
        profile_on(tunables.profile_interval, tunables.profile_seed);
    else
        profile_off();
    return done(profile_interval() | before);
}

static struct outcome dump(char *path, size_t room) {
    if (profile_interval() == 0)
        return (struct outcome){MAILBOX_UNFIT, 0};
    int error = profile_dump(path, room);
    return error != 0 ? refused(error) : done(profile_interval());
}

/* Guarded blocks come beside plain ones. Where all blocks are checked or hardened, that is more already. */
static struct outcome sample(uint64_t on) {
    if (on != 1)
        return (struct outcome){MAILBOX_BOUNDS, 0};
    if (modes_has(MODE_GUARDED | MODE_CHECK | MODE_HARDENED))
        return done(1);
    if (!guarded_start())
        return refused(ENOMEM);
    if (!mapped_set(TUNABLE_AT_protect, LEVEL_SAMPLE))
        return refused(EACCES);
    unwind_prepare();
    mode_switch_on(MODE_GUARDED);
    return done(0);
}

/* It ends by what the reader of the events writes beside them, or does not write. */
static struct outcome record(uint64_t on) {
    const struct events_page *page;
    if (on != 1)
        return (struct outcome){MAILBOX_BOUNDS, 0};
    int error = record_start(&page);
    if (error == EBUSY)
        return (struct outcome){MAILBOX_UNFIT, 0};
    return error != 0 ? refused(error) : done((uintptr_t)page);
}

static struct outcome outcome_of(const struct mailbox_letter *letter, char *text, size_t room) {
    switch (letter->command) {
    case MAILBOX_PURGE:
        return done(purge());
    case MAILBOX_TRIM:
        return done(control_trim(0));
    case MAILBOX_LIMIT:
        return limit(letter->argument);
    case MAILBOX_DECAY:
        return decay(letter->argument);
    case MAILBOX_PROFILE:
        return profile(letter->argument);
    case MAILBOX_DUMP:
        return dump(text, room);
    case MAILBOX_CHECK:
        return done(verify_heap());
    case MAILBOX_SAMPLE:
        return sample(letter->argument);
    case MAILBOX_RECORD:
        return record(letter->argument);
    case MAILBOX_BACKGROUND: /* what is within bounds is background.h's */
        return (struct outcome){MAILBOX_BOUNDS, 0};
    default:
        return (struct outcome){MAILBOX_UNKNOWN, 0};
    }
}

void control_do(const struct mailbox_letter *letter) {
    char text[MAILBOX_TEXT];
    text[0] = '\0';
    letters_take(letter);
    struct outcome outcome = outcome_of(letter, text, sizeof text);
    letters_answer(letter, outcome.status, outcome.result, text[0] != '\0' ? text : NULL);
}
