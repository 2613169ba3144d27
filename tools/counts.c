/* SPDX-License-Identifier: MIT */
#include "counts.h"

#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

/* What kind of number a row is. */
enum kind { BYTES, UNITS, COUNT };
static const enum kind kinds[] = {
#define NUMBER(name, kind, address, meaning) kind,
#include "observe/page.def"
#undef NUMBER
};

struct search {
    const struct target *target;
    int error;      /* of the last look, 0 if memory could be read */
    uintptr_t page; /* 0: not found */
};

/* ---- where the page is ------------------------------------------------------------------------------------------- */

/* Looks for our note among those at `start`. */
static bool find_note(const char *notes, size_t bytes, uintptr_t start, void *page)
{
    size_t at = 0;

    while (at + sizeof(ElfW(Nhdr)) <= bytes) {
        ElfW(Nhdr) note;
        size_t name = at + sizeof note, contents;
        int64_t distance;

        memcpy(&note, notes + at, sizeof note);
        contents = name + ((note.n_namesz + 3ul) & ~3ul);
        if (contents + note.n_descsz > bytes)
            return false;
        if (note.n_namesz == sizeof PAGE_NOTE && note.n_type == PAGE_NOTE_TYPE && note.n_descsz == sizeof distance &&
            !memcmp(notes + name, PAGE_NOTE, sizeof PAGE_NOTE)) {
            memcpy(&distance, notes + contents, sizeof distance);
            *(uintptr_t *)page = start + contents + (uintptr_t)distance;
            return true;
        }
        at = contents + ((note.n_descsz + 3ul) & ~3ul);
    }
    return false;
}

static int read_target(void *target, uintptr_t at, void *out, size_t bytes)
{
    return target_memory(target, at, out, bytes);
}

/* Looks into the ELF file that is mapped at `start`, if it is one. */
static bool look_into(uintptr_t start, void *data)
{
    struct search *search = data;
    struct elf_image image = {start, read_target, (void *)search->target};

    search->error = elf_image_notes(&image, find_note, &search->page);
    return search->error == EPERM || search->error == ESRCH || search->page;
}

/* ---- reading it -------------------------------------------------------------------------------------------------- */

static int read_numbers(int number, const struct page *page, struct counts *counts)
{
    for (size_t i = 0; i < PAGE_NUMBERS; i++) {
        size_t word = 0;
        int error = process_memory(number, (uintptr_t)page->numbers[i], &word, sizeof word);

        if (error)
            return error;
        counts->numbers[i] = kinds[i] == UNITS ? (uint64_t)word << page->unit_shift : word;
    }
    return 0;
}

/* Adds a row to the class of its size. One without a size, or for whose size there is no room, is none: what led to it has been
   overwritten. */
static void add_row(const char *row, const struct page *page, struct counts *counts)
{
    uint32_t blocks, spans;
    uint16_t size;
    size_t i = 0;

    memcpy(&size, row + page->size_at, sizeof size);
    memcpy(&blocks, row + page->out_at, sizeof blocks);
    memcpy(&spans, row + page->spans_at, sizeof spans);
    while (i < counts->classes && counts->class[i].size != size)
        i++;
    if (size == 0 || i == COUNTS_CLASSES)
        return;
    if (i == counts->classes) {
        counts->classes++;
        counts->class[i].size = size;
        counts->class[i].blocks = counts->class[i].spans = 0;
    }
    counts->class[i].blocks += blocks;
    counts->class[i].spans += spans;
}

static int read_classes(int number, const struct page *page, struct counts *counts)
{
    uint32_t count = 0;
    int error = process_memory(number, (uintptr_t)page->row_count, &count, sizeof count);
    char *rows;

    counts->classes = 0;
    if (error || count == 0)
        return error;
    if (count > page->row_most) /* it has been overwritten */
        count = page->row_most;
    rows = calloc(count, page->row_bytes);
    if (!rows)
        return ENOMEM;
    error = process_memory(number, (uintptr_t)page->rows, rows, (size_t)count * page->row_bytes);
    for (size_t i = 0; i < count && !error; i++)
        add_row(rows + i * page->row_bytes, page, counts);
    free(rows);
    return error;
}

