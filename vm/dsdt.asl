// SPDX-License-Identifier: BSD-2-Clause
// The fixed part of the machine. vm/acpi_tables.c sets the names that end in ST (status, 0x0f or 0)
// to what the machine has: they must be byte constants other than 0 and 1 here.
DefinitionBlock ("", "DSDT", 2, "REPRIS", "REPRISE ", 1)
{
	Name (PCST, 0x0F) // PCI host bridge
	Name (KBST, 0x0F) // 8042 keyboard controller
	Name (HPST, 0x0F) // HPET
	Name (PVST, 0x0F) // pvpanic

	// Interrupt model: 0: 8259, 1: I/O APIC. Nothing here depends on it.
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

	Scope (_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_BBN, 0)
			Method (_STA, 0, NotSerialized)
			{
				Return (PCST)
			}
			// 32 devices with four pins each, in turn to the four links.
			Method (_PRT, 0, Serialized)
			{
				Local0 = Package (128) {}
				Local1 = 0
				While (Local1 < 128)
				{
					Local2 = Local1 >> 2 // device
					Switch (ToInteger ((Local1 + Local2 + 3) & 3))
					{
						Case (0)
						{
							Local3 = Package (4) {0, 0, LNKA, 0}
						}
						Case (1)
						{
							Local3 = Package (4) {0, 0, LNKB, 0}
						}
						Case (2)
						{
							Local3 = Package (4) {0, 0, LNKC, 0}
						}
						Default
						{
							Local3 = Package (4) {0, 0, LNKD, 0}
						}
					}
					Local3[0] = (Local2 << 16) | 0xFFFF
					Local3[1] = Local1 & 3
					Local0[Local1] = Local3
					Local1++
				}
				Return (Local0)
			}
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					0x0000, 0x0000, 0x00FF, 0x0000, 0x0100)
				IO (Decode16, 0x0CF8, 0x0CF8, 0x01, 0x08)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					EntireRange, 0x0000, 0x0000, 0x0CF7, 0x0000, 0x0CF8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					EntireRange, 0x0000, 0x0D00, 0xADFF, 0x0000, 0xA100)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					EntireRange, 0x0000, 0xAE20, 0xFFFF, 0x0000, 0x51E0)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					Cacheable, ReadWrite,
					0x00000000, 0x000A0000, 0x000BFFFF, 0x00000000, 0x00020000)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite,
					0x00000000, 0xC0000000, 0xFEBFFFFF, 0x00000000, 0x3EC00000)
			})
		}

		// PCI interrupts: registers of the ISA bridge.
		Device (PCI0.ISA)
		{
			Name (_ADR, 0x00010000)
			OperationRegion (PIRQ, PCI_Config, 0x60, 4)
			Field (PIRQ, ByteAcc, NoLock, Preserve)
			{
				PRQA, 8,
				PRQB, 8,
				PRQC, 8,
				PRQD, 8
			}
		}
		Name (LRES, ResourceTemplate ()
		{
			Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {5, 10, 11}
		})
		Method (LCRS, 1, Serialized)
		{
			Name (BUFF, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {0}
			})
			CreateDWordField (BUFF, 5, BIRQ)
			If (Arg0 < 0x80)
			{
				BIRQ = Arg0
			}
			Return (BUFF)
		}
		Method (LSTA, 1, NotSerialized)
		{
			If (Arg0 & 0x80)
			{
				Return (0x09)
			}
			Return (0x0B)
		}

		Device (LNKA)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 1)
			Method (_STA, 0, NotSerialized)
			{
				Return (LSTA (^^PCI0.ISA.PRQA))
			}
			Method (_DIS, 0, NotSerialized)
			{
				^^PCI0.ISA.PRQA |= 0x80
			}
			Method (_PRS, 0, NotSerialized)
			{
				Return (LRES)
			}
			Method (_CRS, 0, NotSerialized)
			{
				Return (LCRS (^^PCI0.ISA.PRQA))
			}
			Method (_SRS, 1, NotSerialized)
			{
				CreateDWordField (Arg0, 5, BIRQ)
				^^PCI0.ISA.PRQA = BIRQ
			}
		}

		Device (LNKB)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 2)
			Method (_STA, 0, NotSerialized)
			{
				Return (LSTA (^^PCI0.ISA.PRQB))
			}
			Method (_DIS, 0, NotSerialized)
			{
				^^PCI0.ISA.PRQB |= 0x80
			}
			Method (_PRS, 0, NotSerialized)
			{
				Return (LRES)
			}
			Method (_CRS, 0, NotSerialized)
			{
				Return (LCRS (^^PCI0.ISA.PRQB))
			}
			Method (_SRS, 1, NotSerialized)
			{
				CreateDWordField (Arg0, 5, BIRQ)
				^^PCI0.ISA.PRQB = BIRQ
			}
		}

		Device (LNKC)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 3)
			Method (_STA, 0, NotSerialized)
			{
				Return (LSTA (^^PCI0.ISA.PRQC))
			}
			Method (_DIS, 0, NotSerialized)
			{
				^^PCI0.ISA.PRQC |= 0x80
			}
			Method (_PRS, 0, NotSerialized)
			{
				Return (LRES)
			}
			Method (_CRS, 0, NotSerialized)
			{
				Return (LCRS (^^PCI0.ISA.PRQC))
			}
			Method (_SRS, 1, NotSerialized)
			{
				CreateDWordField (Arg0, 5, BIRQ)
				^^PCI0.ISA.PRQC = BIRQ
			}
		}

		Device (LNKD)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 4)
			Method (_STA, 0, NotSerialized)
			{
				Return (LSTA (^^PCI0.ISA.PRQD))
			}
			Method (_DIS, 0, NotSerialized)
			{
				^^PCI0.ISA.PRQD |= 0x80
			}
			Method (_PRS, 0, NotSerialized)
			{
				Return (LRES)
			}
			Method (_CRS, 0, NotSerialized)
			{
				Return (LCRS (^^PCI0.ISA.PRQD))
			}
			Method (_SRS, 1, NotSerialized)
			{
				CreateDWordField (Arg0, 5, BIRQ)
				^^PCI0.ISA.PRQD = BIRQ
			}
		}

		// Resources of the board that no other device describes.
		Device (MBRD)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0600, 0x0600, 0x01, 0x40) // power management
				IO (Decode16, 0x00B2, 0x00B2, 0x01, 0x02) // SMI command
				IO (Decode16, 0x04D0, 0x04D0, 0x01, 0x02) // edge/level control
				IO (Decode16, 0xAE00, 0xAE00, 0x01, 0x14) // hot-plug of PCI slots
				Memory32Fixed (ReadWrite, 0xFEC00000, 0x00001000) // I/O APIC
				Memory32Fixed (ReadWrite, 0xFEE00000, 0x00001000) // local APIC
				Memory32Fixed (ReadWrite, 0xFEF00000, 0x00100000) // ECAM
			})
		}

		Device (PIC)
		{
			Name (_HID, EisaId ("PNP0000"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0020, 0x0020, 0x01, 0x02)
				IO (Decode16, 0x00A0, 0x00A0, 0x01, 0x02)
				IRQNoFlags () {2}
			})
		}

		Device (PIT)
		{
			Name (_HID, EisaId ("PNP0100"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0040, 0x0040, 0x01, 0x04)
				IRQNoFlags () {0}
			})
		}

		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0070, 0x0070, 0x01, 0x02)
				IRQNoFlags () {8}
			})
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03F8, 0x03F8, 0x01, 0x08)
				IRQNoFlags () {4}
			})
		}

		Device (KBD)
		{
			Name (_HID, EisaId ("PNP0303"))
			Method (_STA, 0, NotSerialized)
			{
				Return (KBST)
			}
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0060, 0x0060, 0x01, 0x01)
				IO (Decode16, 0x0064, 0x0064, 0x01, 0x01)
				IRQNoFlags () {1}
			})
		}

		Device (MOU)
		{
			Name (_HID, EisaId ("PNP0F13"))
			Method (_STA, 0, NotSerialized)
			{
				Return (KBST)
			}
			Name (_CRS, ResourceTemplate ()
			{
				IRQNoFlags () {12}
			})
		}

		Device (HPET)
		{
			Name (_HID, EisaId ("PNP0103"))
			Name (_UID, 0)
			Method (_STA, 0, NotSerialized)
			{
				Return (HPST)
			}
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadOnly, 0xFED00000, 0x00000400)
			})
		}

		// Drivers use the resource alone.
		Device (PEVT)
		{
			Name (_HID, "QEMU0001")
			Method (_STA, 0, NotSerialized)
			{
				Return (PVST)
			}
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0505, 0x0505, 0x01, 0x01)
			})
			OperationRegion (PEOR, SystemIO, 0x0505, 1)
			Field (PEOR, ByteAcc, NoLock, Preserve)
			{
				PEPT, 8
			}
			Method (RDPT, 0, NotSerialized)
			{
				Return (PEPT)
			}
			Method (WRPT, 1, NotSerialized)
			{
				PEPT = Arg0
			}
		}
	}

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
		Device (S25) { Name (_ADR, 0x190000) Name (_SUN, 25) Method (_EJ0, 1) {PCEJ (25)} }
		Device (S26) { Name (_ADR, 0x1A0000) Name (_SUN, 26) Method (_EJ0, 1) {PCEJ (26)} }
		Device (S27) { Name (_ADR, 0x1B0000) Name (_SUN, 27) Method (_EJ0, 1) {PCEJ (27)} }
		Device (S28) { Name (_ADR, 0x1C0000) Name (_SUN, 28) Method (_EJ0, 1) {PCEJ (28)} }
		Device (S29) { Name (_ADR, 0x1D0000) Name (_SUN, 29) Method (_EJ0, 1) {PCEJ (29)} }
		Device (S30) { Name (_ADR, 0x1E0000) Name (_SUN, 30) Method (_EJ0, 1) {PCEJ (30)} }
		Device (S31) { Name (_ADR, 0x1F0000) Name (_SUN, 31) Method (_EJ0, 1) {PCEJ (31)} }
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
			If (Arg0 & 0x02000000) { Notify (S25, Arg1) }
			If (Arg0 & 0x04000000) { Notify (S26, Arg1) }
			If (Arg0 & 0x08000000) { Notify (S27, Arg1) }
			If (Arg0 & 0x10000000) { Notify (S28, Arg1) }
			If (Arg0 & 0x20000000) { Notify (S29, Arg1) }
			If (Arg0 & 0x40000000) { Notify (S30, Arg1) }
			If (Arg0 & 0x80000000) { Notify (S31, Arg1) }
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
}
