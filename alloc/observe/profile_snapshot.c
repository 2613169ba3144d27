/* SPDX-License-Identifier: MIT */
#include "observe/profile_snapshot.h"

#include "os/os.h"
#include "kit/report.h"
#include "observe/profile_table.h"
#include "observe/profile_text.h"

#define PEAK_STEP_LEAST MIB /* below it, a step of the peak is noise of the sample */
#define PEAK_STEP_PART 8    /* so that a heap of any size is written some fifty times on its way up */

/* So that a program which runs for weeks does not fill the disk: 1,450 files of one each second in four weeks, instead of 2.4
 * million. What was written stays: the beginning is what growth is compared with. */
#define SNAPSHOTS_A_DOUBLING 100
#define DOUBLINGS_MOST 30 /* then a second is 34 years */

/* What is not atomic is of the thread that is at it. */
static struct {
    struct turn turn;
    size_t number;        /* of the last snapshot */
    uint64_t last_ms;     /* when one was written by time, or when that began; 0: it has not */
    uint64_t most, peak;  /* what was live, or the peak, when one was written for that */
    bool failed;          /* which has been told */
} self;

/* By how many doublings what lies between two snapshots is longer by now than asked for. */
static size_t doublings(void) {
    return min_size(self.number / SNAPSHOTS_A_DOUBLING, DOUBLINGS_MOST);
}

static bool is_time(uint64_t now) {
    bool due = self.last_ms != 0 && (now - self.last_ms) >> doublings() >= tunables.profile_every_ms;
    if (due || self.last_ms == 0)
        self.last_ms = now;
    return due;
}

static bool has_grown(uint64_t live) {
    if (live < self.most || (live - self.most) >> doublings() < tunables.profile_growth)
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

static void put_next(void) {
    put(++self.number);
    if (self.number == SNAPSHOTS_A_DOUBLING)
        report_line("profile: %z snapshots are written: now they come half as often, after each %z more half as often again; a "
                    "larger profile_every_ms or profile_growth makes fewer", (size_t)SNAPSHOTS_A_DOUBLING,
                    (size_t)SNAPSHOTS_A_DOUBLING);
}

void profile_snapshot_look(void) {
    struct profile_totals totals;
    if (!turn_try(&self.turn))
        return;
    profile_table_totals(&totals);
    bool due = tunables.profile_every_ms != 0 && is_time(os_clock_ms());
    due = (tunables.profile_growth != 0 && has_grown(totals.live.bytes)) || due;
    if (due)
        put_next();
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