/* Whether a page of this version says nothing that we have no room for: it is what another process has written. */
static bool is_sound(const struct page *page)
{
    return page->bytes == sizeof *page && page->unit_shift < 32 && page->row_most > 0 && page->row_most <= COUNTS_ROWS &&
           page->row_bytes >= sizeof(uint32_t) && page->row_bytes <= 4096 &&
           page->size_at <= page->row_bytes - sizeof(uint16_t) && page->out_at <= page->row_bytes - sizeof(uint32_t) &&
           page->spans_at <= page->row_bytes - sizeof(uint32_t);
}

/* ---- what is wrong ----------------------------------------------------------------------------------------------- */

enum counts_result counts_result_of(int error, struct counts *counts)
{
    counts->detail = (unsigned)error;
    switch (error) {
    case 0: return COUNTS_READ;
    case ESRCH:
    case ENOENT: return COUNTS_ENDED;
    case EPERM:
    case EACCES: return COUNTS_FORBIDDEN;
    case EFAULT: return COUNTS_CHANGED;
    default: return COUNTS_REFUSED;
    }
}

int counts_say(int number, const struct counts *counts, enum counts_result result)
{
    switch (result) {
    case COUNTS_READ:
        return 0;
    case COUNTS_ENDED:
        return fail(EXIT_FAILURE, "there is no process %d, or it has ended", number);
    case COUNTS_FORBIDDEN:
        return fail(EXIT_FAILURE,
                    "process %d may not be read: be its user, or root (sudo); where "
                    "/proc/sys/kernel/yama/ptrace_scope is not 0, only root may, or who has CAP_SYS_PTRACE",
                    number);
    case COUNTS_CHANGED:
        return fail(EXIT_FAILURE, "process %d has begun another program, or ended, while it was read", number);
    case COUNTS_ABSENT:
        return fail(EXIT_FAILURE, "process %d (%s) does not run on myalloc, or on one without numbers for tools", number,
                    counts->process.name);
    case COUNTS_VERSION:
        return fail(EXIT_FAILURE, "process %d has a library of another version (numbers %u, this command reads %d): use "
                    "its own", number, counts->detail, PAGE_VERSION);
    case COUNTS_UNSOUND:
        return fail(EXIT_FAILURE, "process %d has a page of numbers that cannot be right: it has been overwritten", number);
    default:
        return fail(EXIT_FAILURE, "process %d cannot be read: %s", number, strerror((int)counts->detail));
    }
}

/* ---- a look ------------------------------------------------------------------------------------------------------ */

/* The page at `at`. */
static enum counts_result read_page(uintptr_t at, const struct target *target, struct counts *counts, struct page *page)
{
    int error = target_memory(target, at, &counts->detail, sizeof counts->detail);

    if (!error && counts->detail != PAGE_VERSION)
        return COUNTS_VERSION;
    if (!error)
        error = target_memory(target, at, page, sizeof *page);
    if (!error && !is_sound(page))
        return COUNTS_UNSOUND;
    return counts_result_of(error, counts);
}

enum counts_result counts_still(int number, struct counts *counts)
{
    struct process after;

    if (!process_read(number, &after) || after.started != counts->process.started)
        return COUNTS_ENDED;
    return after.image == counts->process.image ? COUNTS_READ : COUNTS_CHANGED;
}

/* What it leads to. */
static enum counts_result follow(const struct page *page, int number, struct counts *counts)
{
    int error = read_numbers(number, page, counts);

    if (!error)
        error = read_classes(number, page, counts);
    return error ? counts_result_of(error, counts) : counts_still(number, counts);
}

enum counts_result counts_target_page(const struct target *target, struct counts *counts, struct page *page)
{
    struct search search = {.target = target};

    *counts = (struct counts){.process.number = target->number};
    if (!target_read(target, &counts->process))
        return COUNTS_ENDED;
    if (!target_each_file(target, look_into, &search))
        return counts_result_of(errno, counts);
    if (search.error == EPERM || search.error == ESRCH)
        return counts_result_of(search.error, counts);
    return search.page ? read_page(search.page, target, counts, page) : COUNTS_ABSENT;
}

enum counts_result counts_page(int number, struct counts *counts, struct page *page)
{
    return counts_target_page(&(struct target){.number = number}, counts, page);
}

enum counts_result counts_look(int number, struct counts *counts)
{
    struct page page;
    enum counts_result result = counts_page(number, counts, &page);

    return result == COUNTS_READ ? follow(&page, number, counts) : result;
}

int counts_read(int number, struct counts *counts)
{
    return counts_say(number, counts, counts_look(number, counts));
}
