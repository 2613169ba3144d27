/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seconds.h"

/* To find out that a process does not run on the library takes a look at all its mappings. After two looks, of which the first
   may have come before a new program's libraries, it is not done again until it begins another program; but anew after so many
   rounds, because a library may be opened late. */
enum { SURE_LOOKS = 2, STRANGE_ROUNDS = 16 };

struct stranger {
    int number;
    unsigned looks;
    unsigned long long started, image;
};

/* Room for one more of `size` bytes in an array. */
static bool has_room(void **array, size_t count, size_t *room, size_t size)
{
    size_t wanted = *room ? *room * 2 : 64;
    void *larger;

    if (count < *room)
        return true;
    larger = realloc(*array, wanted * size);
    if (!larger)
        return false;
    *array = larger;
    *room = wanted;
    return true;
}

static void tell(struct watch *watch, const struct process *process, const char *what)
{
    struct event *event = &watch->events.list[watch->events.count];

    if (watch->events.count == WATCH_EVENTS)
        return;
    watch->events.count++;
    *event = (struct event){.number = process->number, .what = what};
    memcpy(event->name, process->name, sizeof event->name);
}

/* ---- processes that do not run on the library ---------------------------------------------------------------------- */

/* How many looks found that this one has no library. The kernel lists processes by ascending numbers, as the last round left
   these, so that each is found beside the one before. */
static unsigned looks_in_vain(struct watch *watch, const struct process *process, size_t before)
{
    const struct stranger *found;

    while (watch->strangers_at < before && watch->strangers[watch->strangers_at].number < process->number)
        watch->strangers_at++;
    if (watch->strangers_at == before)
        return 0;
    found = &watch->strangers[watch->strangers_at];
    return found->number == process->number && found->started == process->started && found->image == process->image ?
        found->looks : 0;
}

/* Behind those of the round before, until that has ended. */
static bool add_stranger(struct watch *watch, const struct process *process, unsigned looks)
{
    if (!has_room((void **)&watch->strangers, watch->strangers_count, &watch->strangers_room, sizeof *watch->strangers))
        return false;
    watch->strangers[watch->strangers_count++] = (struct stranger){process->number, looks, process->started, process->image};
    return true;
}

/* ---- what changes from look to look ------------------------------------------------------------------------------ */

/* A value for each second since the last look, this one's. */
static void remember(struct watched *watched, double at)
{
    uint64_t seconds = watched->seconds ? (uint64_t)at - (uint64_t)watched->at : 1;

    if (seconds > MINUTE)
        seconds = MINUTE;
    memmove(watched->minute, watched->minute + seconds, (MINUTE - seconds) * sizeof *watched->minute);
    for (uint64_t i = 0; i < seconds; i++)
        watched->minute[MINUTE - 1 - i] = watched->counts.process.resident;
    watched->minute[MINUTE - 1] = watched->counts.process.resident;
    watched->seconds = watched->seconds + seconds > MINUTE ? MINUTE : watched->seconds + seconds;
}

static double rate(uint64_t before, uint64_t after, double seconds)
{
    return ((double)after - (double)before) / seconds;
}

static void find_rates(struct watched *watched, const struct counts *after, const struct sums *sums, double seconds)
{
    const struct counts *before = &watched->counts;

    watched->rates = (struct rates){
        .live = rate(watched->sums.live, sums->live, seconds),
        .resident = rate(before->process.resident, after->process.resident, seconds),
        .taken = rate(before->numbers[PAGE_AT_taken], after->numbers[PAGE_AT_taken], seconds),
        .minor_faults = rate(before->process.minor_faults, after->process.minor_faults, seconds),
        .major_faults = rate(before->process.major_faults, after->process.major_faults, seconds),
    };
    for (size_t i = 0; i < after->classes; i++)
        watched->class_rates[i] = rate(i < before->classes ? before->class[i].blocks : 0, after->class[i].blocks, seconds);
}

static void update(struct watched *watched, const struct counts *counts, double at)
{
    struct sums sums = sums_of(counts);

    watched->seen = true;
    watched->missed = false;
    if (watched->seconds && at > watched->at) {
        find_rates(watched, counts, &sums, at - watched->at);
        watched->has_rates = true;
    }
    watched->counts = *counts;
    watched->sums = sums;
    remember(watched, at);
    watched->at = at;
}

/* ---- a round ----------------------------------------------------------------------------------------------------- */

struct watched *watch_find(const struct watch *watch, int number)
{
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->all[i]->counts.process.number == number)
            return watch->all[i];
    }
    return NULL;
}

