/* SPDX-License-Identifier: MIT */
/*
 * Call frame instructions: how the frame of a function looks while it is at a certain instruction. The result is a rule for the
 * frame's address (CFA: what the stack pointer was before the call) and one for each register that the caller may want back.
 */
#ifndef MYALLOC_CFI_H
#define MYALLOC_CFI_H

#include "base/arch_frame.h"
#include "callers/eh_table.h"

enum cfi_how {
    CFI_SAME,           /* the value is what it is */
    CFI_UNDEFINED,      /* lost; for the return address: there is no caller */
    CFI_AT,             /* stored at the CFA plus `offset` */
    CFI_IS,             /* the CFA plus `offset` */
    CFI_REGISTER,       /* the value of the register `offset`; for the CFA: `number` plus `offset` */
    CFI_AT_EXPRESSION,  /* stored where the expression says, which lies `offset` bytes into the tables, its length in front */
    CFI_IS_EXPRESSION,  /* what the expression says */
};

struct cfi_rule {
    uint8_t how; /* enum cfi_how */
    uint8_t number;
    int32_t offset;
};

struct cfi_rules {
    struct cfi_rule cfa;
    struct cfi_rule of[ARCH_REGISTERS];
};

/* The rules at an address of the entry's function. False if the instructions are damaged, or not known. */
bool cfi_run(const struct eh_entry *entry, uintptr_t address, struct cfi_rules *rules);

/* The expression that a rule names. */
struct eh_reader cfi_expression(const struct eh_entry *entry, const struct cfi_rule *rule);

#endif
