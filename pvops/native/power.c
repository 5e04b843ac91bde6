/* SPDX-License-Identifier: MIT */
/*
 * The end of a native machine: the firmware's tables say which port switches it off. Where there are
 * none, as on machines made for one kernel, the port is where QEMU's has it.
 *
 * Of the tables only what leads to that port is read (ACPI specification, "System Description
 * Tables"); the sleep type of "off" is 0 on the machines that this is for.
 */
#include "abi/sched.h"
#include "pvops/lib/string.h"
#include "pvops/native/internal.h"
#include "pvops/native/io.h"
#include "pvops/pvguest.h"

#define DEFAULT_PORT 0x604
#define SLEEP_ENABLE 0x2000

#define RESET_PORT   0xcf9 /* of the chip set */
#define RESET_ALL    0x0e
#define RESET_KEYS   0x64 /* of the keyboard controller */
#define RESET_PULSE  0xfe

#define PANIC_PORT   0x505 /* QEMU's pvpanic, when it has one */
#define PANICKED     1

static uint16_t off_port = DEFAULT_PORT;

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t rest[28];
} __attribute__((packed));

static uint32_t word_at(const void *p, size_t offset)
{
	uint32_t v;

	memcpy(&v, (const uint8_t *)p + offset, sizeof(v));
	return v;
}

uint16_t pv_native_find_off_port(const void *rsdp)
{
	const struct acpi_header *rsdt, *table;
	size_t at;

	if (memcmp(rsdp, "RSD PTR ", 8))
		return 0;
	rsdt = (const void *)(uintptr_t)word_at(rsdp, 16);
	if (!rsdt || memcmp(rsdt->signature, "RSDT", 4))
		return 0;
	for (at = sizeof(*rsdt); at + 4 <= rsdt->length; at += 4) {
		table = (const void *)(uintptr_t)word_at(rsdt, at);
		if (!memcmp(table->signature, "FACP", 4) && table->length >= 68)
			return (uint16_t)word_at(table, 64);
	}
	return 0;
}

void pv_native_power_init(uint64_t rsdp)
{
	uint16_t port = rsdp ? pv_native_find_off_port((const void *)rsdp) : 0;

	if (port)
		off_port = port;
}

void pv_native_shutdown(unsigned int reason)
{
	pv_irq_disable();
	if (reason == SHUTDOWN_crash)
		pv_out8(PANIC_PORT, PANICKED);
	if (reason == SHUTDOWN_reboot) {
		pv_out8(RESET_PORT, RESET_ALL);
		pv_out8(RESET_KEYS, RESET_PULSE);
	}
	pv_out16(off_port, SLEEP_ENABLE);
	for (;;)
		__asm__ volatile("hlt");
}
