// SPDX-License-Identifier: BSD-2-Clause
// What CPUs share without a lock, and the lock itself, by real threads under the thread sanitizer:
// it reports every access that the orders of memory leave to chance.
// clang-format off: cmocka.h wants these first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include <pthread.h>

#include "kernel/message.h"
#include "kernel/spinlock.h"

enum { THREADS = 4, ROUNDS = 20000 };

static struct spinlock lock;
static uint64_t guarded[2];

static void *lock_thread(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < ROUNDS; i++) {
		spin_lock(&lock);
		guarded[0]++;
		guarded[1] = guarded[0];
		spin_unlock(&lock);
	}
	return NULL;
}

static void test_spinlock(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, lock_thread, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(guarded[0], THREADS * ROUNDS);
	assert_int_equal(guarded[1], guarded[0]);
	assert_false(spin_is_locked(&lock));
}

struct mail {
	struct cpu_message message;
	unsigned sender;
	uint64_t number; // plain: the inbox must order it
};

static struct message_queue queue;
static struct mail mails[THREADS][ROUNDS];
static uint64_t received[THREADS];

static void mail_run(struct cpu_message *message)
{
	struct mail *mail = CONTAINER_OF(message, struct mail, message);

	assert_int_equal(mail->number, received[mail->sender]);
	received[mail->sender]++;
	mail->number = UINT64_MAX; // it is the receiver's now
}

static void *send_thread(void *argument)
{
	unsigned sender = (unsigned)(uintptr_t)argument;

	for (unsigned i = 0; i < ROUNDS; i++) {
		mails[sender][i] = (struct mail){{mail_run, NULL}, sender, i};
		message_put(&queue, &mails[sender][i].message);
	}
	return NULL;
}

static void test_messages(void **state)
{
	pthread_t threads[THREADS];
	uint64_t total = 0;

	(void)state;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, send_thread, (void *)(uintptr_t)i), 0);
	while (total < THREADS * ROUNDS) {
		struct cpu_message *message = message_take_all(&queue), *next;

		for (; message != NULL; message = next) {
			next = message->next;
			message->run(message);
			total++;
		}
	}
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(received[i], ROUNDS);
	}
	assert_null(message_take_all(&queue));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spinlock),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
