/* SPDX-License-Identifier: MIT */
/*
 * How many bytes of memory an instruction of x86-64 reads or writes: what a report of a fault says of the access. Known are the
 * instructions that compilers make of C and C++, and those of libc's string functions: moves, arithmetic, SSE, AVX, what of
 * AVX-512 has no mask, x87, string instructions. Of all others nothing is said: gathered and masked
 * accesses, whose size a register tells, saved states, AMD's own, and what was added later than this table.
 *
 * An instruction is prefixes, an opcode in one of four maps, and a byte (ModRM) that tells a register from memory. Each map has
 * a table from its opcodes to what the size depends on. VEX and EVEX are other ways to write prefixes and map. The names are
 * those of Intel's manual, volume 2; tests/unit/internal_operand.c has instructions as the assembler writes them.
 */
#ifndef MYALLOC_OPERAND_X86_H
#define MYALLOC_OPERAND_X86_H

#include "base/base.h"

/* What an opcode's size depends on. */
enum operand_size {
    OPERAND_NONE, /* not known, or no memory */
    OPERAND_1,
    OPERAND_2,
    OPERAND_4,
    OPERAND_8,
    OPERAND_16,
    OPERAND_32,
    OPERAND_INTEGER, /* 4; by prefixes 2 or 8 */
    OPERAND_GENERAL, /* 4; by a prefix 8 */
    OPERAND_VECTOR,  /* a whole vector, or as much of it as the name says */
    OPERAND_HALF,
    OPERAND_QUARTER,
    OPERAND_EIGHTH,
    OPERAND_MMX,    /* a vector; without a prefix 8 */
    OPERAND_SHIFT,  /* 16, however long the vector is; without a prefix 8 */
    OPERAND_FLOAT,  /* by the prefix a vector, or one number of 4 or 8 */
    OPERAND_OFTEN,  /* string instructions of bytes and of OPERAND_INTEGER */
    OPERAND_OFTEN_INTEGER,
    OPERAND_PLACE,  /* the same with an address in the place of ModRM */
    OPERAND_PLACE_INTEGER,
    OPERAND_ASK     /* operand_x86_odd */
};

struct operand_x86 {
    const uint8_t *at, *end;
    uint8_t map, opcode, modrm;
    uint8_t prefix; /* 0x66, 0xf3, 0xf2: which of an opcode's forms it is */
    bool wide;      /* 8 bytes (REX.W and its kin) */
    bool narrow;    /* 2 bytes */
    bool repeated, vex, evex;
    uint8_t vector; /* bytes */
};

