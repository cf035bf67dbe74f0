// SPDX-License-Identifier: BSD-2-Clause
// info network: the machine's NICs, and the switches that they are in.
#include "vm/monitor.h"

#include "emul/virtio_net.h"
#include "vm/vm.h"

typedef unsigned long long ull;

static ull counter(const uint64_t *value)
{
	return __atomic_load_n(value, __ATOMIC_RELAXED);
}

static void nic_print(struct vm *vm, uint32_t index)
{
	const struct vm_nic_config *config = &vm->config.nics[index];
	const struct nic *nic = vm->nics[index];
	const struct switch_port *port = &nic->port;
	const uint8_t *mac = config->mac;
	struct virtio_net_counts counts;

	// Who has the lock may wait for this CPU to take output.
	while (!bus_try_enter(&vm->bus))
		monitor_pause();
	virtio_net_count(vm->devices[nic->device].device, &counts);
	bus_unlock(&vm->bus);
	monitor_printf("%s: index=%u,type=nic,model=virtio-net,"
		"macaddr=%02x:%02x:%02x:%02x:%02x:%02x,dropped=%llu/%llu\n", config->name, index,
		mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], (ull)counts.send_dropped,
		(ull)counts.receive_dropped);
	monitor_printf(" \\ %s: type=switch,sent=%llu,received=%llu,lost=%llu/%llu\n",
		config->network, counter(&port->sent), counter(&port->received),
		counter(&nic->lost), counter(&port->lost));
}

static void info_network(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();

	(void)call;
	for (uint32_t i = 0; vm != NULL && i < vm->config.nic_count; i++)
		nic_print(vm, i);
}

void monitor_network_register(void)
{
	static struct monitor_command own = {.name = "network", .arguments = "",
		.handler = info_network, .description = "show the machine's NICs and their "
		"switches, and how many frames passed or were lost"};

	monitor_info_add(&own);
}
