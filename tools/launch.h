/* SPDX-License-Identifier: MIT */
/* How a command becomes a program with libraries preloaded. */
#ifndef TOOLS_LAUNCH_H
#define TOOLS_LAUNCH_H

/* Puts the library before whatever is preloaded already; 0 or -1. */
int launch_set_preload(const char *library);

/* Has the loader keep room for a preloaded library's thread-local data where it would not; 0 or -1. */
int launch_reserve_tls(void);

/* Becomes the program; if that cannot be, says why and returns the exit status. */
int launch_execute(const char *path, char **argv);

#endif