static const uint8_t operand_x86_maps[4][256] = {
    [0] =
        {
            [0x63] = OPERAND_4, [0x69] = OPERAND_INTEGER, [0x6b] = OPERAND_INTEGER,
            [0x80] = OPERAND_1, OPERAND_INTEGER, OPERAND_NONE, OPERAND_INTEGER, OPERAND_1, OPERAND_INTEGER, OPERAND_1,
            OPERAND_INTEGER, OPERAND_1, OPERAND_INTEGER, OPERAND_1, OPERAND_INTEGER, OPERAND_2, OPERAND_NONE, OPERAND_2,
            OPERAND_ASK,
            [0xa0] = OPERAND_PLACE, OPERAND_PLACE_INTEGER, OPERAND_PLACE, OPERAND_PLACE_INTEGER, OPERAND_OFTEN,
            OPERAND_OFTEN_INTEGER, OPERAND_OFTEN, OPERAND_OFTEN_INTEGER,
            [0xaa] = OPERAND_OFTEN, OPERAND_OFTEN_INTEGER, OPERAND_OFTEN, OPERAND_OFTEN_INTEGER, OPERAND_OFTEN,
            OPERAND_OFTEN_INTEGER,
            [0xc0] = OPERAND_1, OPERAND_INTEGER, [0xc6] = OPERAND_1, OPERAND_INTEGER,
            [0xd0] = OPERAND_1, OPERAND_INTEGER, OPERAND_1, OPERAND_INTEGER, [0xd8 ... 0xdf] = OPERAND_ASK,
            [0xf6] = OPERAND_1, OPERAND_INTEGER, [0xfe] = OPERAND_1, OPERAND_ASK,
        },
    [1] =
        {
            [0x10] = OPERAND_FLOAT, OPERAND_FLOAT, OPERAND_ASK, OPERAND_8, OPERAND_VECTOR, OPERAND_VECTOR, OPERAND_ASK,
            OPERAND_8, [0x28] = OPERAND_VECTOR, OPERAND_VECTOR, OPERAND_ASK, OPERAND_FLOAT, OPERAND_ASK, OPERAND_ASK,
            OPERAND_ASK, OPERAND_ASK, [0x40 ... 0x4f] = OPERAND_INTEGER, [0x51 ... 0x53] = OPERAND_FLOAT,
            [0x54 ... 0x57] = OPERAND_VECTOR, OPERAND_FLOAT, OPERAND_FLOAT, OPERAND_ASK, OPERAND_VECTOR,
            [0x5c ... 0x5f] = OPERAND_FLOAT, [0x60 ... 0x62] = OPERAND_ASK, [0x63 ... 0x6b] = OPERAND_MMX,
            [0x6c ... 0x6d] = OPERAND_VECTOR, OPERAND_GENERAL, OPERAND_MMX, OPERAND_MMX,
            [0x74 ... 0x76] = OPERAND_MMX, [0x7c ... 0x7d] = OPERAND_VECTOR, OPERAND_ASK, OPERAND_MMX,
            [0x90 ... 0x9f] = OPERAND_1, [0xa3 ... 0xa5] = OPERAND_INTEGER, [0xab ... 0xad] = OPERAND_INTEGER, OPERAND_ASK,
            OPERAND_INTEGER, OPERAND_1, OPERAND_INTEGER, [0xb3] = OPERAND_INTEGER, [0xb6] = OPERAND_1, OPERAND_2,
            OPERAND_INTEGER, [0xba ... 0xbd] = OPERAND_INTEGER, OPERAND_1, OPERAND_2,
            [0xc0] = OPERAND_1, OPERAND_INTEGER, OPERAND_FLOAT, OPERAND_GENERAL, OPERAND_2, [0xc6] = OPERAND_VECTOR,
            OPERAND_ASK,
            [0xd0] = OPERAND_VECTOR, [0xd1 ... 0xd3] = OPERAND_SHIFT, OPERAND_MMX, OPERAND_MMX, OPERAND_8,
            [0xd8 ... 0xe0] = OPERAND_MMX, OPERAND_SHIFT, OPERAND_SHIFT, [0xe3 ... 0xe5] = OPERAND_MMX, OPERAND_ASK,
            [0xe7 ... 0xef] = OPERAND_MMX, OPERAND_VECTOR, [0xf1 ... 0xf3] = OPERAND_SHIFT, [0xf4 ... 0xf6] = OPERAND_MMX,
            [0xf8 ... 0xfe] = OPERAND_MMX,
        },
    [2] =
        {
            [0x00 ... 0x0b] = OPERAND_MMX, [0x0c ... 0x0f] = OPERAND_VECTOR, OPERAND_16, [0x13] = OPERAND_HALF, OPERAND_16,
            OPERAND_16, OPERAND_VECTOR, OPERAND_VECTOR, OPERAND_4, OPERAND_8, OPERAND_16, OPERAND_32,
            [0x1c ... 0x1e] = OPERAND_MMX, OPERAND_VECTOR,
            [0x20] = OPERAND_HALF, OPERAND_QUARTER, OPERAND_EIGHTH, OPERAND_HALF, OPERAND_QUARTER, OPERAND_HALF,
            [0x26 ... 0x2b] = OPERAND_VECTOR, [0x30] = OPERAND_HALF, OPERAND_QUARTER, OPERAND_EIGHTH, OPERAND_HALF,
            OPERAND_QUARTER, OPERAND_HALF, [0x36 ... 0x40] = OPERAND_VECTOR, OPERAND_16, [0x42] = OPERAND_VECTOR,
            [0x44 ... 0x47] = OPERAND_VECTOR, [0x4c] = OPERAND_VECTOR, OPERAND_GENERAL, OPERAND_VECTOR, OPERAND_GENERAL,
            [0x50 ... 0x55] = OPERAND_VECTOR, [0x58] = OPERAND_4, OPERAND_8, OPERAND_16, OPERAND_32,
            [0x64 ... 0x66] = OPERAND_VECTOR, [0x70 ... 0x73] = OPERAND_VECTOR, [0x75 ... 0x77] = OPERAND_VECTOR, OPERAND_1,
            OPERAND_2, [0x7d ... 0x7f] = OPERAND_VECTOR, [0x83] = OPERAND_VECTOR, [0x8d] = OPERAND_VECTOR,
            [0x8f] = OPERAND_VECTOR,
            [0x96 ... 0x98] = OPERAND_VECTOR, OPERAND_GENERAL, OPERAND_VECTOR, OPERAND_GENERAL, OPERAND_VECTOR,
            OPERAND_GENERAL, OPERAND_VECTOR, OPERAND_GENERAL,
            [0xa6 ... 0xa8] = OPERAND_VECTOR, OPERAND_GENERAL, OPERAND_VECTOR, OPERAND_GENERAL, OPERAND_VECTOR,
            OPERAND_GENERAL, OPERAND_VECTOR, OPERAND_GENERAL,
            [0xb4 ... 0xb8] = OPERAND_VECTOR, OPERAND_GENERAL, OPERAND_VECTOR, OPERAND_GENERAL, OPERAND_VECTOR,
            OPERAND_GENERAL, OPERAND_VECTOR, OPERAND_GENERAL,
            [0xc4] = OPERAND_VECTOR, [0xc8 ... 0xcd] = OPERAND_16, [0xcf] = OPERAND_VECTOR, [0xdb] = OPERAND_VECTOR,
            [0xdc ... 0xdf] = OPERAND_ASK, [0xf0 ... 0xf1] = OPERAND_ASK,
            [0xf2 ... 0xf3] = OPERAND_GENERAL, [0xf5 ... 0xf7] = OPERAND_GENERAL,
        },
    [3] =
        {
            [0x00 ... 0x03] = OPERAND_VECTOR, [0x04 ... 0x06] = OPERAND_VECTOR, [0x08 ... 0x09] = OPERAND_VECTOR, OPERAND_4,
            OPERAND_8, [0x0c ... 0x0e] = OPERAND_VECTOR, OPERAND_MMX, [0x14] = OPERAND_1, OPERAND_2, OPERAND_GENERAL, OPERAND_4,
            OPERAND_16, OPERAND_16, OPERAND_32, OPERAND_32, [0x1d] = OPERAND_HALF, OPERAND_VECTOR, OPERAND_VECTOR,
            OPERAND_1, OPERAND_4, OPERAND_GENERAL, OPERAND_VECTOR, [0x25] = OPERAND_VECTOR, OPERAND_VECTOR,
            [0x38] = OPERAND_16, OPERAND_16, OPERAND_32, OPERAND_32, [0x3e ... 0x40] = OPERAND_VECTOR, OPERAND_16,
            [0x42 ... 0x44] = OPERAND_VECTOR, [0x46] = OPERAND_VECTOR, [0x4a ... 0x4c] = OPERAND_VECTOR,
            [0x60 ... 0x63] = OPERAND_16, [0x70 ... 0x73] = OPERAND_VECTOR, [0xcc] = OPERAND_16,
            [0xce ... 0xcf] = OPERAND_VECTOR, [0xdf] = OPERAND_16, [0xf0] = OPERAND_GENERAL,
        },
};

