// SPDX-License-Identifier: BSD-2-Clause
// The monitor's command about networks.
#include "tests/unit/monitor_fake.h"

static struct nic nic;
static struct device device;
static struct vm_device devices[1] = {{.device = &device}};

static void test_network(void **state)
{
	(void)state;
	check("info network", "no machine\r\n");
	machines_add();
	check("info network", "Error: machine 'one' is not created\r\n");
	first->vm = &machine;
	check("info network", ""); // it has none
	machine.devices = devices;
	machine.device_count = 1;
	machine.config.nic_count = 1;
	machine.config.nics[0] = (struct vm_nic_config){.name = "n0", .network = "lan",
		.mac = {2, 0x11, 0x22, 0x33, 0x44, 0x5a}};
	machine.nics[0] = &nic;
	nic.port.sent = 12;
	nic.port.received = 34;
	nic.port.lost = 5;
	nic.lost = 6;
	check("info network", "n0: index=0,type=nic,model=virtio-net,"
		"macaddr=02:11:22:33:44:5a,dropped=7/8\r\n"
		" \\ lan: type=switch,sent=12,received=34,lost=6/5\r\n");
	assert_null(machine.bus.owner);
	nic.port.received = UINT64_MAX;
	check_contains("info network", "received=18446744073709551615,");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_network, setup),
	};

	return cmocka_run_group_tests_name("monitor_network", tests, NULL, NULL);
}
