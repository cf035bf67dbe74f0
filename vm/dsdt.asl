// SPDX-License-Identifier: BSD-2-Clause
// The fixed part of a PC. The files that are included are a Q35's as well (vm/dsdt_q35.asl).
DefinitionBlock ("", "DSDT", 2, "REPRIS", "REPRISE ", 1)
{
#include "dsdt_status.asl"

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
#include "dsdt_pci.asl"
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

#include "dsdt_devices.asl"
	}

#include "dsdt_hotplug.asl"
}