/* The next byte; 0 behind what can be read, which is then seen by `at`. */
static inline uint8_t operand_x86_next(struct operand_x86 *in) {
    return in->at < in->end ? *in->at++ : (in->at++, (uint8_t)0);
}

/* The prefixes that every processor has had, then REX, which must be the last. Returns the byte behind them. */
static inline uint8_t operand_x86_prefixes(struct operand_x86 *in) {
    uint8_t byte;
    for (;;) {
        byte = operand_x86_next(in);
        if (byte == 0x66) {
            in->narrow = true;
            in->prefix = in->prefix != 0 ? in->prefix : byte;
        } else if (byte == 0xf2 || byte == 0xf3) {
            in->repeated = true;
            in->prefix = byte;
        } else if ((byte & 0xe7) != 0x26 && (byte & 0xfe) != 0x64 && byte != 0x67 && byte != 0xf0) {
            break; /* no prefix of a segment, an address's size or a lock */
        }
    }
    if ((byte & 0xf0) != 0x40)
        return byte;
    in->wide = (byte & 8) != 0;
    return operand_x86_next(in);
}

static inline void operand_x86_set_form(struct operand_x86 *in, uint8_t byte) {
    static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};
    in->prefix = prefixes[byte & 3];
    in->wide = (byte & 0x80) != 0;
    in->vex = true;
}

