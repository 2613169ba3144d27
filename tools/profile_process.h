/* SPDX-License-Identifier: MIT */
/* `myalloc profile PID`: the profile of a process that runs already, by its mailbox. */
#ifndef TOOLS_PROFILE_PROCESS_H
#define TOOLS_PROFILE_PROCESS_H

/* argv[0] is the process, what it is to do stands behind it. Returns the exit status. */
int profile_process(int argc, char **argv);

#endif
