/* SPDX-License-Identifier: MIT */
#include "observe/profile_table.h"

#include <string.h>

#include "base/address_map.h"
#include "base/sizeclass.h"
#include "kit/budget.h"
#include "kit/report.h"
#include "heap/cache_counted.h"
#include "observe/tags.h"

static struct lock profile_lock;
static struct address_map records = ADDRESS_MAP(struct profile_record), sites = ADDRESS_MAP(struct profile_site);
extern HIDDEN struct address_map profile_records __attribute__((alias("records")));
static struct profile_totals totals;
static uint32_t peaks; /* how often the sum of all that is live was higher than ever */

_Static_assert(TAGS_MOST <= 1024, "a tag has ten bits of the key");

/* No two kinds of call have the same, and there are some thirty; the highest bit says that there is a site. */
static uint64_t key_of(const struct profile_record *record, unsigned class, unsigned tag) {
    uint64_t call = 0;
    for (const char *at = record->call; *at != '\0'; at++)
        call = call * 31 + (unsigned char)*at;
    uint64_t words = (uint64_t)tag << 53 | (call & 0x1fff) << 40 | (uint64_t)class << PROFILE_CLASS_SHIFT;
    return (uint64_t)1 << 63 | words | record->stack;
}

/* ---- sums -------------------------------------------------------------------------------------------------------- */

uint64_t profile_table_weighted(const struct profile_record *record) {
    return (uint64_t)((unsigned __int128)record->weight * record->bytes / COUNTED_ONE);
}

static struct profile_sum sum_of(const struct profile_record *record) {
    return (struct profile_sum){record->weight, profile_table_weighted(record)};
}

static void add(struct profile_sum *to, const struct profile_sum *sum) {
    to->weight += sum->weight;
    to->bytes += sum->bytes;
}

static void subtract(struct profile_sum *from, const struct profile_sum *sum) {
    from->weight -= sum->weight;
    from->bytes -= sum->bytes;
}

/* Before what is live at a site changes: it was the same at the last peak, if it has not changed since. */
static void keep_peak(struct profile_site *site) {
    if (site->epoch == peaks)
        return;
    site->peak = site->live;
    site->epoch = peaks;
}

static void enter_live(struct profile_site *site, const struct profile_sum *sum) {
    keep_peak(site);
    add(&site->live, sum);
    add(&totals.live, sum);
    totals.live_samples++;
    if (totals.live.bytes <= totals.peak.bytes)
        return;
    totals.peak = totals.live;
    peaks++;
}

static void leave_live(struct profile_site *site, const struct profile_sum *sum) {
    keep_peak(site);
    subtract(&site->live, sum);
    subtract(&totals.live, sum);
    totals.live_samples--;
}

/* ---- the tables -------------------------------------------------------------------------------------------------- */

static struct profile_site *find_site(uint64_t key) {
    return address_map_find(&sites, (const void *)(uintptr_t)key);
}

static struct profile_site *site_locked(const struct profile_record *record) {
    struct profile_site *site = find_site(record->site);
    if (site != NULL)
        return site;
    site = address_map_insert(&sites, (const void *)(uintptr_t)record->site);
    *site = (struct profile_site){.key = record->site, .call = record->call, .stack = record->stack, .epoch = peaks};
    totals.sites++;
    return site;
}

static void add_locked(const struct profile_record *record) {
    struct profile_sum sum = sum_of(record);
    struct profile_site *site = site_locked(record);
    add(&site->all, &sum);
    add(&totals.all, &sum);
    site->samples++;
    totals.samples++;
    enter_live(site, &sum);
    *(struct profile_record *)address_map_insert(&records, (const void *)record->block) = *record;
}

bool profile_table_add(struct profile_record *record, unsigned class, unsigned tag) {
    record->site = key_of(record, class, tag);
    lock_acquire(&profile_lock, LOCK_PROFILE);
    bool room = budget_grow_map(&records, 1) && budget_grow_map(&sites, 1);
    if (room)
        add_locked(record);
    else
        totals.refused++;
    lock_release(&profile_lock, LOCK_PROFILE);
    return room;
}

