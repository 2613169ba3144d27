/* SPDX-License-Identifier: MIT */
/*
 * The profile as a file, in the text form of heap profiles that pprof and its kin read: a line for each call site, then the
 * code that is mapped. Numbers are those of all allocations, as far as the sample tells; readers need not scale them. What the
 * form has no place for stands in lines that begin with #, which they pass over:
 *
 *     heap profile: 12: 3400 [90: 22000] @ heapprofile       live: bytes [allocated: bytes]
 *     # myalloc profile 2 interval 524288 samples 40 live 9 refused 0 peak 14: 3900
 *     12: 3400 [90: 22000] @ 0x5581 0x5592                   return addresses, the innermost first
 *     # malloc class 48 samples 40 peak 14: 3900             of the site above: what was called, size class (0: larger),
 *                    lived 70 8 0 0 0 0 tag web               in the same line: allocations that are freed, by decades of how
 *                                                             long they lived (PROFILE_LIVES); the tag. Each where there is one
 *     MAPPED_LIBRARIES:
 *     5581... r-xp ... /usr/bin/program                      lines of /proc/self/maps
 *     # build-id 0x5581... 5f3a...                           of the code that starts there, where it has one
 */
#ifndef MYALLOC_PROFILE_TEXT_H
#define MYALLOC_PROFILE_TEXT_H

#include "base/base.h"

/* Writes the profile to a path with %p and %b, which may be relative to where the program was started, by one write and at once
 * (os_replace_file). Returns 0, or the error's number; nothing is told. Takes no other lock while it writes. */
int profile_write(const char *pattern);

/* The same where profile_out says. `path` gets the whole path. */
int profile_dump(char *path, size_t room);

/* The same where profile_out says, and behind that ".0001" for number 1, and so on; nothing for 0. */
int profile_write_snapshot(size_t number);

/* The same where profile_out says, when the program ends; errors are told on standard error. */
void profile_tell(void);
void profile_tell_failed(int error);

#endif
