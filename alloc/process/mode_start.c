/* SPDX-License-Identifier: MIT */
#include "process/mode_start.h"

#include "kit/environment.h"
#include "kit/readonly.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/mode_switch.h"
#include "protect/guarded.h"
#include "protect/hardened.h"
#include "observe/profile.h"

/* Where hardened blocks are refused, the level below takes their place. */
static void check_instead(bool hardened) {
    if (tunables.protect < LEVEL_CHECK || hardened || tunables.check != 0 || !readonly_open(&tunables, sizeof tunables))
        return;
    tunables.check = REPORT_SAY | REPORT_ABORT;
    readonly_shut(&tunables, sizeof tunables);
}

AT_START void mode_start(void) {
    environment_read();
    if (atomic_load_explicit(&environment_state, memory_order_acquire) != ENVIRONMENT_READ)
        return;
    bool hardened = tunables.protect == LEVEL_PARANOID && hardened_start();
    check_instead(hardened);
    unsigned modes = (hardened ? MODE_HARDENED : 0) | (tunables.check != 0 ? MODE_CHECK : 0) |
                     (tunables.perturb != 0 ? MODE_PERTURB : 0) | (tunables.leaks != 0 ? MODE_LEAKS : 0);
    if ((tunables.protect == LEVEL_SAMPLE || tunables.protect == LEVEL_PARANOID) && guarded_start())
        modes |= MODE_GUARDED;
    if (tunables.check != 0)
        report_set_action((unsigned)tunables.check);
    if (modes != 0)
        mode_switch_on(modes);
    if (tunables.profile)
        profile_on(tunables.profile_interval, tunables.profile_seed);
    mode_switch_started();
}
