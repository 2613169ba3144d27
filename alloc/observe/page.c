/* SPDX-License-Identifier: MIT */
#include "observe/page.h"

#include <stddef.h>

#include "base/base.h"
#include "kit/budget.h"
#include "kit/modes.h"
#include "kit/tunables.h"
#include "heap/central_class.h"
#include "heap/mapped.h"
#include "heap/span_types.h"
#include "heap/transfer.h"
#include "observe/letters.h"
#include "observe/structures.h"

_Static_assert(sizeof central_class_count == 4, "read as 32 bits");

/* Known to no other file, and under this name to the note: so it is neither static nor dropped. */
extern HIDDEN const struct page page_of_numbers;
const struct page page_of_numbers __attribute__((used)) = {
    .version = PAGE_VERSION,
    .bytes = sizeof(struct page),
    .unit_shift = UNIT_SHIFT,
    .row_bytes = sizeof(struct class),
    .row_most = sizeof central_classes / sizeof *central_classes,
    .size_at = offsetof(struct class, size),
    .out_at = offsetof(struct class, out),
    .spans_at = offsetof(struct class, span_count),
    .numbers = {
#define NUMBER(name, kind, address, meaning) [PAGE_AT_##name] = (const void *)(address),
#include "observe/page.def"
#undef NUMBER
    },
    .rows = central_classes,
    .row_count = &central_class_count,
    .mailbox_version = MAILBOX_VERSION,
    .mailbox_bytes = sizeof(struct mailbox),
    .mailbox = &letters_mailbox,
    .knock = &modes_knock,
    .control = &tunables.control,
    .structures_bytes = sizeof(struct structures),
    .layout_bytes = sizeof structures_layout,
    .structures = &structures_of_heap,
};

/* The note: length of its name and of its contents, type, name, contents. The linker gives a PT_NOTE to its section. */
__asm__(".pushsection .note.myalloc, \"a\", %note\n"
        ".balign 4\n"
        ".long 8, 8, 1\n"
        ".asciz \"" PAGE_NOTE "\"\n"
        ".quad page_of_numbers - .\n"
        ".popsection");
_Static_assert(sizeof PAGE_NOTE == 8 && PAGE_NOTE_TYPE == 1, "as the note has it");
