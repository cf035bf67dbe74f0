// SPDX-License-Identifier: BSD-2-Clause
// Part of both boards' DSDTs: what the machine has, and the event of hot-plug. vm/acpi_tables.c
// sets the names that end in ST (status, 0x0f or 0) to what the machine has: they must be byte
// constants other than 0 and 1 here.
	Name (PCST, 0x0F) // PCI host bridge
	Name (KBST, 0x0F) // 8042 keyboard controller
	Name (HPST, 0x0F) // HPET
	Name (PVST, 0x0F) // pvpanic

	// Interrupt model: 0: 8259, 1: I/O APIC.
	Name (PICM, 0)
	Method (_PIC, 1, NotSerialized)
	{
		PICM = Arg0
	}

	Name (_S5, Package (4) {0, 0, 0, 0})

	Scope (_GPE)
	{
		Method (_E01, 0, NotSerialized)
		{
			\_SB.PCI0.PCNT ()
		}
	}
