/* SPDX-License-Identifier: MIT */
/*
 * Reading unwind tables (.eh_frame, .eh_frame_hdr), which other tools have written and something may have damaged: no byte
 * outside of the range that was given is touched. A reader that would pass its end reads zeros and is `bad` from then on;
 * callers look at that once, when they have read what they need.
 */
#ifndef MYALLOC_EH_READER_H
#define MYALLOC_EH_READER_H

#include <string.h>

#include "base/base.h"

struct eh_reader {
    const uint8_t *at, *end;
    bool bad;
};

/* How a pointer is stored (DW_EH_PE): its form in the lower four bits, what it is relative to in the next three. */
enum {
    EH_ABSOLUTE = 0x00, EH_ULEB = 0x01, EH_U2 = 0x02, EH_U4 = 0x03, EH_U8 = 0x04, EH_SLEB = 0x09, EH_S2 = 0x0a, EH_S4 = 0x0b,
    EH_S8 = 0x0c,
    EH_PCREL = 0x10, EH_DATAREL = 0x30, EH_RELATIVE = 0x70, EH_INDIRECT = 0x80, EH_OMIT = 0xff,
};

static inline bool eh_has(struct eh_reader *reader, uint64_t bytes) {
    if (reader->bad || bytes > (uint64_t)(reader->end - reader->at))
        reader->bad = true;
    return !reader->bad;
}

static inline void eh_skip(struct eh_reader *reader, uint64_t bytes) {
    if (eh_has(reader, bytes))
        reader->at += bytes;
}

/* The next 1 to 8 bytes as a number. */
static inline uint64_t eh_fixed(struct eh_reader *reader, unsigned bytes) {
    uint64_t value = 0;
    if (eh_has(reader, bytes)) {
        memcpy(&value, reader->at, bytes);
        reader->at += bytes;
    }
    return value;
}

static inline int64_t eh_fixed_signed(struct eh_reader *reader, unsigned bytes) {
    unsigned above = 64 - 8 * bytes;
    return (int64_t)(eh_fixed(reader, bytes) << above) >> above;
}

/* A number of seven bits a byte (LEB128). What does not fit into 64 bits is lost. */
static inline uint64_t eh_uleb(struct eh_reader *reader) {
    uint64_t value = 0, byte = 0x80;
    for (unsigned shift = 0; byte & 0x80 && eh_has(reader, 1); shift += 7) {
        byte = *reader->at++;
        value |= shift < 64 ? (byte & 0x7f) << shift : 0;
    }
    return value;
}

static inline int64_t eh_sleb(struct eh_reader *reader) {
    uint64_t value = 0, byte = 0x80;
    unsigned shift = 0;
    for (; byte & 0x80 && eh_has(reader, 1); shift += 7) {
        byte = *reader->at++;
        value |= shift < 64 ? (byte & 0x7f) << shift : 0;
    }
    return (int64_t)(shift < 64 && byte & 0x40 ? value | ~UINT64_C(0) << shift : value);
}

/* A number in one of the forms of EH_. */
static inline uint64_t eh_number(struct eh_reader *reader, unsigned encoding) {
    switch (encoding & 0x0f) {
    case EH_ABSOLUTE: case EH_U8: case EH_S8:
        return eh_fixed(reader, 8);
    case EH_U2:
        return eh_fixed(reader, 2);
    case EH_U4:
        return eh_fixed(reader, 4);
    case EH_S2:
        return (uint64_t)eh_fixed_signed(reader, 2);
    case EH_S4:
        return (uint64_t)eh_fixed_signed(reader, 4);
    case EH_ULEB:
        return eh_uleb(reader);
    case EH_SLEB:
        return (uint64_t)eh_sleb(reader);
    default:
        reader->bad = true;
        return 0;
    }
}

/* An address. `data` is what EH_DATAREL is relative to. An address that is stored elsewhere is skipped and read as 0: that is
 * how functions are named which unwinding for an exception would call. */
static inline uintptr_t eh_address(struct eh_reader *reader, unsigned encoding, uintptr_t data) {
    if (encoding == EH_OMIT)
        return 0;
    uintptr_t base = (uintptr_t)reader->at;
    uint64_t value = eh_number(reader, encoding);
    if (value == 0 || encoding & EH_INDIRECT)
        return 0;
    switch (encoding & EH_RELATIVE) {
    case EH_ABSOLUTE:
        return value;
    case EH_PCREL:
        return base + value;
    case EH_DATAREL:
        return data + value;
    default: /* relative to a function or a segment, aligned: no tool writes those for these processors */
        reader->bad = true;
        return 0;
    }
}

#endif
