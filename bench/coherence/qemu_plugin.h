/* SPDX-License-Identifier: MIT */
/* The few functions of qemu's plugin interface (version 1, as in Debian's qemu-user 7.2) that the plugin calls, declared by
 * hand: qemu's package brings the program, but no header. The names of functions and the values of constants are qemu's. */
#ifndef QEMU_PLUGIN_H
#define QEMU_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLUGIN_EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;

struct qemu_plugin_tb;   /* a translated block: instructions that run from the first to the last */
struct qemu_plugin_insn; /* one of them */

enum plugin_flags { PLUGIN_NO_REGISTERS = 0 };
enum plugin_access { PLUGIN_READS_AND_WRITES = 3 };

/* What the install function is given; it is longer, but nothing more of it is used. */
struct plugin_host {
    const char *target; /* "x86_64", "aarch64" */
};

/* A thread is a "vcpu"; its index is one that no other living thread has. */
typedef void plugin_thread_fn(plugin_id id, unsigned thread);
typedef void plugin_translated_fn(plugin_id id, struct qemu_plugin_tb *block);
typedef void plugin_executed_fn(unsigned thread, void *data);
typedef void plugin_memory_fn(unsigned thread, uint32_t info, uint64_t address, void *data);
typedef void plugin_syscall_fn(plugin_id id, unsigned thread, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3,
                               uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8);
typedef void plugin_returned_fn(plugin_id id, unsigned thread, int64_t number, int64_t result);

void qemu_plugin_register_vcpu_init_cb(plugin_id id, plugin_thread_fn *call);
void qemu_plugin_register_vcpu_exit_cb(plugin_id id, plugin_thread_fn *call);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, plugin_translated_fn *call);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id id, plugin_syscall_fn *call);
void qemu_plugin_register_vcpu_syscall_ret_cb(plugin_id id, plugin_returned_fn *call);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, plugin_executed_fn *call, enum plugin_flags flags,
                                          void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, plugin_memory_fn *call, enum plugin_flags flags,
                                      enum plugin_access access, void *data);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

bool qemu_plugin_mem_is_store(uint32_t info);
unsigned qemu_plugin_mem_size_shift(uint32_t info); /* the access has 1 << this bytes */

#endif
