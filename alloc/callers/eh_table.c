/* SPDX-License-Identifier: MIT */
#include "callers/eh_table.h"

#define LONG_LENGTH 0xffffffff /* a length of eight bytes follows */
#define PLAIN_TABLE (EH_DATAREL | EH_S4) /* how linkers write the search table, and what is searched */

static struct eh_reader reader_at(const struct code *code, uintptr_t at) {
    bool inside = at - (uintptr_t)code->start <= (uintptr_t)(code->end - code->start);
    return (struct eh_reader){inside ? (const uint8_t *)at : code->end, code->end, !inside};
}

/* Begins an entry: the reader then ends where the entry does. False at the end of the table. */
static bool open_entry(struct eh_reader *reader) {
    uint64_t bytes = eh_fixed(reader, 4);
    if (bytes == LONG_LENGTH)
        bytes = eh_fixed(reader, 8);
    if (bytes == 0 || !eh_has(reader, bytes))
        return false;
    reader->end = reader->at + bytes;
    return true;
}

/* ---- CIE --------------------------------------------------------------------------------------------------------- */

/* What the letters of the augmentation announce. What is not known has its length in front, and is skipped with the rest. */
static bool read_augmentation(struct eh_reader *reader, const char *letters, struct eh_entry *entry) {
    if (*letters == '\0')
        return true;
    if (*letters != 'z')
        return false;
    uint64_t bytes = eh_uleb(reader);
    struct eh_reader data = *reader;
    eh_skip(reader, bytes);
    data.end = reader->at;
    for (letters++; *letters != '\0'; letters++) {
        if (*letters == 'R')
            entry->encoding = (uint8_t)eh_fixed(&data, 1);
        else if (*letters == 'P')
            eh_address(&data, (unsigned)eh_fixed(&data, 1), 0);
        else if (*letters == 'L')
            eh_skip(&data, 1);
        else if (*letters == 'S')
            entry->signal = true;
        else if (*letters != 'B' && *letters != 'G') /* of aarch64: how return addresses and memory are tagged */
            break;
    }
    return !data.bad;
}

static bool read_cie(const struct code *code, uintptr_t at, struct eh_entry *entry) {
    struct eh_reader reader = reader_at(code, at);
    if (!open_entry(&reader) || eh_fixed(&reader, 4) != 0)
        return false;
    unsigned version = (unsigned)eh_fixed(&reader, 1);
    const char *letters = (const char *)reader.at;
    while (eh_fixed(&reader, 1) != 0)
        ;
    if (reader.bad || (version != 1 && version != 3 && version != 4))
        return false;
    if (version == 4)
        eh_skip(&reader, 2); /* sizes of an address and of a segment */
    entry->code_align = eh_uleb(&reader);
    entry->data_align = eh_sleb(&reader);
    entry->return_column = (uint8_t)(version == 1 ? eh_fixed(&reader, 1) : eh_uleb(&reader));
    entry->encoding = EH_ABSOLUTE;
    entry->signal = false;
    entry->augmented = *letters == 'z';
    if (!read_augmentation(&reader, letters, entry))
        return false;
    entry->initial = reader;
    return !reader.bad;
}

/* ---- FDE --------------------------------------------------------------------------------------------------------- */

/* Reads the entry at `reader`, which then stands behind it, and is bad at the end of the table. False if it is a CIE, or
 * damaged. */
static bool read_fde(const struct code *code, struct eh_reader *reader, struct eh_entry *entry) {
    struct eh_reader own = *reader;
    if (!open_entry(&own)) {
        reader->bad = true;
        return false;
    }
    reader->at = own.end;
    uintptr_t here = (uintptr_t)own.at;
    uint64_t back = eh_fixed(&own, 4);
    if (back == 0 || own.bad || !read_cie(code, here - back, entry))
        return false;
    entry->from = eh_address(&own, entry->encoding, 0);
    entry->bytes = eh_number(&own, entry->encoding);
    if (entry->augmented)
        eh_skip(&own, eh_uleb(&own));
    entry->own = own;
    return !own.bad;
}

static bool covers(const struct eh_entry *entry, uintptr_t address) {
    return address - entry->from < entry->bytes;
}

/* ---- search ------------------------------------------------------------------------------------------------------ */

/* The last row of the sorted table whose function starts at or before the address; `offset` is the address less the header's,
 * as in the table. Each row has two words: where the function starts, where its entry lies. */
static const uint8_t *search(const uint8_t *rows, uint64_t count, int64_t offset) {
    uint64_t low = 0, high = count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int32_t start;
        memcpy(&start, rows + middle * 8, sizeof start);
        if (start <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? rows + (low - 1) * 8 : NULL;
}

static bool find_in_order(const struct code *code, uintptr_t frames, uintptr_t address, struct eh_entry *entry) {
    struct eh_reader reader = reader_at(code, frames);
    while (!reader.bad)
        if (read_fde(code, &reader, entry) && covers(entry, address))
            return true;
    return false;
}

bool eh_table_find(const struct code *code, uintptr_t address, struct eh_entry *entry) {
    entry->base = code->start;
    entry->limit = code->end;
    if (code->header == NULL)
        return find_in_order(code, (uintptr_t)code->frames, address, entry);
    uintptr_t data = (uintptr_t)code->header;
    struct eh_reader reader = reader_at(code, data);
    unsigned version = (unsigned)eh_fixed(&reader, 1), frames_as = (unsigned)eh_fixed(&reader, 1);
    unsigned count_as = (unsigned)eh_fixed(&reader, 1), table_as = (unsigned)eh_fixed(&reader, 1);
    uintptr_t frames = eh_address(&reader, frames_as, data);
    if (reader.bad || version != 1)
        return false;
    if (count_as == EH_OMIT || table_as != PLAIN_TABLE)
        return frames != 0 && find_in_order(code, frames, address, entry);
    uint64_t count = eh_address(&reader, count_as, data);
    if (reader.bad || count > (uint64_t)(reader.end - reader.at) / 8)
        return false;
    const uint8_t *row = search(reader.at, count, (int64_t)(address - data));
    int32_t at;
    if (row == NULL)
        return false;
    memcpy(&at, row + 4, sizeof at);
    struct eh_reader fde = reader_at(code, data + (uintptr_t)(intptr_t)at);
    return read_fde(code, &fde, entry) && covers(entry, address);
}
