/* SPDX-License-Identifier: MIT */
/*
 * Snapshots: the profile written while the program runs, as profile_every_ms, profile_growth and profile_peak ask. Each is a
 * file of its own, there as a whole or not at all (os_replace_file), so that what was written before stays when the program is
 * killed; but for profile_peak, whose one file is replaced. After each 100 files of a process the time and the growth from one
 * to the next double, which is told the first time.
 *
 * Nothing waits for its time: who changes the profile looks whether one is due. As long as nobody does, the profile is as it
 * was, and a snapshot of it would say the same.
 */
#ifndef MYALLOC_PROFILE_SNAPSHOT_H
#define MYALLOC_PROFILE_SNAPSHOT_H

#include "base/base.h"
#include "kit/lock.h"
#include "kit/tunables.h"

/* True if any are asked for. */
static inline bool profile_snapshots(void) {
    return UNLIKELY(tunables.profile_every_ms + tunables.profile_growth + tunables.profile_peak != 0);
}

/* Writes what is due by now. The first that fails is told on standard error. For a thread that may act (process/control.h), and
 * holds no lock; while another one is at it, it does nothing. */
void profile_snapshot_look(void);

extern HIDDEN const struct lock_set profile_snapshot_locks;

#endif
