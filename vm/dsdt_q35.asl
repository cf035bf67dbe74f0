// SPDX-License-Identifier: BSD-2-Clause
// The fixed part of a Q35. What it shares with a PC (vm/dsdt.asl) is in the files that are
// included.
DefinitionBlock ("", "DSDT", 2, "REPRIS", "REPRISE ", 1)
{
#include "dsdt_status.asl"

	Scope (_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A08"))
			Name (_CID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_BBN, 0)
			Method (_STA, 0, NotSerialized)
			{
				Return (PCST)
			}
			// An entry of _PRT with the link of a PIRQ: to the 8259 pair, or (8 more)
			// to the I/O APIC's inputs from 16 on.
			Method (PRTE, 1, Serialized)
			{
				Switch (ToInteger (Arg0))
				{
					Case (0) { Return (Package (4) {0, 0, LNKA, 0}) }
					Case (1) { Return (Package (4) {0, 0, LNKB, 0}) }
					Case (2) { Return (Package (4) {0, 0, LNKC, 0}) }
					Case (3) { Return (Package (4) {0, 0, LNKD, 0}) }
					Case (4) { Return (Package (4) {0, 0, LNKE, 0}) }
					Case (5) { Return (Package (4) {0, 0, LNKF, 0}) }
					Case (6) { Return (Package (4) {0, 0, LNKG, 0}) }
					Case (7) { Return (Package (4) {0, 0, LNKH, 0}) }
					Case (8) { Return (Package (4) {0, 0, GSIA, 0}) }
					Case (9) { Return (Package (4) {0, 0, GSIB, 0}) }
					Case (10) { Return (Package (4) {0, 0, GSIC, 0}) }
					Case (11) { Return (Package (4) {0, 0, GSID, 0}) }
					Case (12) { Return (Package (4) {0, 0, GSIE, 0}) }
					Case (13) { Return (Package (4) {0, 0, GSIF, 0}) }
					Case (14) { Return (Package (4) {0, 0, GSIG, 0}) }
					Default { Return (Package (4) {0, 0, GSIH, 0}) }
				}
			}
			// Slots up to 24 lead to the last four in turn, those behind to the first.
			Method (_PRT, 0, Serialized)
			{
				Local0 = Package (128) {}
				Local1 = 0
				While (Local1 < 128)
				{
					Local2 = Local1 >> 2 // device
					Local4 = Local1 & 3
					If (Local2 < 25)
					{
						Local4 = ((Local4 + Local2) & 3) + 4
					}
					If (PICM)
					{
						Local4 += 8
					}
					Local3 = PRTE (Local4)
					Local3[0] = (Local2 << 16) | 0xFFFF
					Local3[1] = Local1 & 3
					Local0[Local1] = Local3
					Local1++
				}
				Return (Local0)
			}
#include "dsdt_pci.asl"
		}

		// PCI interrupts: registers of the LPC bridge.
		Device (PCI0.LPC)
		{
			Name (_ADR, 0x001F0000)
			OperationRegion (PIRQ, PCI_Config, 0x60, 0x0C)
			Field (PIRQ, ByteAcc, NoLock, Preserve)
			{
				PRQA, 8,
				PRQB, 8,
				PRQC, 8,
				PRQD, 8,
				Offset (0x08),
				PRQE, 8,
				PRQF, 8,
				PRQG, 8,
				PRQH, 8
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
				Return (LSTA (^^PCI0.LPC.PRQA))
			}
			Method (_DIS, 0, NotSerialized)
			{
				^^PCI0.LPC.PRQA |= 0x80
			}
			Method (_PRS, 0, NotSerialized)
			{
				Return (LRES)
			}
			Method (_CRS, 0, NotSerialized)
			{
				Return (LCRS (^^PCI0.LPC.PRQA))
			}
			Method (_SRS, 1, NotSerialized)
			{
				CreateDWordField (Arg0, 5, BIRQ)
				^^PCI0.LPC.PRQA = BIRQ
			}
		}

		Device (LNKB)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 2)
			Method (_STA, 0, NotSerialized)
			{
				Return (LSTA (^^PCI0.LPC.PRQB))
			}
			Method (_DIS, 0, NotSerialized)
			{
				^^PCI0.LPC.PRQB |= 0x80
			}
			Method (_PRS, 0, NotSerialized)
			{
				Return (LRES)
			}
			Method (_CRS, 0, NotSerialized)
			{
				Return (LCRS (^^PCI0.LPC.PRQB))
			}
			Method (_SRS, 1, NotSerialized)
			{
				CreateDWordField (Arg0, 5, BIRQ)
				^^PCI0.LPC.PRQB = BIRQ
			}
		}

		Device (LNKC)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 3)
			Method (_STA, 0, NotSerialized)
			{
				Return (LSTA (^^PCI0.LPC.PRQC))
			}
			Method (_DIS, 0, NotSerialized)
			{
				^^PCI0.LPC.PRQC |= 0x80
			}
			Method (_PRS, 0, NotSerialized)
			{
				Return (LRES)
			}
			Method (_CRS, 0, NotSerialized)
			{
				Return (LCRS (^^PCI0.LPC.PRQC))
			}
			Method (_SRS, 1, NotSerialized)
			{
				CreateDWordField (Arg0, 5, BIRQ)
				^^PCI0.LPC.PRQC = BIRQ
			}
		}

		Device (LNKD)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 4)
			Method (_STA, 0, NotSerialized)
			{
				Return (LSTA (^^PCI0.LPC.PRQD))
			}
			Method (_DIS, 0, NotSerialized)
			{
				^^PCI0.LPC.PRQD |= 0x80
			}
			Method (_PRS, 0, NotSerialized)
			{
				Return (LRES)
			}
			Method (_CRS, 0, NotSerialized)
			{
				Return (LCRS (^^PCI0.LPC.PRQD))
			}
			Method (_SRS, 1, NotSerialized)
			{
				CreateDWordField (Arg0, 5, BIRQ)
				^^PCI0.LPC.PRQD = BIRQ
			}
		}

		Device (LNKE)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 5)
			Method (_STA, 0, NotSerialized)
			{
				Return (LSTA (^^PCI0.LPC.PRQE))
			}
			Method (_DIS, 0, NotSerialized)
			{
				^^PCI0.LPC.PRQE |= 0x80
			}
			Method (_PRS, 0, NotSerialized)
			{
				Return (LRES)
			}
			Method (_CRS, 0, NotSerialized)
			{
				Return (LCRS (^^PCI0.LPC.PRQE))
			}
			Method (_SRS, 1, NotSerialized)
			{
				CreateDWordField (Arg0, 5, BIRQ)
				^^PCI0.LPC.PRQE = BIRQ
			}
		}

		Device (LNKF)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 6)
			Method (_STA, 0, NotSerialized)
			{
				Return (LSTA (^^PCI0.LPC.PRQF))
			}
			Method (_DIS, 0, NotSerialized)
			{
				^^PCI0.LPC.PRQF |= 0x80
			}
			Method (_PRS, 0, NotSerialized)
			{
				Return (LRES)
			}
			Method (_CRS, 0, NotSerialized)
			{
				Return (LCRS (^^PCI0.LPC.PRQF))
			}
			Method (_SRS, 1, NotSerialized)
			{
				CreateDWordField (Arg0, 5, BIRQ)
				^^PCI0.LPC.PRQF = BIRQ
			}
		}

		Device (LNKG)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 7)
			Method (_STA, 0, NotSerialized)
			{
				Return (LSTA (^^PCI0.LPC.PRQG))
			}
			Method (_DIS, 0, NotSerialized)
			{
				^^PCI0.LPC.PRQG |= 0x80
			}
			Method (_PRS, 0, NotSerialized)
			{
				Return (LRES)
			}
			Method (_CRS, 0, NotSerialized)
			{
				Return (LCRS (^^PCI0.LPC.PRQG))
			}
			Method (_SRS, 1, NotSerialized)
			{
				CreateDWordField (Arg0, 5, BIRQ)
				^^PCI0.LPC.PRQG = BIRQ
			}
		}

		Device (LNKH)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 8)
			Method (_STA, 0, NotSerialized)
			{
				Return (LSTA (^^PCI0.LPC.PRQH))
			}
			Method (_DIS, 0, NotSerialized)
			{
				^^PCI0.LPC.PRQH |= 0x80
			}
			Method (_PRS, 0, NotSerialized)
			{
				Return (LRES)
			}
			Method (_CRS, 0, NotSerialized)
			{
				Return (LCRS (^^PCI0.LPC.PRQH))
			}
			Method (_SRS, 1, NotSerialized)
			{
				CreateDWordField (Arg0, 5, BIRQ)
				^^PCI0.LPC.PRQH = BIRQ
			}
		}

		Device (GSIA)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 9)
			Name (_CRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {16}
			})
			Name (_PRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {16}
			})
			Method (_SRS, 1, NotSerialized) {}
		}

		Device (GSIB)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 10)
			Name (_CRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {17}
			})
			Name (_PRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {17}
			})
			Method (_SRS, 1, NotSerialized) {}
		}

		Device (GSIC)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 11)
			Name (_CRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {18}
			})
			Name (_PRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {18}
			})
			Method (_SRS, 1, NotSerialized) {}
		}

		Device (GSID)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 12)
			Name (_CRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {19}
			})
			Name (_PRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {19}
			})
			Method (_SRS, 1, NotSerialized) {}
		}

		Device (GSIE)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 13)
			Name (_CRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {20}
			})
			Name (_PRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {20}
			})
			Method (_SRS, 1, NotSerialized) {}
		}

		Device (GSIF)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 14)
			Name (_CRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {21}
			})
			Name (_PRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {21}
			})
			Method (_SRS, 1, NotSerialized) {}
		}

		Device (GSIG)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 15)
			Name (_CRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {22}
			})
			Name (_PRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {22}
			})
			Method (_SRS, 1, NotSerialized) {}
		}

		Device (GSIH)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 16)
			Name (_CRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {23}
			})
			Name (_PRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {23}
			})
			Method (_SRS, 1, NotSerialized) {}
		}

		// Resources of the board that no other device describes.
		Device (MBRD)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0600, 0x0600, 0x01, 0x80) // power management
				IO (Decode16, 0x00B2, 0x00B2, 0x01, 0x02) // SMI command
				IO (Decode16, 0x04D0, 0x04D0, 0x01, 0x02) // edge/level control
				IO (Decode16, 0xAE00, 0xAE00, 0x01, 0x14) // hot-plug of PCI slots
				Memory32Fixed (ReadWrite, 0xFEC00000, 0x00001000) // I/O APIC
				Memory32Fixed (ReadWrite, 0xFEE00000, 0x00001000) // local APIC
				Memory32Fixed (ReadWrite, 0xFED1C000, 0x00004000) // RCRB
				Memory32Fixed (ReadWrite, 0xB0000000, 0x10000000) // ECAM
			})
		}

#include "dsdt_devices.asl"
	}

#include "dsdt_hotplug.asl"
}
