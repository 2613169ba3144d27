/* SPDX-License-Identifier: MIT */
/* The process's side of its mailbox: which letters are read, each once; what is answered; what a child has of it. */
#include <criterion/criterion.h>
#include <string.h>

#include "kit/modes.h"
#include "kit/tunables.h"
#include "observe/letters.h"
#include "os/os.h"
#include "os_fake.h"

static struct mailbox_letter *const letter = &letters_mailbox.letter;

static void put(uint64_t ticket, uint64_t command, uint64_t process) {
    *letter = (struct mailbox_letter){ticket, command, 7, process, 0};
    letter->sum = mailbox_sum(&letter->ticket, 4);
    modes_knock = 1;
}

static void put_ours(uint64_t ticket) {
    put(ticket, MAILBOX_LIMIT, (uint64_t)os_process_id());
}

static bool reads(void) {
    struct mailbox_letter got;
    bool read = letters_read(&got);
    if (read) {
        cr_assert_eq(memcmp(&got, letter, sizeof got), 0);
        letters_take(&got);
        letters_answer(&got, MAILBOX_DONE, 0, NULL);
    }
    return read;
}

static const struct mailbox_answer *answer_of(uint64_t ticket) {
    for (int i = 0; i < MAILBOX_ANSWERS; i++)
        if (letters_mailbox.answers[i].ticket == ticket)
            return &letters_mailbox.answers[i];
    return NULL;
}

Test(letters, a_letter_is_read_once) {
    put_ours(5);
    cr_assert(reads());
    cr_assert_eq(letters_mailbox.taken, 5);
    cr_assert_eq(modes_knock, 0);
    modes_knock = 1;
    cr_assert_not(reads());
    cr_assert_eq(modes_knock, 0, "the knock is taken back");
    put_ours(6);
    cr_assert(reads());
}

Test(letters, a_torn_letter_is_none) {
    for (size_t byte = 0; byte < sizeof *letter; byte++) {
        put_ours(5);
        ((unsigned char *)letter)[byte] ^= 0x10;
        cr_assert_not(reads(), "byte %zu", byte);
        cr_assert_eq(modes_knock, 0);
    }
    put_ours(0);
    cr_assert_not(reads(), "no ticket");
    put(5, MAILBOX_NONE, (uint64_t)os_process_id());
    cr_assert_not(reads(), "withdrawn");
}

Test(letters, that_of_another_process_stays) {
    put(5, MAILBOX_LIMIT, (uint64_t)os_process_id() + 1);
    cr_assert_not(reads());
    cr_assert_eq(modes_knock, 1, "for the process that it is for, if it shares this memory");
    cr_assert_eq(letter->ticket, 5);
}

Test(letters, sealed) {
    tunables.control = 0;
    put_ours(5);
    cr_assert_not(reads());
    cr_assert_eq(modes_knock, 0);
    tunables.control = 1;
    put_ours(5);
    cr_assert(reads());
}

Test(letters, left_for_the_next) {
    struct mailbox_letter got;
    put_ours(5);
    cr_assert(letters_read(&got));
    cr_assert_not(letters_read(&got), "one at a time");
    letters_leave();
    cr_assert_eq(modes_knock, 1);
    cr_assert(reads());
}

Test(letters, the_last_answers_stay) {
    for (uint64_t ticket = 1; ticket <= 20; ticket++) {
        put_ours(ticket);
        cr_assert(reads());
        memset(letters_mailbox.text, 0xff, sizeof letters_mailbox.text); /* what others write there changes nothing */
        letters_mailbox.taken = letters_mailbox.text_of = ~ticket;
    }
    for (uint64_t ticket = 20; ticket > 20 - MAILBOX_ANSWERS; ticket--) {
        const struct mailbox_answer *answer = answer_of(ticket);
        cr_assert_not_null(answer);
        cr_assert(answer->command == MAILBOX_LIMIT && answer->status == MAILBOX_DONE);
        cr_assert_eq(answer->sum, mailbox_sum(&answer->ticket, 4));
    }
    cr_assert_null(answer_of(12));
}

Test(letters, a_text_is_cut_to_its_room) {
    static char text[2 * MAILBOX_TEXT];
    struct mailbox_letter got;
    memset(text, 'x', sizeof text - 1);
    put_ours(5);
    cr_assert(letters_read(&got));
    letters_take(&got);
    letters_answer(&got, MAILBOX_DONE, 0, text);
    cr_assert_eq(letters_mailbox.text_of, 5);
    cr_assert_eq(strnlen(letters_mailbox.text, MAILBOX_TEXT), MAILBOX_TEXT - 1);
}

Test(letters, a_child_has_none) {
    struct mailbox_letter got;
    put_ours(5);
    letters_locks.child();
    cr_assert(!modes_knocked() && letter->ticket == 0);
    put_ours(6);
    cr_assert(letters_read(&got));
    letters_locks.child(); /* of the thread that is at it: it goes on */
    cr_assert_not(letters_read(&got));
    letters_take(&got);
    letters_answer(&got, MAILBOX_DONE, 0, NULL);
    put_ours(7);
    cr_assert(reads());
}
