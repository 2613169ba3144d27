/* SPDX-License-Identifier: MIT */
#include "callers/modules.h"

#include <link.h>
#include <string.h>

/* What a module's dynamic section points to. */
struct names {
    uintptr_t base; /* what addresses in the tables are relative to */
    const Elf64_Sym *symbols;
    const char *strings;
    const uint32_t *gnu_hash, *hash; /* NULL where the module has no such table */
};

/* What is looked for, while the loader's list is walked. */
struct look {
    const void *address;
    const char *name;
    void *found;
    bool hides;
};

static bool lies_in(const struct dl_phdr_info *module, const void *address) {
    for (unsigned i = 0; i < module->dlpi_phnum; i++) {
        const Elf64_Phdr *segment = &module->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && (uintptr_t)address - module->dlpi_addr - segment->p_vaddr < segment->p_memsz)
            return true;
    }
    return false;
}

/* glibc has turned pointers of the section into addresses, unless it lies in read-only memory. */
static const void *pointer_of(const Elf64_Dyn *entry, uintptr_t base) {
    uintptr_t value = entry->d_un.d_ptr;
    return (const void *)(value < base ? value + base : value);
}

static bool read_names(const struct dl_phdr_info *module, struct names *names) {
    const Elf64_Dyn *entry = NULL;
    *names = (struct names){.base = module->dlpi_addr};
    for (unsigned i = 0; i < module->dlpi_phnum; i++)
        if (module->dlpi_phdr[i].p_type == PT_DYNAMIC)
            entry = (const Elf64_Dyn *)(module->dlpi_addr + module->dlpi_phdr[i].p_vaddr);
    for (; entry != NULL && entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_SYMTAB)
            names->symbols = pointer_of(entry, names->base);
        else if (entry->d_tag == DT_STRTAB)
            names->strings = pointer_of(entry, names->base);
        else if (entry->d_tag == DT_GNU_HASH)
            names->gnu_hash = pointer_of(entry, names->base);
        else if (entry->d_tag == DT_HASH)
            names->hash = pointer_of(entry, names->base);
    }
    return names->symbols != NULL && names->strings != NULL && (names->gnu_hash != NULL || names->hash != NULL);
}

static bool is_defined(const struct names *names, uint32_t index, const char *name) {
    const Elf64_Sym *symbol = &names->symbols[index];
    return symbol->st_shndx != SHN_UNDEF && symbol->st_value != 0 && strcmp(names->strings + symbol->st_name, name) == 0;
}

/* ---- a name by its hash ------------------------------------------------------------------------------------------ */

/* DT_GNU_HASH: number of buckets, first symbol in a bucket, words of the filter, its shift; the filter; for each bucket its
 * first symbol; from the first symbol in a bucket on, for each symbol its hash, with bit 0 set in the last of the bucket. */
enum { BUCKETS, FIRST, FILTER_WORDS, FILTER_SHIFT, FILTER };

static const uint32_t *buckets_of(const uint32_t *table) {
    return table + FILTER + 2 * table[FILTER_WORDS];
}

static uint32_t find_gnu(const struct names *names, const char *name) {
    const uint32_t *table = names->gnu_hash, *buckets = buckets_of(table), *chains = buckets + table[BUCKETS];
    uint32_t hash = 5381;
    for (const unsigned char *c = (const unsigned char *)name; *c != '\0'; c++)
        hash = hash * 33 + *c;
    uint64_t word = ((const uint64_t *)(table + FILTER))[hash / 64 % table[FILTER_WORDS]];
    if ((word >> hash % 64 & word >> (hash >> table[FILTER_SHIFT]) % 64 & 1) == 0)
        return 0;
    uint32_t index = buckets[hash % table[BUCKETS]];
    for (; index != 0; index++) {
        uint32_t other = chains[index - table[FIRST]];
        if ((other | 1) == (hash | 1) && is_defined(names, index, name))
            return index;
        if (other & 1)
            break;
    }
    return 0;
}

/* The number of symbols. DT_HASH has it as its second word; in DT_GNU_HASH the last chain ends with the last symbol. */
static uint32_t count_of(const struct names *names) {
    if (names->hash != NULL)
        return names->hash[1];
    const uint32_t *table = names->gnu_hash, *buckets = buckets_of(table), *chains = buckets + table[BUCKETS];
    uint32_t last = 0;
    for (uint32_t i = 0; i < table[BUCKETS]; i++)
        last = buckets[i] > last ? buckets[i] : last;
    if (last == 0)
        return table[FIRST];
    while ((chains[last - table[FIRST]] & 1) == 0)
        last++;
    return last + 1;
}

static uint32_t find(const struct names *names, const char *name) {
    if (names->gnu_hash != NULL)
        return find_gnu(names, name);
    uint32_t index = count_of(names);
    while (index-- > 1)
        if (is_defined(names, index, name))
            return index;
    return 0;
}

/* ---- modules ----------------------------------------------------------------------------------------------------- */

/* dl_iterate_phdr calls this for each module in the loader's order, until it returns something else than 0. */
static int look_before(struct dl_phdr_info *module, size_t size, void *data) {
    struct look *look = data;
    struct names names;
    (void)size;
    if (lies_in(module, look->address))
        return 1;
    uint32_t index = read_names(module, &names) ? find(&names, look->name) : 0;
    if (index != 0)
        look->found = (void *)(names.base + names.symbols[index].st_value);
    return index != 0;
}

void *modules_find_before(const void *own, const char *name) {
    struct look look = {.address = own, .name = name};
    dl_iterate_phdr(look_before, &look);
    return look.found;
}

static bool is_operator(const char *name) {
    return strncmp(name, "_Znw", 4) == 0 || strncmp(name, "_Zna", 4) == 0 || strncmp(name, "_Zdl", 4) == 0 ||
           strncmp(name, "_Zda", 4) == 0;
}

static int look_inside(struct dl_phdr_info *module, size_t size, void *data) {
    struct look *look = data;
    struct names names;
    bool mangled = false, wants = false;
    (void)size;
    if (!lies_in(module, look->address))
        return 0;
    uint32_t count = read_names(module, &names) ? count_of(&names) : 0;
    for (uint32_t i = 1; i < count && !wants; i++) {
        const char *name = names.strings + names.symbols[i].st_name;
        mangled |= name[0] == '_' && name[1] == 'Z';
        wants = names.symbols[i].st_shndx == SHN_UNDEF && is_operator(name);
    }
    look->hides = mangled && !wants;
    return 1;
}

bool modules_hides_operators(const void *code) {
    struct look look = {.address = code};
    dl_iterate_phdr(look_inside, &look);
    return look.hides;
}
