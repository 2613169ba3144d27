/* SPDX-License-Identifier: MIT */
/*
 * How many bytes of memory an instruction of aarch64 reads or writes: what a report of a fault says of the access. Known are
 * loads and stores of one register or two, general or vector, whole structures of vectors, exclusive and ordered accesses and
 * the atomic ones. Of all others nothing is said: SVE, whose vectors have a size of the machine's, the instructions that copy,
 * set or zero memory, those of memory tags.
 *
 * The names are those of the Arm Architecture Reference Manual, C4.1; tests/unit/internal_operand.c has instructions as the
 * assembler writes them.
 */
#ifndef MYALLOC_OPERAND_AARCH64_H
#define MYALLOC_OPERAND_AARCH64_H

#include <string.h>

#include "base/base.h"

static inline uint32_t operand_field(uint32_t word, unsigned from, unsigned bits) {
    return word >> from & ((1u << bits) - 1);
}

/* One register: size in bits 30 and 31, of vectors also in bit 23, with 16 bytes as the fifth size. */
static inline uint32_t operand_single(uint32_t word) {
    uint32_t size = operand_field(word, 30, 2), opc = operand_field(word, 22, 2);
    bool vector = operand_field(word, 26, 1), offset = operand_field(word, 24, 1);
    bool atomic = !offset && operand_field(word, 21, 1) && operand_field(word, 10, 2) == 0;
    bool authenticated = !offset && operand_field(word, 21, 1) && operand_field(word, 10, 1);
    if (authenticated)
        return size == 3 && !vector ? 8 : 0;
    if (atomic)
        return vector || (operand_field(word, 15, 1) && operand_field(word, 12, 2) != 0) ? 0 : 1u << size; /* ld64b */
    if (vector)
        return opc < 2 ? 1u << size : size == 0 ? 16 : 0;
    return opc == 3 && size > 1 ? 0 : opc == 2 && size == 3 ? 0 : 1u << size; /* prefetch; none */
}

/* Both registers of a pair. */
static inline uint32_t operand_pair(uint32_t word) {
    uint32_t opc = operand_field(word, 30, 2);
    bool vector = operand_field(word, 26, 1), load = operand_field(word, 22, 1), indexed = operand_field(word, 23, 2) != 0;
    if (vector)
        return opc < 3 ? 8u << opc : 0;
    if (opc == 1)
        return load && indexed ? 8 : 0; /* ldpsw; the store is of memory tags, too */
    return opc == 0 ? 8 : opc == 2 ? 16 : 0;
}

static inline uint32_t operand_exclusive(uint32_t word) {
    uint32_t size = operand_field(word, 30, 2);
    bool ordered = operand_field(word, 23, 1), o1 = operand_field(word, 21, 1);
    if (!o1 || ordered) /* ldxr, stxr, ldar, stlr; cas */
        return 1u << size;
    return size > 1 ? 2u << size : 8u << size; /* ldxp, stxp; casp */
}

/* ld1 to ld4, st1 to st4 of whole registers, by the opcode. */
static inline uint32_t operand_structures(uint32_t word) {
    static const uint8_t registers[16] = {[0] = 4, [2] = 4, [4] = 3, [6] = 3, [7] = 1, [8] = 2, [10] = 2};
    return registers[operand_field(word, 12, 4)] * (operand_field(word, 30, 1) ? 16u : 8u);
}

/* The same of one element of each register, or of one for all of a register's elements. */
static inline uint32_t operand_elements(uint32_t word) {
    uint32_t opcode = operand_field(word, 13, 3), size = operand_field(word, 10, 2);
    uint32_t elements = ((opcode & 1) << 1 | operand_field(word, 21, 1)) + 1;
    switch (opcode >> 1) {
    case 0:
        return elements;
    case 1:
        return size & 1 ? 0 : elements * 2;
    case 2:
        return size == 0 ? elements * 4 : size == 1 ? elements * 8 : 0;
    default:
        return elements << size;
    }
}

/* The bytes of the memory operand of the instruction that begins at `code`, of which `length` bytes can be read; 0 if they are
 * not known. `repeated` is for other processors. */
static inline uint32_t operand_bytes(const uint8_t *code, size_t length, bool *repeated) {
    uint32_t word;
    *repeated = false;
    if (length < sizeof word)
        return 0;
    memcpy(&word, code, sizeof word);
    if ((word & 0x3a000000) == 0x38000000) /* all but those of memory tags and of copies */
        return operand_single(word);
    if ((word & 0x3a000000) == 0x28000000)
        return operand_pair(word);
    if ((word & 0x3f000000) == 0x08000000)
        return operand_exclusive(word);
    if ((word & 0x3f200c00) == 0x19000000) /* ldapur, stlur */
        return operand_field(word, 30, 2) == 3 && operand_field(word, 22, 2) > 1 ? 0 : 1u << operand_field(word, 30, 2);
    if ((word & 0xbfbf0000) == 0x0c000000 || (word & 0xbfa00000) == 0x0c800000)
        return operand_structures(word);
    if ((word & 0xbf9f0000) == 0x0d000000 || (word & 0xbf800000) == 0x0d800000)
        return operand_elements(word);
    return 0;
}

#endif