static struct watched *add(struct watch *watch)
{
    struct watched *made;

    if (!has_room((void **)&watch->all, watch->count, &watch->room, sizeof *watch->all))
        return NULL;
    made = calloc(1, sizeof *made);
    if (made)
        watch->all[watch->count++] = made;
    return made;
}

/* A process that runs on the library: the one that was known by its number, or another. */
static bool see(struct watch *watch, const struct counts *counts, double at)
{
    struct watched *known = watch_find(watch, counts->process.number);

    if (known && known->gone)
        return true;
    if (known && known->counts.process.started != counts->process.started) {
        tell(watch, &known->counts.process, "has ended, and its number is another process's");
        if (known->counts.process.number == watch->kept) {
            known->gone = true;
            return true;
        }
        *known = (struct watched){0};
    } else if (known && known->counts.process.image != counts->process.image) {
        tell(watch, &known->counts.process, "has begun another program");
        *known = (struct watched){0};
    }
    if (!known)
        known = add(watch);
    if (known)
        update(known, counts, at);
    return known != NULL;
}

/* A process in which no library was found. One that has it may have begun another program a moment ago, whose libraries are
   not there yet: the next round tells. */
static void miss(struct watch *watch, int number)
{
    struct watched *known = watch_find(watch, number);

    if (known && !known->missed)
        known->missed = known->seen = true;
}

/* Looks at one process. `before`: strangers of the round before. */
static bool look(struct watch *watch, int number, size_t before)
{
    unsigned looks;
    struct process process;
    struct counts counts;
    double at = seconds_now();

    if (!process_read(number, &process) || process.is_kernel || process_has_ended(&process))
        return true;
    looks = looks_in_vain(watch, &process, before);
    if (looks >= SURE_LOOKS)
        return add_stranger(watch, &process, looks);
    switch (counts_look(number, &counts)) {
    case COUNTS_READ:
        return see(watch, &counts, at);
    case COUNTS_ABSENT:
        miss(watch, number);
        return add_stranger(watch, &counts.process, looks + 1);
    case COUNTS_FORBIDDEN:
        watch->forbidden++;
        return true;
    case COUNTS_VERSION:
    case COUNTS_UNSOUND:
        watch->others++;
        return true;
    case COUNTS_ENDED:
        return true;
    default:
        miss(watch, number);
        return true;
    }
}

static bool look_at_all(struct watch *watch, size_t before)
{
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    bool whole = true;

    if (!folder)
        return false;
    while (whole && (entry = readdir(folder))) {
        if (isdigit((unsigned char)entry->d_name[0]))
            whole = look(watch, atoi(entry->d_name), before);
    }
    closedir(folder);
    return whole;
}

/* Why a process that was there could not be seen. */
static const char *reason(const struct watched *watched)
{
    struct process process;
    const struct process *known = &watched->counts.process;

    if (!process_read(known->number, &process) || process_has_ended(&process))
        return "has ended";
    if (process.started != known->started)
        return "has ended, and its number is another process's";
    if (process.image != known->image)
        return "has begun another program, which does not run on myalloc or may not be read";
    return "cannot be read any more";
}

/* Drops those that this round did not see, or keeps the one that is to stay. */
static void drop_gone(struct watch *watch)
{
    size_t left = 0;

    for (size_t i = 0; i < watch->count; i++) {
        struct watched *watched = watch->all[i];
        bool stays = watched->counts.process.number == watch->kept;

        if (!watched->seen && !watched->gone) {
            tell(watch, &watched->counts.process, reason(watched));
            watched->gone = true;
        }
        if (watched->gone && !stays)
            free(watched);
        else
            watch->all[left++] = watched;
    }
    watch->count = left;
}

bool watch_look(struct watch *watch)
{
    size_t before = watch->strangers_count;
    bool whole;

    watch->forbidden = watch->others = 0;
    watch->events.count = 0;
    watch->strangers_at = watch->rounds++ % STRANGE_ROUNDS ? 0 : before;
    for (size_t i = 0; i < watch->count; i++)
        watch->all[i]->seen = false;
    whole = watch->one ? look(watch, watch->kept, before) : look_at_all(watch, before);
    watch->strangers_count -= before;
    if (before)
        memmove(watch->strangers, watch->strangers + before, watch->strangers_count * sizeof *watch->strangers);
    if (whole)
        drop_gone(watch);
    return whole;
}

void watch_free(struct watch *watch)
{
    for (size_t i = 0; i < watch->count; i++)
        free(watch->all[i]);
    free(watch->all);
    free(watch->strangers);
}
