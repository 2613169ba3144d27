/* SPDX-License-Identifier: MIT */
/* What another tool has recorded, while it becomes a recording: its lines, the blocks at their addresses, and what is wrong
   with it, which is told with the number of the line. */
#ifndef TOOLS_FOREIGN_LOG_H
#define TOOLS_FOREIGN_LOG_H

#include "lines.h"
#include "recording_writer.h"
#include "table.h"

struct foreign_log {
    const char *path;
    struct lines lines;
    struct recording_writer *writer;
    struct table *blocks; /* by address: the number of the block */
    uint64_t wrong;       /* lines that were left out, or are doubtful; the first of them are told */
    uint64_t events;
};

/* Tells that the line read last is wrong: in words, with the line itself. */
void foreign_log_wrong(struct foreign_log *log, const char *what, const char *line);

/* The block that lies at the address from now on. One that lies there still is told, and is left to the end. */
void foreign_log_put(struct foreign_log *log, uint64_t address, uint64_t block, const char *line);

/* Takes the block at the address away; false if there is none. */
bool foreign_log_take(struct foreign_log *log, uint64_t address, uint64_t *block);

/* A free of the block at an address; of one from before, if there is none. */
void foreign_log_free(struct foreign_log *log, uint64_t address);

/* A number of base 16 at `*at`, which goes behind it: at most 64 bits; with "0x" before it or not. False if there is none. */
bool foreign_log_number(const char **at, uint64_t *value);

/* Makes the recording `out` of a file: `convert` takes all lines, tells the writer of the source and whether it is whole, and
   returns NULL, or why nothing can be made of the file. The exit status; what is wrong has been told. */
int foreign_log_record(const char *path, const char *out, const char *(*convert)(struct foreign_log *log, bool *is_whole));

#endif
