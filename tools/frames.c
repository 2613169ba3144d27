/* SPDX-License-Identifier: MIT */
#include "frames.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dynamic.h"
#include "libdw.h"

#define MODULES_MOST 512

static struct libdw dw;
static char *(*demangle)(const char *name, char *out, size_t *room, int *status);
static bool has_paths;
static char *debuginfo_path; /* NULL: where distributions put debug information */
static Dwfl_Callbacks callbacks;

static struct module {
    char *path;
    Dwfl_Module *module; /* NULL: cannot be read */
    Dwarf_Addr bias;     /* of libdw's addresses to the file's */
    char build_id[65];
    Dwarf_Die *unit;      /* the one that was last found by looking at each; NULL: none yet */
    Dwarf_Addr unit_bias; /* of libdw's addresses to those in it */
} modules[MODULES_MOST];
static int module_count;

bool frames_start(bool paths)
{
    const struct dynamic_function demangler = {"__cxa_demangle", &demangle};

    has_paths = paths;
    dynamic_load("libstdc++.so.6", &demangler, 1);
    if (!libdw_load(&dw))
        return false;
    callbacks = (Dwfl_Callbacks){dw.find_elf, dw.find_debuginfo, NULL, &debuginfo_path};
    return true;
}

void frames_demangle(const char *name, char *out, size_t room)
{
    int status = -1;
    char *text = demangle && !strncmp(name, "_Z", 2) ? demangle(name, NULL, NULL, &status) : NULL;

    snprintf(out, room, "%s", text && status == 0 ? text : name);
    free(text);
}

static void read_build_id(struct module *module)
{
    const unsigned char *bits;
    Dwarf_Addr where;
    int length = dw.dwfl_module_build_id(module->module, &bits, &where);

    for (int i = 0; i < length && i < 32; i++)
        snprintf(module->build_id + 2 * i, 3, "%02x", bits[i]);
}

/* The path stands in the report: opening a pipe might wait for ever, and devices do things. */
static void open_module(struct module *module)
{
    struct stat status;
    Dwfl *dwfl = stat(module->path, &status) || !S_ISREG(status.st_mode) ? NULL : dw.dwfl_begin(&callbacks);

    if (!dwfl)
        return;
    module->module = dw.dwfl_report_offline(dwfl, module->path, module->path, -1);
    dw.dwfl_report_end(dwfl, NULL, NULL);
    if (module->module && !dw.dwfl_module_getelf(module->module, &module->bias))
        module->module = NULL;
    if (module->module)
        read_build_id(module);
}

static struct module *module_of(const char *path)
{
    struct module *module = modules;

    for (; module < modules + module_count; module++) {
        if (!strcmp(module->path, path))
            return module;
    }
    if (module_count == MODULES_MOST)
        return NULL;
    module->path = strdup(path);
    if (!module->path)
        return NULL;
    module_count++;
    open_module(module);
    return module;
}

const char *frames_build_id(const char *path)
{
    const struct module *module = module_of(path);

    return module ? module->build_id : "";
}

static void set_place(struct frame *frame, const char *file, int line)
{
    const char *slash = file && !has_paths ? strrchr(file, '/') : NULL;

    snprintf(frame->file, sizeof frame->file, "%s", slash ? slash + 1 : file ? file : "");
    frame->line = line;
}

/* Goes on to where the function was declared: from a copy of it to the function, from a member to its class. */
static void find_declaration(Dwarf_Die *die)
{
    static const unsigned ways[] = {DW_AT_abstract_origin, DW_AT_specification};

    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        Dwarf_Attribute attribute;
        Dwarf_Die next;

        if (dw.dwarf_attr(die, ways[i], &attribute) && dw.dwarf_formref_die(&attribute, &next))
            *die = next;
    }
}

/* What a scope adds to the names in it; "" if nothing. */
static const char *scope_name(Dwarf_Die *scope)
{
    const char *name = dw.dwarf_diename(scope);

    switch (dw.dwarf_tag(scope)) {
    case DW_TAG_namespace:
        return name ? name : "(anonymous namespace)";
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
        return name ? name : "{unnamed}";
    case DW_TAG_subprogram:
        return name ? name : "";
    default:
        return "";
    }
}

/* The name with those of the scopes around it. */
static void qualify(Dwarf_Die die, char *out, size_t room)
{
    Dwarf_Die *scopes = NULL;
    int count;
    size_t used = 0;

    find_declaration(&die);
    count = dw.dwarf_getscopes_die(&die, &scopes);
    out[0] = '\0';
    for (int i = count - 1; i > 0 && used < room; i--) { /* the first is the function itself */
        const char *name = scope_name(&scopes[i]), *call = dw.dwarf_tag(&scopes[i]) == DW_TAG_subprogram ? "()" : "";
        if (*name)
            used += (size_t)snprintf(out + used, room - used, "%s%s::", name, call);
    }
    if (used < room)
        snprintf(out + used, room - used, "%s", dw.dwarf_diename(&die) ? dw.dwarf_diename(&die) : "");
    free(scopes);
}

/* The name of the symbol that the address lies in, or NULL. A function of another module that this one refers to by its address
   has a symbol here as well, which says where its stub is and not what follows. */
