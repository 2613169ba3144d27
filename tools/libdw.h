/* SPDX-License-Identifier: MIT */
/* What is used of elfutils' libdw, which reads debug information, and of libelf, which it brings along. It is loaded when it is
   needed, so that the command neither needs it nor its headers to be built: types and functions are declared here as
   <elfutils/libdwfl.h> and <gelf.h> have them since 0.158. */
#ifndef TOOLS_LIBDW_H
#define TOOLS_LIBDW_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIBDW_NAME "libdw.so.1"
#define LIBDW_PACKAGE "libdw1"

typedef uint64_t Dwarf_Addr;
typedef struct Dwfl Dwfl;
typedef struct Dwfl_Module Dwfl_Module;
typedef struct Dwfl_Line Dwfl_Line;
typedef struct Elf Elf;
typedef struct Dwarf_Files Dwarf_Files;
typedef struct Dwarf_Line Dwarf_Line;
typedef struct { void *addr, *cu, *abbrev; long padding; } Dwarf_Die;
typedef struct { unsigned code, form; void *valp, *cu; } Dwarf_Attribute;
typedef struct {
    void *find_elf, *find_debuginfo, *section_address;
    char **debuginfo_path;
} Dwfl_Callbacks;

typedef struct {
    void *d_buf;
    int d_type;
    unsigned d_version;
    size_t d_size;
    int64_t d_off;
    size_t d_align;
} Elf_Data;

/* libelf's numbers: of elf_begin, of elf_kind, of a type of data. */
enum { ELF_C_READ = 1, ELF_K_ELF = 3, ELF_T_NHDR = 19 };

/* DWARF's numbers. */
enum { DW_TAG_class_type = 0x02, DW_TAG_structure_type = 0x13, DW_TAG_union_type = 0x17, DW_TAG_inlined_subroutine = 0x1d,
       DW_TAG_subprogram = 0x2e, DW_TAG_namespace = 0x39 };
enum { DW_AT_linkage_name = 0x6e, DW_AT_call_file = 0x58, DW_AT_call_line = 0x59, DW_AT_abstract_origin = 0x31,
       DW_AT_specification = 0x47 };
enum { DW_LANG_Rust = 0x1c };

#define LIBDW_FUNCTIONS(X)                                                                                             \
    X(Dwfl *, dwfl_begin, (const Dwfl_Callbacks *))                                                                    \
    X(Dwfl_Module *, dwfl_report_offline, (Dwfl *, const char *, const char *, int))                                   \
    X(int, dwfl_report_end, (Dwfl *, void *, void *))                                                                  \
    X(Elf *, dwfl_module_getelf, (Dwfl_Module *, Dwarf_Addr *))                                                        \
    X(int, dwfl_module_build_id, (Dwfl_Module *, const unsigned char **, Dwarf_Addr *))                                \
    X(const char *, dwfl_module_addrinfo,                                                                              \
      (Dwfl_Module *, Dwarf_Addr, uint64_t *, Elf64_Sym *, unsigned *, void *, Dwarf_Addr *))                          \
    X(Dwfl_Line *, dwfl_module_getsrc, (Dwfl_Module *, Dwarf_Addr))                                                    \
    X(const char *, dwfl_lineinfo, (Dwfl_Line *, Dwarf_Addr *, int *, int *, Dwarf_Addr *, Dwarf_Addr *))              \
    X(Dwarf_Die *, dwfl_module_addrdie, (Dwfl_Module *, Dwarf_Addr, Dwarf_Addr *))                                     \
    X(Dwarf_Die *, dwfl_module_nextcu, (Dwfl_Module *, Dwarf_Die *, Dwarf_Addr *))                                     \
    X(int, dwarf_haspc, (Dwarf_Die *, Dwarf_Addr))                                                                     \
    X(Dwarf_Line *, dwarf_getsrc_die, (Dwarf_Die *, Dwarf_Addr))                                                       \
    X(const char *, dwarf_linesrc, (Dwarf_Line *, void *, void *))                                                     \
    X(int, dwarf_lineno, (Dwarf_Line *, int *))                                                                        \
    X(int, dwarf_getscopes, (Dwarf_Die *, Dwarf_Addr, Dwarf_Die **))                                                   \
    X(int, dwarf_getscopes_die, (Dwarf_Die *, Dwarf_Die **))                                                           \
    X(int, dwarf_tag, (Dwarf_Die *))                                                                                   \
    X(const char *, dwarf_diename, (Dwarf_Die *))                                                                      \
    X(int, dwarf_srclang, (Dwarf_Die *))                                                                               \
    X(Dwarf_Attribute *, dwarf_attr, (Dwarf_Die *, unsigned, Dwarf_Attribute *))                                       \
    X(Dwarf_Die *, dwarf_formref_die, (Dwarf_Attribute *, Dwarf_Die *))                                                \
    X(Dwarf_Attribute *, dwarf_attr_integrate, (Dwarf_Die *, unsigned, Dwarf_Attribute *))                             \
    X(const char *, dwarf_formstring, (Dwarf_Attribute *))                                                             \
    X(int, dwarf_formudata, (Dwarf_Attribute *, uint64_t *))                                                           \
    X(int, dwarf_getsrcfiles, (Dwarf_Die *, Dwarf_Files **, size_t *))                                                 \
    X(const char *, dwarf_filesrc, (Dwarf_Files *, size_t, void *, void *))                                            \
    X(unsigned, elf_version, (unsigned))                                                                               \
    X(Elf *, elf_begin, (int, int, Elf *))                                                                             \
    X(int, elf_end, (Elf *))                                                                                           \
    X(int, elf_kind, (Elf *))                                                                                          \
    X(int, elf_getphdrnum, (Elf *, size_t *))                                                                          \
    X(void *, gelf_getehdr, (Elf *, Elf64_Ehdr *))                                                                     \
    X(void *, gelf_getphdr, (Elf *, int, Elf64_Phdr *))                                                                \
    X(Elf_Data *, elf_getdata_rawchunk, (Elf *, int64_t, size_t, int))                                                 \
    X(size_t, gelf_getnote, (Elf_Data *, size_t, Elf64_Nhdr *, size_t *, size_t *))

#define LIBDW_FIELD(result, name, arguments) result(*name) arguments;
struct libdw {
    LIBDW_FUNCTIONS(LIBDW_FIELD)
    void *find_elf, *find_debuginfo; /* for Dwfl_Callbacks */
};

/* Loads it; false if it is not there. */
bool libdw_load(struct libdw *library);

#endif
