/* SPDX-License-Identifier: MIT */
#include "callers/objects.h"

#include <stdatomic.h>

#include "os/os.h"

#define OBJECTS_MOST 768 /* segments with code in a copy; a browser has 250 */
#define FRESH_LOOKS 8    /* look-ups in vain after a dlopen that make a new copy each: what it loads comes one by one */

struct copy {
    _Atomic unsigned count;
    struct {
        _Atomic uintptr_t start, end, module, header, tables_start, tables_end;
    } objects[OBJECTS_MOST];
};

/* Copy number n lies in copies[n % 2]. It is right until the writing of number n + 2 begins. */
static struct copy copies[2] BIG_TABLE;
static _Atomic unsigned begun, finished;
static _Atomic int writer; /* the process that writes one, 0 if none does: in a forked child a thread that is gone does not */
static _Atomic bool again, overflows;
static _Atomic int fresh_looks, closing;

/* ---- the loader's list ------------------------------------------------------------------------------------------- */

struct listing {
    void (*object)(const struct object *object, void *data);
    void *data;
};

static void find_tables(const struct dl_phdr_info *module, struct object *object) {
    for (unsigned i = 0; i < module->dlpi_phnum; i++)
        if (module->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
            object->header = module->dlpi_addr + module->dlpi_phdr[i].p_vaddr;
    for (unsigned i = 0; i < module->dlpi_phnum; i++) {
        const Elf64_Phdr *segment = &module->dlpi_phdr[i];
        uintptr_t start = module->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && segment->p_flags & PF_R && object->header - start < segment->p_filesz) {
            object->tables_start = start;
            object->tables_end = start + segment->p_filesz;
        }
    }
}

static int list_module(struct dl_phdr_info *module, size_t size, void *data) {
    const struct listing *listing = data;
    struct object object = {.module = module->dlpi_addr};
    (void)size;
    find_tables(module, &object);
    for (unsigned i = 0; i < module->dlpi_phnum; i++)
        if (module->dlpi_phdr[i].p_type == PT_LOAD && module->dlpi_phdr[i].p_flags & PF_X) {
            object.start = module->dlpi_addr + module->dlpi_phdr[i].p_vaddr;
            object.end = object.start + module->dlpi_phdr[i].p_memsz;
            listing->object(&object, listing->data);
        }
    return 0;
}

static void list(void (*function)(const struct object *object, void *data), void *data) {
    struct listing listing = {function, data};
    dl_iterate_phdr(list_module, &listing);
}

/* ---- copies ------------------------------------------------------------------------------------------------------ */

static void add(const struct object *object, void *data) {
    struct copy *copy = data;
    unsigned at = copy->count;
    if (at == OBJECTS_MOST) {
        overflows = true;
        return;
    }
    atomic_store_explicit(&copy->objects[at].start, object->start, memory_order_relaxed);
    atomic_store_explicit(&copy->objects[at].end, object->end, memory_order_relaxed);
    atomic_store_explicit(&copy->objects[at].module, object->module, memory_order_relaxed);
    atomic_store_explicit(&copy->objects[at].header, object->header, memory_order_relaxed);
    atomic_store_explicit(&copy->objects[at].tables_start, object->tables_start, memory_order_relaxed);
    atomic_store_explicit(&copy->objects[at].tables_end, object->tables_end, memory_order_relaxed);
    copy->count = at + 1;
}

static bool begin_writing(void) {
    int self = os_process_id(), there = writer;
    return there != self && atomic_compare_exchange_strong(&writer, &there, self);
}

/* Whoever finds another at it leaves a note, and that one makes one more. */
void objects_update(void) {
    again = true;
    while (again && begin_writing()) {
        again = false;
        unsigned number = finished + 1;
        begun = number;
        copies[number % 2].count = 0;
        list(add, &copies[number % 2]);
        finished = number;
        writer = 0;
    }
}

/* Copies the object out of copy `number`. */
static bool find_in(unsigned number, uintptr_t address, struct object *object) {
    struct copy *copy = &copies[number % 2];
    unsigned count = copy->count;
    for (unsigned i = 0; i < count; i++) {
        object->start = atomic_load_explicit(&copy->objects[i].start, memory_order_relaxed);
        object->end = atomic_load_explicit(&copy->objects[i].end, memory_order_relaxed);
        if (address - object->start >= object->end - object->start)
            continue;
        object->module = atomic_load_explicit(&copy->objects[i].module, memory_order_relaxed);
        object->header = atomic_load_explicit(&copy->objects[i].header, memory_order_relaxed);
        object->tables_start = atomic_load_explicit(&copy->objects[i].tables_start, memory_order_relaxed);
        object->tables_end = atomic_load_explicit(&copy->objects[i].tables_end, memory_order_relaxed);
        return true;
    }
    return false;
}

/* A copy that has been written to meanwhile is read again. */
static bool find_in_copy(uintptr_t address, struct object *object) {
    for (;;) {
        unsigned number = finished;
        bool found = find_in(number, address, object);
        atomic_thread_fence(memory_order_acquire);
        if (begun - number < 2)
            return found;
    }
}

/* ---- look-ups ---------------------------------------------------------------------------------------------------- */

struct wanted {
    uintptr_t address;
    struct object *object;
    bool found;
};

static void look_at(const struct object *object, void *data) {
    struct wanted *wanted = data;
    if (wanted->address - object->start < object->end - object->start) {
        *wanted->object = *object;
        wanted->found = true;
    }
}

static bool find_in_list(uintptr_t address, struct object *object) {
    struct wanted wanted = {address, object, false};
    list(look_at, &wanted);
    return wanted.found;
}

bool objects_may_come(void) {
    return fresh_looks > 0;
}

/* What was unloaded by libc itself, whose calls of dlclose nobody sees, has no memory any more. */
bool objects_find(uintptr_t address, struct object *object) {
    if (closing > 0 || overflows)
        return find_in_list(address, object);
    bool found = finished != 0 && find_in_copy(address, object);
    if (!found && (finished == 0 || fresh_looks > 0)) {
        fresh_looks -= finished != 0;
        objects_update();
        found = finished != 0 && find_in_copy(address, object);
    }
    return found && os_can_read((const void *)object->header);
}

void objects_opens(void) {
    fresh_looks = FRESH_LOOKS;
}

#if !MYALLOC_FINDS_OBJECTS
void objects_closes(void) {
    closing++;
}

void objects_closed(void) {
    objects_update();
    closing--;
}
#endif
