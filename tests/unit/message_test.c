// SPDX-License-Identifier: BSD-2-Clause
// The inbox: every schedule of three senders' atomic steps and the owner's, by exhaustion; and the
// protocol of attention around it, which must never let the owner sleep on a message.
#include "kernel/message.h"

#include <string.h>

#include "tests/unit/fake_env.h"

enum { SENDERS = 3, EACH = 2, STEPS_MAX = 64 };

struct mail {
	struct cpu_message message;
	unsigned sender, number;
};

static struct mail mails[SENDERS][EACH];

// A sender: reads the newest, then tries to put; again where it has changed.
struct sender {
	unsigned sent;
	bool has_read;
	struct cpu_message *newest;
};

struct world {
	struct message_queue queue;
	struct sender senders[SENDERS];
	unsigned received[SENDERS];
	unsigned retries;
};

static struct world world;
static uint64_t schedules, retries;

static void receive(void)
{
	struct cpu_message *message = message_take_all(&world.queue), *next;

	for (; message != NULL; message = next) {
		struct mail *mail = CONTAINER_OF(message, struct mail, message);

		next = message->next;
		assert_int_equal(mail->number, world.received[mail->sender]);
		world.received[mail->sender]++;
		message->next = (struct cpu_message *)(uintptr_t)0x5a5a; // it is not ours any more
	}
}

static void sender_step(unsigned who)
{
	struct sender *sender = &world.senders[who];
	struct mail *mail = &mails[who][sender->sent];

	if (!sender->has_read) {
		sender->newest = message_newest(&world.queue);
		sender->has_read = true;
		return;
	}
	sender->has_read = false;
	if (message_try_put(&world.queue, sender->newest, &mail->message))
		sender->sent++;
	else
		world.retries++;
}

// Links of what is in the inbox are part of the state that a step back must restore.
struct save {
	struct world world;
	struct mail mails[SENDERS][EACH];
};

static void explore(unsigned takes)
{
	struct save save;
	bool done = true;

	save.world = world;
	memcpy(save.mails, mails, sizeof(mails));
	for (unsigned who = 0; who < SENDERS; who++) {
		if (world.senders[who].sent == EACH || world.retries > 2)
			continue;
		done = false;
		sender_step(who);
		explore(takes);
		world = save.world;
		memcpy(mails, save.mails, sizeof(mails));
	}
	if (takes > 0 && world.queue.newest != NULL) {
		receive();
		explore(takes - 1);
		world = save.world;
		memcpy(mails, save.mails, sizeof(mails));
	}
	if (!done)
		return;
	schedules++;
	retries += world.retries;
	receive();
	for (unsigned who = 0; who < SENDERS; who++)
		assert_int_equal(world.received[who], world.senders[who].sent);
	world = save.world;
	memcpy(mails, save.mails, sizeof(mails));
}

static void test_every_schedule(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	for (unsigned who = 0; who < SENDERS; who++)
		for (unsigned number = 0; number < EACH; number++)
			mails[who][number] = (struct mail){.sender = who, .number = number};
	explore(2);
	assert_true(schedules > 100000);
	assert_true(retries > 1000);
}

static void test_order(void **state)
{
	struct message_queue queue = {0};
	struct cpu_message messages[5], *message;

	(void)state;
	assert_null(message_take_all(&queue));
	for (unsigned i = 0; i < ARRAY_COUNT(messages); i++)
		message_put(&queue, &messages[i]);
	message = message_take_all(&queue);
	for (unsigned i = 0; i < ARRAY_COUNT(messages); i++, message = message->next)
		assert_ptr_equal(message, &messages[i]);
	assert_null(message);
	assert_null(message_take_all(&queue));
}

// The head that a sender has read is taken, run, and put again before the sender goes on.
static void test_head_returns(void **state)
{
	struct message_queue queue = {0};
	struct cpu_message first, second, *newest;

	(void)state;
	message_put(&queue, &first);
	newest = message_newest(&queue);
	assert_ptr_equal(message_take_all(&queue), &first);
	assert_false(message_try_put(&queue, newest, &second));
	message_put(&queue, &first);
	assert_true(message_try_put(&queue, newest, &second));
	assert_ptr_equal(message_take_all(&queue), &first);
	assert_ptr_equal(first.next, &second);
	assert_null(second.next);
}

// smp_post, cpu_kick, loop_run and loop_sleep in steps. An interrupt wakes a sleeper, and is kept
// for one that is about to sleep.
struct protocol {
	struct message_queue queue;
	bool attention, interrupt;
	unsigned poster[2]; // next step of each
	unsigned loop;
	bool asleep, found;
	unsigned handled;
};

static struct protocol protocol;
static struct cpu_message posts[2];
static unsigned protocol_ends;

static void poster_step(unsigned who)
{
	if (protocol.poster[who]++ == 0)
		message_put(&protocol.queue, &posts[who]);
	else if (!__atomic_exchange_n(&protocol.attention, true, __ATOMIC_SEQ_CST))
		protocol.interrupt = true;
}

static void loop_step(void)
{
	struct cpu_message *message;

	switch (protocol.loop) {
	case 0:
		(void)__atomic_exchange_n(&protocol.attention, false, __ATOMIC_SEQ_CST);
		protocol.loop = 1;
		break;
	case 1:
		for (message = message_take_all(&protocol.queue); message != NULL;
			message = message->next)
			protocol.handled++;
		protocol.loop = 2;
		break;
	case 2: // interrupts disabled: attention decides
		protocol.loop = protocol.attention ? 0 : 3;
		break;
	default: // STI, HLT
		protocol.asleep = !protocol.interrupt;
		protocol.interrupt = false;
		protocol.loop = 0;
	}
}

static void protocol_explore(unsigned depth)
{
	struct protocol save = protocol;
	struct cpu_message saved[2] = {posts[0], posts[1]};
	bool moved = false;

	assert_true(depth < STEPS_MAX);
	if (protocol.asleep && protocol.interrupt)
		protocol.asleep = protocol.interrupt = false;
	for (unsigned step = 0; step < 3; step++) {
		struct protocol before = protocol;

		if (step < 2 ? protocol.poster[step] == 2 : protocol.asleep)
			continue;
		moved = true;
		if (step < 2)
			poster_step(step);
		else
			loop_step();
		protocol_explore(depth + 1);
		protocol = before;
		posts[0] = saved[0];
		posts[1] = saved[1];
		if (step == 2 && depth > 20)
			break;
	}
	if (!moved) { // asleep, and nobody will ever wake it
		assert_int_equal(protocol.handled, 2);
		protocol_ends++;
	}
	protocol = save;
}

static void test_nothing_sleeps_on_a_message(void **state)
{
	(void)state;
	memset(&protocol, 0, sizeof(protocol));
	protocol_explore(0);
	assert_true(protocol_ends > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_head_returns),
		cmocka_unit_test(test_every_schedule),
		cmocka_unit_test(test_nothing_sleeps_on_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
