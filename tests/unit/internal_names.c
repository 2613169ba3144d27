/* SPDX-License-Identifier: MIT */
/* Lives of threads and their names: a number that was given again has no name of the thread before. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kit/thread_names.h"
#include "os_fake.h"

static void expect(int life, const char *name) {
    char found[THREAD_NAME_ROOM];
    thread_name_find(life, found);
    cr_assert_str_eq(found, name);
}

Test(names, a_number_given_again_begins_another_life) {
    int older = thread_life_begin(7);
    thread_name_keep(older, "older");
    expect(older, "older");
    int newer = thread_life_begin(7);
    cr_assert_neq(older, newer);
    cr_assert_eq(thread_number(older), 7);
    cr_assert_eq(thread_number(newer), 7);
    expect(older, "older");
    expect(newer, "");
    os_fake_thread_name = "asked"; /* of the one that lives */
    expect(newer, "asked");
    expect(older, "older");
    thread_life_end(newer);
    expect(newer, "");
}

/* In any order, and as often as lives are told apart. */
Test(names, lives_of_one_number_differ) {
    static int lives[512];
    for (int i = 0; i < 512; i++)
        lives[i] = thread_life_begin(i % 3 == 0 ? 4194303 : i % 3 == 1 ? 300 : 5000);
    for (int i = 0; i < 512; i++)
        for (int k = 0; k < i; k++)
            cr_assert(lives[i] != lives[k] && lives[i] > 0, "%d and %d", i, k);
}

Test(names, a_thread_that_another_names) {
    thread_name_keep_other(9, "early");
    thread_name_keep_other(9, "later");
    int life = thread_life_begin(9);
    expect(life, "later");
    thread_name_keep_other(9, "renamed");
    expect(life, "renamed");
    thread_life_end(life);
    expect(life, "renamed");
    expect(thread_life_begin(9), ""); /* the early name was that of the one before */
    thread_name_keep_other(0, "nobody");
    thread_name_keep(0, "nobody");
    thread_life_end(0);
    expect(0, "");
}

Test(names, nothing_is_read_behind_fifteen_bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(two + page, page, PROT_NONE);
    memset(two, 'n', page);
    int life = thread_life_begin(11);
    thread_name_keep(life, two + page - 15);
    expect(life, "nnnnnnnnnnnnnnn");
    thread_name_keep(life, "short");
    expect(life, "short");
}

Test(names, those_that_have_ended_are_given_up_first) {
    int lives = thread_life_begin(1), oldest = thread_life_begin(2), life = 0;
    thread_name_keep(lives, "lives");
    thread_name_keep(oldest, "oldest");
    thread_life_end(oldest);
    for (int i = 3; i < 5 * THREAD_NAMES_MOST; i++) {
        char name[THREAD_NAME_ROOM];
        snprintf(name, sizeof name, "%d", i);
        life = thread_life_begin(i);
        thread_name_keep(life, name);
        expect(life, name);
        thread_life_end(life);
        expect(life, name);
    }
    expect(lives, "lives");
    expect(oldest, "");
}

Test(names, more_live_than_are_kept) {
    int first = thread_life_begin(1), life = 0;
    thread_name_keep(first, "first");
    for (int i = 2; i < 2 * THREAD_NAMES_MOST + 2; i++)
        life = thread_life_begin(i);
    thread_name_keep(life, "last");
    expect(life, "last");
    os_fake_thread_name = "asked"; /* whose that number is by now is not known */
    expect(first, "");
}

Test(names, asked_for_the_last_time) {
    int life = thread_life_begin(31), ended = thread_life_begin(32);
    thread_name_keep(ended, "ended");
    thread_life_end(ended);
    os_fake_thread_name = "asked";
    thread_names_ask();
    os_fake_thread_name = "";
    expect(life, "asked");
    expect(ended, "ended");
    thread_names_ask();
    expect(life, "asked");
}

Test(names, of_a_child_all_have_ended) {
    int life = thread_life_begin(21);
    thread_name_keep(life, "parent's");
    thread_names_forked();
    os_fake_thread_name = "asked";
    expect(life, "parent's");
    cr_assert_neq(thread_life_begin(21), life);
}

/* Threads begin and end, name themselves and each other: each finds its own name. */
static void *come_and_go(void *first) {
    static _Atomic int failed;
    for (int i = 0; i < 2000; i++) {
        char name[THREAD_NAME_ROOM], found[THREAD_NAME_ROOM];
        int number = 1000 * (int)(intptr_t)first + i % 50 + 1;
        snprintf(name, sizeof name, "%d", i);
        thread_name_keep_other(number, "early");
        int life = thread_life_begin(number);
        thread_name_find(life, found);
        failed += strcmp(found, "early") != 0;
        thread_name_keep(life, name);
        thread_name_keep_other(5001, name);
        thread_name_find(life, found);
        failed += strcmp(found, name) != 0;
        thread_life_end(life);
    }
    return (void *)(intptr_t)failed;
}

Test(names, threads_come_and_go) {
    pthread_t threads[4];
    void *failed = NULL;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, come_and_go, (void *)(intptr_t)(i + 1));
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &failed);
        cr_assert_eq(failed, NULL);
    }
}