/* VEX of two or three bytes, and EVEX of four; the first byte has been read. False for forms of which nothing is known. */
static inline bool operand_x86_vex(struct operand_x86 *in, uint8_t first) {
    uint8_t byte = operand_x86_next(in), more;
    if (first == 0xc5) {
        in->map = 1;
        operand_x86_set_form(in, byte & 0x7f);
        in->vector = byte & 4 ? 32 : 16;
        return true;
    }
    in->map = byte & (first == 0xc4 ? 31 : 7);
    byte = operand_x86_next(in);
    operand_x86_set_form(in, byte);
    in->vector = byte & 4 ? 32 : 16;
    if (first == 0xc4)
        return in->map >= 1 && in->map <= 3;
    more = operand_x86_next(in);
    in->evex = true;
    in->vector = (uint8_t)(16 << (more >> 5 & 3));
    if (in->map != 1 && !((in->map == 2 || in->map == 3) && in->prefix == 0x66)) /* stores of a part have 0xf3 */
        return false;
    return (more & 0x17) == 0 && in->vector <= 64; /* no mask, nothing broadcast */
}

static inline bool operand_x86_opcode(struct operand_x86 *in) {
    uint8_t byte = operand_x86_prefixes(in);
    if (byte == 0xc4 || byte == 0xc5 || byte == 0x62) {
        if (!operand_x86_vex(in, byte))
            return false;
        in->opcode = operand_x86_next(in);
        return true;
    }
    if (byte == 0x0f) {
        byte = operand_x86_next(in);
        in->map = byte == 0x38 ? 2 : byte == 0x3a ? 3 : 1;
        byte = in->map > 1 ? operand_x86_next(in) : byte;
    }
    in->opcode = byte;
    return true;
}

static inline uint32_t operand_x86_integer(const struct operand_x86 *in) {
    return in->wide ? 8 : in->narrow ? 2 : 4;
}

/* Opcodes of x87, and those whose operation a part of ModRM tells. */
static inline uint32_t operand_x86_group(const struct operand_x86 *in) {
    static const uint8_t x87[8][8] = {
        {4, 4, 4, 4, 4, 4, 4, 4}, {4, 0, 4, 4, 0, 2, 0, 2}, {4, 4, 4, 4, 4, 4, 4, 4}, {4, 4, 4, 4, 0, 10, 0, 10},
        {8, 8, 8, 8, 8, 8, 8, 8}, {8, 8, 8, 8, 0, 0, 0, 2}, {2, 2, 2, 2, 2, 2, 2, 2}, {2, 2, 2, 2, 10, 8, 10, 8}};
    unsigned part = in->modrm >> 3 & 7;
    if (in->map == 0 && in->opcode >= 0xd8 && in->opcode <= 0xdf)
        return x87[in->opcode & 7][part];
    switch (in->opcode) {
    case 0x8f: /* pop; AMD's XOP has other instructions there */
        return part != 0 ? 0 : in->narrow && !in->wide ? 2 : 8;
    case 0xff: /* inc and dec; jumps and calls, by the address that lies there; push */
        if (part == 6)
            return in->narrow && !in->wide ? 2 : 8;
        return part < 2 ? operand_x86_integer(in) : part == 2 || part == 4 ? 8 : 0;
    case 0xae: /* the control word of SSE */
        return part == 2 || part == 3 ? 4 : 0;
    default: /* 0xc7: cmpxchg8b, cmpxchg16b */
        return part != 1 ? 0 : in->wide ? 16 : 8;
    }
}

/* Opcodes whose size depends on the prefix in a way of its own. */
static inline uint32_t operand_x86_odd(const struct operand_x86 *in) {
    bool f3 = in->prefix == 0xf3, f2 = in->prefix == 0xf2, scalar = f3 || f2;
    if (in->map == 0)
        return operand_x86_group(in);
    if (in->map == 2 && in->opcode < 0xf0) /* AES; with a prefix by a wrapped key */
        return f3 ? 0 : in->vector;
    if (in->map == 2) /* movbe, and crc32, whose first form is of bytes */
        return f2 && in->opcode == 0xf0 ? 1 : in->vex ? 0 : operand_x86_integer(in);
    switch (in->opcode) {
    case 0x12:
    case 0x16: /* movlps, movhps; movsldup, movddup, movshdup */
        return f3 || (f2 && in->vector > 16) ? in->vector : 8;
    case 0x2a: /* conversions */
        return !scalar || in->wide ? 8 : 4;
    case 0x2c:
    case 0x2d:
        return f3 ? 4 : in->prefix == 0x66 ? 16 : 8;
    case 0x2e:
    case 0x2f: /* ucomis */
        return in->prefix == 0x66 ? 8 : 4;
    case 0x5a:
        return f3 ? 4 : f2 ? 8 : in->prefix == 0x66 ? in->vector : in->vector / 2u;
    case 0x60:
    case 0x61:
    case 0x62: /* punpckl reads half of what there is in the form for MMX, and all of it in the others */
        return in->prefix == 0x66 ? in->vector : 4;
    case 0x7e:
        return f3 || in->wide ? 8 : 4;
    case 0xe6:
        return in->evex ? 0 : f3 ? in->vector / 2u : in->vector;
    default:
        return operand_x86_group(in);
    }
}

