/* SPDX-License-Identifier: MIT */
#include "callers/rows.h"

#include "kit/budget.h"
#include "callers/step.h"

#define GENERATION_SHIFT ADDRESS_BITS /* a key's upper bits: of the generation those that fit, but for the last one */
#define UNSEEN (UINT64_C(1) << 63)    /* instead of them while nobody sees code change */

static _Atomic(void *) table; /* of struct rows_entry */
static _Atomic uint32_t epoch; /* of the generation the bits that no key has, when the table was emptied last */

/* Before a key's bits of the generation are used a second time, what has them is gone. */
static COLD void empty_slow(struct rows_entry *entries, uint32_t now) {
    for (size_t i = 0; i < ROWS; i++)
        atomic_store_explicit(&entries[i].mixed, 0, memory_order_relaxed);
    atomic_store_explicit(&epoch, now, memory_order_release);
}

struct rows_view rows_view(void) {
    if (!code_is_worth_keeping())
        return (struct rows_view){NULL, 0};
    struct rows_entry *entries = atomic_load_explicit(&table, memory_order_acquire);
    if (UNLIKELY(entries == NULL))
        entries = budget_map_once(&table, ROWS * sizeof *entries);
    uint32_t generation = code_generation(), now = generation >> (64 - GENERATION_SHIFT - 1);
    if (UNLIKELY(now != atomic_load_explicit(&epoch, memory_order_acquire)) && entries != NULL)
        empty_slow(entries, now);
    uint64_t seen = ((uint64_t)generation << GENERATION_SHIFT) & ~UNSEEN;
    return (struct rows_view){entries, code_is_seen_to_change() ? seen : UNSEEN};
}

/* ---- a row of the tables ----------------------------------------------------------------------------------------- */

#define FITS(value, bits) ((value) % 8 == 0 && (value) / 8 < 1 << ((bits) - 1) && (value) / 8 >= -(1 << ((bits) - 1)))

static struct row full(void) {
    return (struct row){.kind = ROW_FULL};
}

static struct row shorten(const struct eh_entry *entry, const struct cfi_rules *rules) {
    const struct cfi_rule *cfa = &rules->cfa, *ra = &rules->of[ARCH_RA], *fp = &rules->of[ARCH_FP];
    bool by_fp = cfa->number == ARCH_FP, in_link = ra->how == CFI_SAME, keeps_fp = fp->how == CFI_SAME;
    if (entry->return_column != ARCH_RA || entry->signal)
        return full();
    if (ra->how == CFI_UNDEFINED)
        return (struct row){.kind = ROW_END};
    if (cfa->how != CFI_REGISTER || (!by_fp && cfa->number != ARCH_SP) || rules->of[ARCH_SP].how != CFI_SAME ||
        (ra->how != CFI_AT && !in_link) || (fp->how != CFI_AT && !keeps_fp))
        return full();
    if (!FITS(cfa->offset, 26) || !FITS(ra->offset, 16) || !FITS(fp->offset, 16))
        return full();
    return (struct row){.kind = ROW_SHORT, .by_fp = by_fp, .in_link = in_link, .keeps_fp = keeps_fp, .cfa = cfa->offset / 8,
                        .ra = ra->offset / 8, .fp = fp->offset / 8};
}

static struct row look_up(const struct arch_frame *frame, struct stack_memory *memory, bool *keep) {
    uintptr_t address = step_address(frame);
    struct code code;
    struct eh_entry entry;
    struct cfi_rules rules;
    *keep = code_is_seen_to_change() && !code_may_come();
    if (code_find(address, &code)) {
        *keep = code.stays;
        if (eh_table_find(&code, address, &entry) && cfi_run(&entry, address, &rules))
            return shorten(&entry, &rules);
    }
    return (struct row){.kind = step_is_signal_return(frame, memory) ? ROW_SIGNAL : ROW_PLAIN};
}

struct row rows_make(const struct rows_view *view, const struct arch_frame *frame, struct stack_memory *memory) {
    bool keep;
    union row_word made = {.row = look_up(frame, memory, &keep)};
    if (view->table != NULL && keep) {
        struct rows_entry *entry = rows_place(view, step_address(frame));
        atomic_store_explicit(&entry->row, made.word, memory_order_relaxed);
        atomic_store_explicit(&entry->mixed, rows_mixed(view, step_address(frame), made.word), memory_order_relaxed);
    }
    return made.row;
}
