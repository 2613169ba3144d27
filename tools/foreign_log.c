/* SPDX-License-Identifier: MIT */
#include "foreign_log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "message.h"
#include "out_file.h"
#include "placed.h"
#include "zstd.h"

enum { TOLD_MOST = 5, SHOWN = 60, WRONG_BYTES = 256 };

void foreign_log_wrong(struct foreign_log *log, const char *what, const char *line)
{
    char shown[SHOWN + 4];

    if (log->wrong++ >= TOLD_MOST)
        return;
    snprintf(shown, sizeof shown, strlen(line) > SHOWN ? "%.*s..." : "%.*s", SHOWN, line);
    for (char *at = shown; *at; at++)
        *at = (unsigned char)*at < ' ' || *at == 0x7f ? '?' : *at;
    fail_in(0, "record", "'%s', line %" PRIu64 ": %s: '%s'", log->path, log->lines.number, what, shown);
}

void foreign_log_put(struct foreign_log *log, uint64_t address, uint64_t block, const char *line)
{
    uint64_t before;

    if (!address) {
        foreign_log_wrong(log, "a block at no address; it is left to the end", line);
        return;
    }
    if (placed_put(log->blocks, address, block, &before))
        foreign_log_wrong(log, "a block lies there already; that one is left to the end", line);
}

bool foreign_log_take(struct foreign_log *log, uint64_t address, uint64_t *block)
{
    return placed_take(log->blocks, address, block);
}

void foreign_log_free(struct foreign_log *log, uint64_t address)
{
    uint64_t block;

    if (foreign_log_take(log, address, &block))
        recording_writer_freed(log->writer, block);
    else
        recording_writer_rare(log->writer, RECORDING_FOREIGN, 0);
}

static int digit_of(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

bool foreign_log_number(const char **at, uint64_t *value)
{
    const char *text = *at, *first;

    if (text[0] == '0' && text[1] == 'x')
        text += 2;
    *value = 0;
    for (first = text; digit_of(*text) >= 0; text++) {
        if (*value >> 60)
            return false;
        *value = *value << 4 | (uint64_t)digit_of(*text);
    }
    *at = text;
    return text > first;
}

/* What was doubtful, and where the text ends before its end. */
static void tell(const struct foreign_log *log)
{
    if (log->wrong > TOLD_MOST)
        fail_in(0, "record", "'%s': %" PRIu64 " more such lines, of %" PRIu64, log->path, log->wrong - TOLD_MOST,
                log->lines.number);
    if (log->lines.wrong[0])
        fail_in(0, "record", "'%s', behind line %" PRIu64 ": %s; the recording ends there", log->path, log->lines.number,
                log->lines.wrong);
}

static int convert_lines(struct foreign_log *log, FILE *file, const char *out,
                         const char *(*convert)(struct foreign_log *log, bool *is_whole))
{
    const char *refusal;
    bool is_whole = false;
    int status = 0;

    log->writer = recording_writer_new(file);
    log->blocks = table_new();
    refusal = convert(log, &is_whole);
    if (refusal)
        status = fail_in(STATUS_CANNOT_PRELOAD, "record", "cannot read '%s': %s", log->path, refusal);
    else
        recording_writer_end(log->writer, is_whole && !log->lines.wrong[0]);
    if (!out_file_close(!refusal) && !refusal)
        status = fail_in(STATUS_CANNOT_PRELOAD, "record", "cannot write '%s': %s; name another file", out, out_file_error());
    if (!refusal)
        tell(log);
    table_free(log->blocks);
    recording_writer_free(log->writer);
    return status;
}

int foreign_log_record(const char *path, const char *out, const char *(*convert)(struct foreign_log *log, bool *is_whole))
{
    struct foreign_log log = {.path = path};
    char wrong[WRONG_BYTES];
    int status = STATUS_CANNOT_PRELOAD;
    FILE *file;

    if (!zstd_load())
        return fail_in(status, "record", "cannot load " ZSTD_LIBRARY "; apt-get install " ZSTD_PACKAGE);
    if (!lines_open(&log.lines, path, wrong)) {
        fail_in(0, "record", "cannot read '%s': %s", path, wrong);
    } else {
        file = out_file_open(out);
        if (file)
            status = convert_lines(&log, file, out, convert);
        else
            fail_in(0, "record", "cannot write '%s': %s; name another file", out, out_file_error());
    }
    lines_close(&log.lines);
    return status;
}
