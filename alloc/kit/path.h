/* SPDX-License-Identifier: MIT */
/*
 * Paths that options name. A relative one leads on from the folder in which the program was started, wherever the program has
 * gone since: servers go to /. Nothing here allocates; what does not fit is told, and not cut.
 */
#ifndef MYALLOC_PATH_H
#define MYALLOC_PATH_H

#include "base/base.h"

/* On the stack, which may be a signal handler's. Of a folder with a longer path, relative paths are taken as they are. */
#define PATH_FOLDER_ROOM 1024
#define PATH_ROOM (PATH_FOLDER_ROOM + 256) /* and what an option has room for (TUNABLE_TEXT_MAX) */

/* Keeps the folder that the process is in; at the start, where an option is a relative path. If the OS refuses to name it,
 * relative paths are taken as they are. */
void path_keep_folder(void);

/* The path as it was meant at the start. False if it does not fit. */
bool path_from_start(const char *path, char *out, size_t room);

/* The same of a pattern, with %p as the process id, %b as the program's name without folders, %% as a percent sign; %=1234 is
 * nothing in process 1234 and ".%p" in all others, so that those which it starts do not write to its file. */
bool path_fill(const char *pattern, char *out, size_t room);

/* Why a file that a user names could not be opened, read or written, in words; constant text. */
const char *path_error(int error);

/* The program's name without folders. */
const char *path_program(void);

#endif