struct profile_record profile_table_remove(const void *p) {
    struct profile_record record = {0};
    lock_acquire(&profile_lock, LOCK_PROFILE);
    struct profile_record *found = address_map_find(&records, p);
    if (found != NULL) {
        record = *found;
        address_map_remove(&records, found);
        struct profile_sum sum = sum_of(&record);
        leave_live(find_site(record.site), &sum);
    }
    lock_release(&profile_lock, LOCK_PROFILE);
    return record;
}

bool profile_table_put_back(const struct profile_record *record) {
    if (record->block == 0)
        return true;
    struct profile_sum sum = sum_of(record);
    lock_acquire(&profile_lock, LOCK_PROFILE);
    bool room = budget_grow_map(&records, 1);
    if (room) {
        *(struct profile_record *)address_map_insert(&records, (const void *)record->block) = *record;
        enter_live(find_site(record->site), &sum);
    } else {
        totals.refused++;
    }
    lock_release(&profile_lock, LOCK_PROFILE);
    return room;
}

static unsigned decade_of(uint64_t ms) {
    unsigned decade = 0;
    for (uint64_t most = 10; ms >= most && decade + 1 < PROFILE_LIVES; most *= 10)
        decade++;
    return decade;
}

void profile_table_end(const struct profile_record *record, uint64_t now) {
    lock_acquire(&profile_lock, LOCK_PROFILE);
    find_site(record->site)->lived[decade_of(now - record->time)] += record->weight;
    lock_release(&profile_lock, LOCK_PROFILE);
}

void profile_table_totals(struct profile_totals *out) {
    lock_acquire(&profile_lock, LOCK_PROFILE);
    *out = totals;
    lock_release(&profile_lock, LOCK_PROFILE);
}

struct profile_site *profile_table_copy(struct profile_totals *out, size_t *room) {
    size_t size = 0;
    lock_acquire(&profile_lock, LOCK_PROFILE);
    *out = totals;
    *room = align_up(sites.count * sizeof(struct profile_site), OS_PAGE);
    struct profile_site *copy = sites.count > 0 ? budget_map(*room) : NULL;
    for (size_t i = 0; copy != NULL && i < sites.size; i++) {
        const struct profile_site *site = address_map_at(&sites, i);
        if (site == NULL)
            continue;
        copy[size] = *site;
        keep_peak(&copy[size++]);
    }
    lock_release(&profile_lock, LOCK_PROFILE);
    return copy;
}

bool profile_table_covers(const void *p) {
    return address_map_covers(&records, p) || address_map_covers(&sites, p);
}

/* ---- forks and walks --------------------------------------------------------------------------------------------- */

/* The child keeps what is live. What was allocated, and the peak, are its own from here on. */
static void forked(void) {
    for (size_t i = 0; i < sites.size; i++) {
        struct profile_site *site = address_map_at(&sites, i);
        if (site != NULL) {
            site->all = (struct profile_sum){0, 0};
            site->samples = 0;
            memset(site->lived, 0, sizeof site->lived);
        }
    }
    totals.all = (struct profile_sum){0, 0};
    totals.samples = totals.refused = 0;
    totals.peak = totals.live;
    peaks++;
}

static struct profile_sum sum_of_records(size_t *count) {
    struct profile_sum all = {0, 0};
    *count = 0;
    for (size_t i = 0; i < records.size; i++) {
        const struct profile_record *record = address_map_at(&records, i);
        if (record == NULL || find_site(record->site) == NULL)
            continue;
        struct profile_sum sum = sum_of(record);
        add(&all, &sum);
        ++*count;
    }
    return all;
}

void profile_table_walk(struct walk *walk) {
    size_t count;
    struct profile_sum recorded = sum_of_records(&count), live = {0, 0};
    for (size_t i = 0; i < sites.size; i++) {
        const struct profile_site *site = address_map_at(&sites, i);
        if (site != NULL)
            add(&live, &site->live);
    }
    report_walk(walk, count == records.count && count == totals.live_samples, "profile Q1", &records);
    report_walk(walk, recorded.bytes == totals.live.bytes && live.bytes == recorded.bytes && live.weight == recorded.weight,
                "profile Q1", &totals);
}

const struct lock_set profile_locks = {.rank = LOCK_PROFILE, .lock = &profile_lock, .forked = forked};
