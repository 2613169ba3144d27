/* SPDX-License-Identifier: MIT */
#include "observe/profile_snapshot.h"

#include "os/os.h"
#include "observe/profile_table.h"
#include "observe/profile_text.h"

#define PEAK_STEP_LEAST MIB /* below it, a step of the peak is noise of the sample */
#define PEAK_STEP_PART 8    /* so that a heap of any size is written some fifty times on its way up */

/* What is not atomic is of the thread that is at it. */
static struct {
    struct turn turn;
    size_t number;        /* of the last snapshot */
    uint64_t last_ms;     /* when one was written by time, or when that began; 0: it has not */
    uint64_t most, peak;  /* what was live, or the peak, when one was written for that */
    bool failed;          /* which has been told */
} self;

static bool is_time(uint64_t now) {
    bool due = self.last_ms != 0 && now - self.last_ms >= tunables.profile_every_ms;
    if (due || self.last_ms == 0)
        self.last_ms = now;
    return due;
}

static bool has_grown(uint64_t live) {
    if (live < self.most + tunables.profile_growth)
        return false;
    self.most = live;
    return true;
}

static bool is_higher(uint64_t peak) {
    if (peak < self.peak + max_size(self.peak / PEAK_STEP_PART, PEAK_STEP_LEAST))
        return false;
    self.peak = peak;
    return true;
}

static void put(size_t number) {
    int error = profile_write_snapshot(number);
    if (error != 0 && !self.failed)
        profile_tell_failed(error);
    self.failed = self.failed || error != 0;
}

void profile_snapshot_look(void) {
    struct profile_totals totals;
    if (!turn_try(&self.turn))
        return;
    profile_table_totals(&totals);
    bool due = tunables.profile_every_ms != 0 && is_time(os_clock_ms());
    due = (tunables.profile_growth != 0 && has_grown(totals.live.bytes)) || due;
    if (due)
        put(++self.number);
    if (tunables.profile_peak != 0 && is_higher(totals.peak.bytes))
        put(0);
    turn_end(&self.turn);
}

/* A child's files have its own name, if profile_out has the process in it. */
static void forked(void) {
    self.number = 0;
    turn_end(&self.turn);
}

const struct lock_set profile_snapshot_locks = {.rank = LOCK_NONE, .child = forked};
