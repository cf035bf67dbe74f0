// SPDX-License-Identifier: BSD-2-Clause
// Part of both boards' DSDTs.
	// Hot-plug of PCI slots, with QEMU's registers (emul/pci_hotplug.h). Slots whose device
	// cannot be plugged have no bit in any of them, and it stays when it is ejected.
	Scope (\_SB.PCI0)
	{
		OperationRegion (HPRG, SystemIO, 0xAE00, 0x14)
		Field (HPRG, DWordAcc, NoLock, WriteAsZeros)
		{
			PCIU, 32, // plugged
			PCID, 32, // to be given up
			B0EJ, 32, // given up
			PRMV, 32,
			BNUM, 32
		}
		Name (BSEL, 0)
		Mutex (BLCK, 0)
		Method (PCEJ, 1, Serialized)
		{
			Acquire (BLCK, 0xFFFF)
			BNUM = BSEL
			B0EJ = 1 << Arg0
			Release (BLCK)
		}
		Device (S03) { Name (_ADR, 0x30000) Name (_SUN, 3) Method (_EJ0, 1) {PCEJ (3)} }
		Device (S04) { Name (_ADR, 0x40000) Name (_SUN, 4) Method (_EJ0, 1) {PCEJ (4)} }
		Device (S05) { Name (_ADR, 0x50000) Name (_SUN, 5) Method (_EJ0, 1) {PCEJ (5)} }
		Device (S06) { Name (_ADR, 0x60000) Name (_SUN, 6) Method (_EJ0, 1) {PCEJ (6)} }
		Device (S07) { Name (_ADR, 0x70000) Name (_SUN, 7) Method (_EJ0, 1) {PCEJ (7)} }
		Device (S08) { Name (_ADR, 0x80000) Name (_SUN, 8) Method (_EJ0, 1) {PCEJ (8)} }
		Device (S09) { Name (_ADR, 0x90000) Name (_SUN, 9) Method (_EJ0, 1) {PCEJ (9)} }
		Device (S10) { Name (_ADR, 0xA0000) Name (_SUN, 10) Method (_EJ0, 1) {PCEJ (10)} }
		Device (S11) { Name (_ADR, 0xB0000) Name (_SUN, 11) Method (_EJ0, 1) {PCEJ (11)} }
		Device (S12) { Name (_ADR, 0xC0000) Name (_SUN, 12) Method (_EJ0, 1) {PCEJ (12)} }
		Device (S13) { Name (_ADR, 0xD0000) Name (_SUN, 13) Method (_EJ0, 1) {PCEJ (13)} }
		Device (S14) { Name (_ADR, 0xE0000) Name (_SUN, 14) Method (_EJ0, 1) {PCEJ (14)} }
		Device (S15) { Name (_ADR, 0xF0000) Name (_SUN, 15) Method (_EJ0, 1) {PCEJ (15)} }
		Device (S16) { Name (_ADR, 0x100000) Name (_SUN, 16) Method (_EJ0, 1) {PCEJ (16)} }
		Device (S17) { Name (_ADR, 0x110000) Name (_SUN, 17) Method (_EJ0, 1) {PCEJ (17)} }
		Device (S18) { Name (_ADR, 0x120000) Name (_SUN, 18) Method (_EJ0, 1) {PCEJ (18)} }
		Device (S19) { Name (_ADR, 0x130000) Name (_SUN, 19) Method (_EJ0, 1) {PCEJ (19)} }
		Device (S20) { Name (_ADR, 0x140000) Name (_SUN, 20) Method (_EJ0, 1) {PCEJ (20)} }
		Device (S21) { Name (_ADR, 0x150000) Name (_SUN, 21) Method (_EJ0, 1) {PCEJ (21)} }
		Device (S22) { Name (_ADR, 0x160000) Name (_SUN, 22) Method (_EJ0, 1) {PCEJ (22)} }
		Device (S23) { Name (_ADR, 0x170000) Name (_SUN, 23) Method (_EJ0, 1) {PCEJ (23)} }
		Device (S24) { Name (_ADR, 0x180000) Name (_SUN, 24) Method (_EJ0, 1) {PCEJ (24)} }
		Method (DVNT, 2, Serialized)
		{
			If (Arg0 & 0x00000008) { Notify (S03, Arg1) }
			If (Arg0 & 0x00000010) { Notify (S04, Arg1) }
			If (Arg0 & 0x00000020) { Notify (S05, Arg1) }
			If (Arg0 & 0x00000040) { Notify (S06, Arg1) }
			If (Arg0 & 0x00000080) { Notify (S07, Arg1) }
			If (Arg0 & 0x00000100) { Notify (S08, Arg1) }
			If (Arg0 & 0x00000200) { Notify (S09, Arg1) }
			If (Arg0 & 0x00000400) { Notify (S10, Arg1) }
			If (Arg0 & 0x00000800) { Notify (S11, Arg1) }
			If (Arg0 & 0x00001000) { Notify (S12, Arg1) }
			If (Arg0 & 0x00002000) { Notify (S13, Arg1) }
			If (Arg0 & 0x00004000) { Notify (S14, Arg1) }
			If (Arg0 & 0x00008000) { Notify (S15, Arg1) }
			If (Arg0 & 0x10000) { Notify (S16, Arg1) }
			If (Arg0 & 0x20000) { Notify (S17, Arg1) }
			If (Arg0 & 0x40000) { Notify (S18, Arg1) }
			If (Arg0 & 0x80000) { Notify (S19, Arg1) }
			If (Arg0 & 0x00100000) { Notify (S20, Arg1) }
			If (Arg0 & 0x00200000) { Notify (S21, Arg1) }
			If (Arg0 & 0x00400000) { Notify (S22, Arg1) }
			If (Arg0 & 0x00800000) { Notify (S23, Arg1) }
			If (Arg0 & 0x01000000) { Notify (S24, Arg1) }
		}
		Method (PCNT, 0, Serialized)
		{
			Acquire (BLCK, 0xFFFF)
			BNUM = BSEL
			DVNT (PCIU, 1) // device check
			DVNT (PCID, 3) // eject request
			Release (BLCK)
		}
	}