static inline uint32_t operand_x86_bytes(const struct operand_x86 *in, enum operand_size size) {
    bool mmx = in->prefix == 0 && !in->vex;
    switch (size) {
    case OPERAND_NONE:
        return 0;
    case OPERAND_OFTEN:
    case OPERAND_PLACE:
        return 1;
    case OPERAND_1: /* in this map, VEX has other instructions there */
        return in->vex && in->map == 1 ? 0 : 1;
    case OPERAND_2:
        return 2;
    case OPERAND_4:
        return 4;
    case OPERAND_8:
        return 8;
    case OPERAND_16:
        return 16;
    case OPERAND_32:
        return 32;
    case OPERAND_OFTEN_INTEGER:
    case OPERAND_PLACE_INTEGER:
    case OPERAND_INTEGER:
        return in->vex ? 0 : operand_x86_integer(in);
    case OPERAND_GENERAL:
        return in->wide ? 8 : 4;
    case OPERAND_MMX:
        return mmx ? 8 : in->vector;
    case OPERAND_SHIFT:
        return mmx ? 8 : 16;
    case OPERAND_FLOAT:
        return in->prefix == 0xf3 ? 4 : in->prefix == 0xf2 ? 8 : in->vector;
    case OPERAND_VECTOR:
        return in->vector;
    case OPERAND_HALF:
        return in->vector / 2u;
    case OPERAND_QUARTER:
        return in->vector / 4u;
    case OPERAND_EIGHTH:
        return in->vector / 8u;
    case OPERAND_ASK:
        return operand_x86_odd(in);
    }
    return 0;
}

static inline enum operand_size operand_x86_size(const struct operand_x86 *in) {
    if (in->evex && in->map == 2 && in->opcode >= 0x10 && in->opcode <= 0x15 && in->opcode != 0x13)
        return OPERAND_VECTOR; /* shifts, where others have blends */
    if (in->evex && in->map == 2 && in->opcode >= 0xc8 && in->opcode <= 0xcd)
        return OPERAND_NONE; /* where others have SHA */
    if (in->map != 0 || in->opcode >= 0x40)
        return (enum operand_size)operand_x86_maps[in->map][in->opcode];
    return in->opcode & 4 ? OPERAND_NONE : in->opcode & 1 ? OPERAND_INTEGER : OPERAND_1; /* add, or, adc, ... cmp */
}

/* The bytes of the memory operand of the instruction that begins at `code`, of which `length` bytes can be read; 0 if they are
 * not known. `repeated`: as many of them as a register says, one behind the other (rep movs, rep stos). */
static inline uint32_t operand_bytes(const uint8_t *code, size_t length, bool *repeated) {
    struct operand_x86 in = {.at = code, .end = code + length, .vector = 16};
    *repeated = false;
    if (!operand_x86_opcode(&in))
        return 0;
    enum operand_size size = operand_x86_size(&in);
    bool often = size == OPERAND_OFTEN || size == OPERAND_OFTEN_INTEGER;
    bool place = size == OPERAND_PLACE || size == OPERAND_PLACE_INTEGER;
    if (!often && !place)
        in.modrm = operand_x86_next(&in);
    if (in.at > in.end || in.modrm >= 0xc0) /* cut off; a register */
        return 0;
    bool moves = in.opcode == 0xa4 || in.opcode == 0xa5, fills = in.opcode == 0xaa || in.opcode == 0xab;
    *repeated = often && in.repeated && (moves || fills); /* what compares may end before */
    return operand_x86_bytes(&in, size);
}

#endif
