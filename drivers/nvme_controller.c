// SPDX-License-Identifier: BSD-2-Clause
// NVM Express 1.4: controller reset in 7.3.2, initialization in 7.6.1, queues in 4.1 and 7.2. There
// is one pair of queues besides the admin queues, and each holds one command at a time: whatever
// else comes is a lie. Interrupts are masked, completion is looked for.
#include "drivers/nvme_controller.h"

#include <stdio.h>

#include "kernel/base/assert.h"
#include "kernel/mem.h"
#include "kernel/mmio.h"

enum {
	ENTRIES_MAX = 16, // of each ring
	ENTRIES_MIN = 2,  // one is always empty: 4.1.2
	IO_QUEUE = 1,
	DOORBELLS = 4,    // of two pairs
};

static uint32_t register_read(const struct nvme *nvme, uint32_t offset)
{
	return mmio_read32(nvme->registers + offset);
}

static void register_write(const struct nvme *nvme, uint32_t offset, uint32_t value)
{
	mmio_write32(nvme->registers + offset, value);
}

static void address_write(const struct nvme *nvme, uint32_t offset, const void *address)
{
	register_write(nvme, offset, (uint32_t)hpa_of(address).v);
	register_write(nvme, offset + 4, (uint32_t)(hpa_of(address).v >> 32));
}

static void doorbell_ring(const struct nvme *nvme, const struct nvme_queue *queue, bool of_head,
	uint16_t value)
{
	register_write(nvme, NVME_DOORBELLS + (2u * queue->id + of_head) * nvme->stride, value);
}

// Clears or sets CC.EN, and waits for what comes of it. False: nothing, in time, or a failure.
static bool enable_wait(struct nvme *nvme, uint32_t control)
{
	uint32_t wanted = (control & NVME_CC_ENABLE) != 0 ? NVME_CSTS_READY : 0, status;
	struct disk_wait wait;
	bool is_over;

	register_write(nvme, NVME_CC, control);
	disk_wait_begin(&wait, &nvme->lock, nvme->reset_ms);
	do {
		status = register_read(nvme, NVME_CSTS);
		is_over = status == NVME_GONE || (status & NVME_CSTS_READY) == wanted ||
			(wanted != 0 && (status & NVME_CSTS_FATAL) != 0);
	} while (!is_over && disk_wait(&wait));
	disk_wait_end(&wait);
	return status != NVME_GONE && (status & NVME_CSTS_READY) == wanted &&
		(wanted == 0 || (status & NVME_CSTS_FATAL) == 0);
}

// 3.1.5: nothing else of the register may change while the controller is enabled.
static bool controller_reset(struct nvme *nvme)
{
	uint32_t control = register_read(nvme, NVME_CC);

	return enable_wait(nvme, control & ~(uint32_t)(NVME_CC_ENABLE | NVME_CC_SHUTDOWN));
}

void nvme_stop(struct nvme *nvme)
{
	(void)controller_reset(nvme);
	pci_disable(nvme->function, PCI_COMMAND_MASTER);
}

// What the controller says about itself while it is silent; NULL: it is at work.
static const char *status_check(const struct nvme *nvme)
{
	uint32_t status = register_read(nvme, NVME_CSTS);

	if (status == NVME_GONE)
		return "it is gone";
	if ((status & NVME_CSTS_FATAL) != 0)
		return "it reports a fatal error";
	return (status & NVME_CSTS_READY) == 0 ? "it has stopped" : NULL;
}

static uint32_t status_read(const struct nvme_queue *queue)
{
	// Pairs with the controller's write of the phase: the rest of the entry is there.
	return __atomic_load_n(&queue->completions[queue->head].status, __ATOMIC_ACQUIRE);
}

static bool is_answered(const struct nvme_queue *queue)
{
	return (status_read(queue) >> NVME_STATUS_PHASE_SHIFT & 1) == queue->phase;
}

static void queue_submit(const struct nvme *nvme, struct nvme_queue *queue,
	struct nvme_command *command)
{
	ASSERT(queue->tail < nvme->entries && queue->head < nvme->entries);
	command->id = ++queue->command_id;
	queue->commands[queue->tail] = *command;
	queue->tail = (uint16_t)((queue->tail + 1) % nvme->entries);
	// Pairs with the controller's reads behind the doorbell: all that they lead to is there.
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	doorbell_ring(nvme, queue, false, queue->tail);
}

static const char *queue_wait(struct nvme *nvme, struct nvme_queue *queue, uint32_t timeout_ms)
{
	const char *problem = NULL;
	struct disk_wait wait;

	disk_wait_begin(&wait, &nvme->lock, timeout_ms);
	while (problem == NULL && !is_answered(queue)) {
		if (wait.is_slow)
			problem = status_check(nvme);
		if (problem == NULL && !disk_wait(&wait))
			problem = "no answer";
	}
	disk_wait_end(&wait);
	return problem;
}

const char *nvme_run(struct nvme *nvme, struct nvme_queue *queue, struct nvme_command *command,
	uint32_t timeout_ms, uint32_t *failed)
{
	struct nvme_completion answer;
	const char *problem;

	if (is_answered(queue))
		return "an answer to nobody's command";
	queue_submit(nvme, queue, command);
	problem = queue_wait(nvme, queue, timeout_ms);
	if (problem != NULL)
		return problem;
	answer = queue->completions[queue->head];
	if (++queue->head == nvme->entries) {
		queue->head = 0;
		queue->phase ^= 1;
	}
	doorbell_ring(nvme, queue, true, queue->head);
	if ((uint16_t)answer.status != queue->command_id || answer.queue_id != queue->id)
		return "an answer to another command";
	if (answer.queue_head != queue->tail)
		return "it lost its place among the commands";
	*failed = answer.status >> NVME_STATUS_CODE_SHIFT & NVME_STATUS_FAILED;
	return NULL;
}