static const char *symbol_name(const struct module *module, Dwarf_Addr address)
{
    Elf64_Sym symbol = {0};
    uint64_t offset;
    const char *name = dw.dwfl_module_addrinfo(module->module, address, &offset, &symbol, NULL, NULL, NULL);

    return symbol.st_shndx == SHN_UNDEF ? NULL : name;
}

/* The name that the linker knows says of overloads which one it is. C has none, and functions that only their own file sees
   have none in the debug information; of those that were not inlined the symbols have it. Rust's has a hash for people to read
   over. */
static void set_name(const struct module *module, Dwarf_Addr address, struct frame *frame, Dwarf_Die *die, Dwarf_Die *unit)
{
    Dwarf_Attribute attribute;
    Dwarf_Attribute *linkage = dw.dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute);
    const char *name = linkage ? dw.dwarf_formstring(linkage) : NULL;

    if (!name && dw.dwarf_tag(die) == DW_TAG_subprogram)
        name = symbol_name(module, address);
    if (name && !strncmp(name, "_Z", 2) && dw.dwarf_srclang(unit) != DW_LANG_Rust)
        frames_demangle(name, frame->function, sizeof frame->function);
    else
        qualify(*die, frame->function, sizeof frame->function);
}

/* Where an inlined function was called from. */
static void set_call(struct frame *frame, Dwarf_Die *die, Dwarf_Die *unit)
{
    Dwarf_Attribute attribute, *number;
    Dwarf_Files *files;
    size_t count;
    uint64_t file = 0, line = 0;

    number = dw.dwarf_attr_integrate(die, DW_AT_call_file, &attribute);
    if (number)
        dw.dwarf_formudata(number, &file);
    number = dw.dwarf_attr_integrate(die, DW_AT_call_line, &attribute);
    if (number)
        dw.dwarf_formudata(number, &line);
    if (!dw.dwarf_getsrcfiles(unit, &files, &count) && file < count)
        set_place(frame, dw.dwarf_filesrc(files, file, NULL, NULL), (int)line);
}

/* The unit that the address lies in, NULL if there is none. libdw finds it by a table, .debug_aranges, that gcc writes and
   neither clang nor rustc does; then each unit is asked for its ranges, first the one that was found last. */
static Dwarf_Die *unit_of(struct module *module, Dwarf_Addr address, Dwarf_Addr *bias)
{
    Dwarf_Die *unit = dw.dwfl_module_addrdie(module->module, address, bias);

    if (unit)
        return unit;
    if (!module->unit || dw.dwarf_haspc(module->unit, address - module->unit_bias) <= 0) {
        while ((unit = dw.dwfl_module_nextcu(module->module, unit, bias))) {
            if (dw.dwarf_haspc(unit, address - *bias) > 0)
                break;
        }
        if (!unit)
            return NULL;
        module->unit = unit;
        module->unit_bias = *bias;
    }
    *bias = module->unit_bias;
    return module->unit;
}

/* The line that the address belongs to. True if there is one. */
static bool find_line(struct module *module, Dwarf_Addr address, struct frame *frame)
{
    Dwarf_Addr bias;
    Dwfl_Line *line = dw.dwfl_module_getsrc(module->module, address);
    Dwarf_Die *unit = line ? NULL : unit_of(module, address, &bias);
    Dwarf_Line *of_unit = unit ? dw.dwarf_getsrc_die(unit, address - bias) : NULL;
    int number = 0;

    if (line) {
        const char *file = dw.dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL);
        set_place(frame, file, number);
    } else if (of_unit && !dw.dwarf_lineno(of_unit, &number)) {
        set_place(frame, dw.dwarf_linesrc(of_unit, NULL, NULL), number);
    }
    return line || of_unit;
}

/* Names the frames by the functions around the address, as they are nested. Returns their number. */
static int name_frames(struct module *module, Dwarf_Addr address, struct frame found[FRAMES_MOST])
{
    Dwarf_Addr bias;
    Dwarf_Die *unit = unit_of(module, address, &bias), *scopes = NULL, *nested = NULL;
    int used = 0, count = 0;

    if (unit && dw.dwarf_getscopes(unit, address - bias, &scopes) > 0)
        count = dw.dwarf_getscopes_die(scopes, &nested);
    for (int i = 0; i < count && used < FRAMES_MOST; i++) {
        int tag = dw.dwarf_tag(&nested[i]);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
            continue;
        set_name(module, address, &found[used++], &nested[i], unit);
        if (tag == DW_TAG_subprogram)
            break;
        if (used < FRAMES_MOST)
            set_call(&found[used], &nested[i], unit);
    }
    free(nested);
    free(scopes);
    return used;
}

int frames_find(const char *path, uint64_t offset, const char *build_id, struct frame found[FRAMES_MOST])
{
    struct module *module = module_of(path);
    const char *name;
    bool has_line;
    int count;

    if (!module || !module->module || (build_id && *module->build_id && strcmp(build_id, module->build_id)))
        return 0;
    memset(found, 0, FRAMES_MOST * sizeof *found);
    has_line = find_line(module, offset + module->bias, &found[0]);
    count = name_frames(module, offset + module->bias, found);
    if (count)
        return count;
    name = symbol_name(module, offset + module->bias);
    if (name)
        frames_demangle(name, found[0].function, sizeof found[0].function);
    return name || has_line;
}
