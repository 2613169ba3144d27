/* SPDX-License-Identifier: MIT */
/* The plugin's entry: options, and what qemu calls. Options are `name=value`; all but `out` and `allocator` are numbers, and all
 * numbers are given (command.py has their defaults). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "announced.h"
#include "code.h"
#include "counts.h"
#include "locks.h"
#include "memory.h"
#include "qemu_plugin.h"
#include "system.h"
#include "told.h"
#include "turns.h"

PLUGIN_EXPORT int qemu_plugin_version = 1;
PLUGIN_EXPORT int qemu_plugin_install(plugin_id id, const struct plugin_host *host, int argc, char **argv);

struct costs costs;
struct counts counts;
bool counting;

static const char *out;
static uint64_t seed, turn, processors;
static uint64_t began; /* the clock when the second thread was created */

static struct {
    const char *name;
    uint64_t *value;
} numbers[] = {{"seed", &seed},
               {"turn", &turn},
               {"processors", &processors},
               {"instruction", &costs.instruction},
               {"pause", &costs.pause},
               {"atomic", &costs.atomic},
               {"transfer", &costs.transfer},
               {"syscall", &costs.system_call},
               {"clock", &costs.clock},
               {"mapping", &costs.mapping},
               {"fault", &costs.fault},
               {"wake", &costs.wake}};

static bool set_number(const char *option) {
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        size_t length = strlen(numbers[i].name);
        if (strncmp(option, numbers[i].name, length) == 0 && option[length] == '=') {
            *numbers[i].value = strtoull(option + length + 1, NULL, 10);
            return true;
        }
    }
    return false;
}

static void set_option(const char *option) {
    if (strncmp(option, "out=", 4) == 0) {
        out = strdup(option + 4);
    } else if (strncmp(option, "allocator=", 10) == 0) {
        code_allocator(strdup(option + 10));
    } else if (!set_number(option)) {
        fprintf(stderr, "cores: no such option: %s\n", option);
        _exit(1);
    }
}

/* ---- counting, from the creation of the second thread to the end of the last but one ------------------------------- */

static void count_from(uint64_t clock) {
    began = clock;
    counting = locks_counted = true;
}

static void count_to(uint64_t clock) {
    counts.time += counting ? clock - began : 0;
    counting = locks_counted = false;
}

static void program_ends(void) {
    count_to(cores_latest());
    if (out == NULL || !told_write(out)) {
        fprintf(stderr, "cores: %s: %s\n", out != NULL ? out : "no output file", strerror(errno));
        _exit(1);
    }
}

/* The preload's thread has come, and goes. */
static void start(void) {
    core_await_passed();
    counts.started = true;
}

/* ---- what qemu calls ---------------------------------------------------------------------------------------------- */

static void thread_begins(plugin_id id, unsigned thread) {
    (void)id;
    if (!counts.started && cores_living() > 0)
        return core_pass(thread);
    struct core *core = core_new(thread, system_end_word());
    if (cores_living() == 2)
        count_from(core->clock);
    if (cores_living() - 1 > counts.threads)
        counts.threads = cores_living() - 1;
}

static void thread_ends(plugin_id id, unsigned thread) {
    (void)id;
    if (cores_living() == 2 && !core_is_passing(thread))
        count_to(cores_latest());
    core_gone(thread);
}

/* A translated block begins; `data` is how many instructions it has, and the bit that says that one of them is a pause. */
static void block_begins(unsigned thread, void *data) {
    struct core *core = core_of_thread[thread];
    uintptr_t instructions = (uintptr_t)data >> 1;
    if (core->clock > core->limit)
        turn_ask(core);
    core->clock += instructions * costs.instruction + ((uintptr_t)data & 1 ? costs.pause : 0);
    counts.instructions += counting ? instructions : 0;
}

static void accessed(unsigned thread, uint32_t info, uint64_t address, void *data) {
    memory_access(core_of_thread[thread], data, address, (size_t)1 << qemu_plugin_mem_size_shift(info),
                  qemu_plugin_mem_is_store(info));
}

static void translated(plugin_id id, struct qemu_plugin_tb *block) {
    (void)id;
    size_t count = qemu_plugin_tb_n_insns(block);
    bool pause = false;
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
        const unsigned char *bytes = qemu_plugin_insn_data(insn);
        size_t size = qemu_plugin_insn_size(insn);
        struct instruction *at = code_instruction(qemu_plugin_insn_vaddr(insn), bytes, size);
        pause |= code_is_pause(bytes, size);
        qemu_plugin_register_vcpu_mem_cb(insn, accessed, PLUGIN_NO_REGISTERS, PLUGIN_READS_AND_WRITES, at);
    }
    qemu_plugin_register_vcpu_tb_exec_cb(block, block_begins, PLUGIN_NO_REGISTERS, (void *)(count << 1 | pause));
}

static void called(plugin_id id, unsigned thread, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                   uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
    (void)id, (void)a7, (void)a8;
    if (number == ANNOUNCED_START)
        start();
    if (!core_is_passing(thread))
        system_called(core_of_thread[thread], number, (const uint64_t[]){a1, a2, a3, a4, a5, a6});
}

static void returned(plugin_id id, unsigned thread, int64_t number, int64_t result) {
    (void)id;
    system_returned(core_of_thread[thread], number, result);
}

int qemu_plugin_install(plugin_id id, const struct plugin_host *host, int argc, char **argv) {
    (void)host;
    for (int i = 0; i < argc; i++)
        set_option(argv[i]);
    turns_start(seed, turn * costs.instruction, costs.wake);
    system_start(seed, (unsigned)processors, program_ends);
    qemu_plugin_register_vcpu_init_cb(id, thread_begins);
    qemu_plugin_register_vcpu_exit_cb(id, thread_ends);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_vcpu_syscall_ret_cb(id, returned);
    return 0;
}