// An admin command that must not fail.
static const char *admin_run(struct nvme *nvme, struct nvme_command *command,
	const char *what)
{
	uint32_t failed = 0;
	const char *problem =
		nvme_run(nvme, &nvme->admin, command, NVME_ADMIN_TIMEOUT_MS, &failed);

	if (problem != NULL || failed == 0)
		return problem;
	snprintf(nvme->problem, sizeof(nvme->problem), "%s: status type %u, code 0x%02x", what,
		nvme_failed_type(failed), nvme_failed_code(failed));
	return nvme->problem;
}

static void queue_init(struct nvme_queue *queue, uint16_t id, struct nvme_command *commands,
	struct nvme_completion *completions)
{
	*queue = (struct nvme_queue){
		.commands = commands, .completions = completions, .id = id, .phase = 1};
}

// 5.21.1.7, 5.3, 5.4
static const char *io_queues_create(struct nvme *nvme)
{
	uint32_t size = (nvme->entries - 1u) << 16 | IO_QUEUE;
	struct nvme_command features = {.opcode = NVME_ADMIN_SET_FEATURES,
		.cdw10 = NVME_FEATURE_QUEUES, .cdw11 = 0}; // one of each
	struct nvme_command completions = {.opcode = NVME_ADMIN_CREATE_CQ,
		.prp1 = hpa_of(nvme->io.completions).v, .cdw10 = size,
		.cdw11 = NVME_QUEUE_CONTIGUOUS};
	struct nvme_command commands = {.opcode = NVME_ADMIN_CREATE_SQ,
		.prp1 = hpa_of(nvme->io.commands).v, .cdw10 = size,
		.cdw11 = IO_QUEUE << 16 | NVME_QUEUE_CONTIGUOUS};
	const char *problem = admin_run(nvme, &features, "number of queues");

	if (problem == NULL)
		problem = admin_run(nvme, &completions, "completion queue");
	if (problem == NULL)
		problem = admin_run(nvme, &commands, "submission queue");
	return problem;
}

// 3.1.1. Maps the registers, too.
static const char *capabilities_read(struct nvme *nvme)
{
	uint32_t low, high;

	nvme->registers = pci_bar_map(nvme->function, NVME_BAR, 0, NVME_DOORBELLS);
	if (nvme->registers == NULL)
		return "firmware gave it no addresses";
	pci_enable(nvme->function, PCI_COMMAND_MEMORY | PCI_COMMAND_NO_INTX);
	low = register_read(nvme, NVME_CAP);
	high = register_read(nvme, NVME_CAP + 4);
	if (register_read(nvme, NVME_CSTS) == NVME_GONE)
		return "it does not answer";
	nvme->stride = 4u << (high & NVME_CAP_STRIDE);
	nvme->registers = pci_bar_map(nvme->function, NVME_BAR, 0,
		NVME_DOORBELLS + DOORBELLS * nvme->stride);
	if (nvme->registers == NULL)
		return "its doorbells are not in its registers";
	if ((high & NVME_CAP_NVM) == 0)
		return "it has no NVM commands";
	if ((high >> NVME_CAP_PAGE_MIN_SHIFT & NVME_CAP_PAGE_MIN) != 0)
		return "it wants larger pages than 4 KiB";
	nvme->entries = ENTRIES_MAX;
	if ((low & NVME_CAP_ENTRIES) + 1 < ENTRIES_MAX)
		nvme->entries = (uint16_t)((low & NVME_CAP_ENTRIES) + 1);
	if (nvme->entries < ENTRIES_MIN)
		return "its queues are too short";
	nvme->reset_ms = NVME_CAP_TIMEOUT_MS;
	if (low >> NVME_CAP_TIMEOUT_SHIFT > 0)
		nvme->reset_ms = (low >> NVME_CAP_TIMEOUT_SHIFT) * NVME_CAP_TIMEOUT_MS;
	return NULL;
}

const char *nvme_start(struct nvme *nvme)
{
	struct nvme_memory *memory = mem_pages_alloc(PAGES_OF(*memory));
	const char *problem;

	// Whatever firmware had set it to must not reach memory.
	pci_disable(nvme->function, PCI_COMMAND_MASTER);
	if (memory == NULL)
		return "no memory";
	nvme->memory = memory;
	queue_init(&nvme->admin, 0, memory->admin_commands, memory->admin_completions);
	queue_init(&nvme->io, IO_QUEUE, memory->io_commands, memory->io_completions);
	problem = capabilities_read(nvme);
	if (problem == NULL && !controller_reset(nvme))
		problem = "it does not reset";
	if (problem != NULL)
		goto free;
	// It has forgotten: from now on it may.
	pci_enable(nvme->function, PCI_COMMAND_MASTER);
	register_write(nvme, NVME_INTMS, UINT32_MAX);
	register_write(nvme, NVME_AQA, (nvme->entries - 1u) << 16 | (nvme->entries - 1u));
	address_write(nvme, NVME_ASQ, memory->admin_commands);
	address_write(nvme, NVME_ACQ, memory->admin_completions);
	problem = enable_wait(nvme, NVME_CC_ENABLE | NVME_CC_ENTRY_BYTES)
		? io_queues_create(nvme) : "it does not become ready";
	if (problem == NULL)
		return NULL;
	nvme_stop(nvme);
free:
	mem_pages_free(memory, PAGES_OF(*memory));
	return problem;
}
