/* SPDX-License-Identifier: MIT */
#include "observe/letters.h"

#include <stdatomic.h>
#include <string.h>

#include "os/os.h"
#include "kit/modes.h"
#include "kit/tunables.h"

#define WORDS(type) (sizeof(type) / sizeof(uint64_t))

struct mailbox letters_mailbox BIG_TABLE;

/* What was taken and where the next answer goes is known here, and never read out of the mailbox. */
static struct turn reading;
static uint64_t last_taken;
static unsigned next_answer;

static void knock(uint32_t on) {
    atomic_store_explicit(&modes_knock, on, memory_order_release);
}

/* Word by word, once each: others may write meanwhile. */
static void copy(uint64_t *to, const volatile uint64_t *from, size_t words) {
    for (size_t i = 0; i < words; i++)
        to[i] = from[i];
}

static void put(volatile uint64_t *to, const uint64_t *from, size_t words) {
    for (size_t i = 0; i < words; i++)
        to[i] = from[i];
    atomic_thread_fence(memory_order_release);
}

static bool is_right(const struct mailbox_letter *letter) {
    return letter->ticket != 0 && letter->ticket != last_taken && letter->command != MAILBOX_NONE &&
           letter->sum == mailbox_sum(&letter->ticket, WORDS(struct mailbox_letter) - 1);
}

/* Another process's letter lies here where this one was made by a call that runs no handlers of fork, or shares its memory with
 * the one that it is for (vfork): it stays. */
bool letters_read(struct mailbox_letter *letter) {
    if (!turn_try(&reading))
        return false;
    knock(0);
    atomic_thread_fence(memory_order_seq_cst); /* a letter that is written from now on knocks again */
    copy(&letter->ticket, &letters_mailbox.letter.ticket, WORDS(struct mailbox_letter));
    bool right = tunables.control != 0 && is_right(letter) && !os_is_secure();
    if (right && letter->process != (uint64_t)os_process_id()) {
        right = false;
        knock(1);
    }
    if (!right)
        turn_end(&reading);
    return right;
}

void letters_leave(void) {
    knock(1);
    turn_end(&reading);
}

void letters_take(const struct mailbox_letter *letter) {
    last_taken = letter->ticket;
    put(&letters_mailbox.taken, &letter->ticket, 1);
}

void letters_answer(const struct mailbox_letter *letter, enum mailbox_status status, uint64_t result, const char *text) {
    struct mailbox_answer answer = {letter->ticket, letter->command, status, result, 0};
    answer.sum = mailbox_sum(&answer.ticket, WORDS(struct mailbox_answer) - 1);
    if (text != NULL) {
        size_t length = min_size(strlen(text), MAILBOX_TEXT - 1);
        memcpy(letters_mailbox.text, text, length);
        letters_mailbox.text[length] = '\0';
        put(&letters_mailbox.text_of, &letter->ticket, 1);
    }
    put(&letters_mailbox.answers[next_answer].ticket, &answer.ticket, WORDS(struct mailbox_answer));
    next_answer = (next_answer + 1) % MAILBOX_ANSWERS;
    turn_end(&reading);
}

/* A child has none of its parent's letters to answer. Where none waits, the mailbox's memory is not touched. */
static void forked(void) {
    if (modes_knocked()) {
        knock(0);
        letters_mailbox.letter.ticket = 0;
    }
    turn_forked(&reading);
}

const struct lock_set letters_locks = {.rank = LOCK_NONE, .child = forked};
