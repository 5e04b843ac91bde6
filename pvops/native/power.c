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
#define PM1A_CONTROL 64 /* where in the FADT */
#define LARGE_PAGE   0x200000ull
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

/* len bytes at a physical address that a table names; NULL: they are not mapped. */
static const void *mapped(uint64_t at, uint64_t len, uint64_t limit)
{
	return at >= PV_LOWEST_ADDRESS && at < limit && len <= limit - at ? (const void *)at : NULL;
}

/* The table at an address, whole, with at least min bytes; NULL: it is none, or another one. */
static const struct acpi_header *table_at(uint64_t at, const char *signature, size_t min,
                                          uint64_t limit)
{
	const struct acpi_header *table = mapped(at, sizeof(*table), limit);

	if (!table || memcmp(table->signature, signature, sizeof(table->signature)) ||
	    table->length < min)
		return NULL;
	return mapped(at, table->length, limit);
}

uint16_t pv_native_find_off_port(uint64_t rsdp, uint64_t limit)
{
	const char *root = mapped(rsdp, 20, limit);
	const struct acpi_header *rsdt, *fadt = NULL;
	size_t at;

	if (!root || memcmp(root, "RSD PTR ", 8))
		return 0;
	rsdt = table_at(word_at(root, 16), "RSDT", sizeof(*rsdt), limit);
	for (at = sizeof(*rsdt); rsdt && !fadt && at + 4 <= rsdt->length; at += 4)
		fadt = table_at(word_at(rsdt, at), "FACP", PM1A_CONTROL + 4, limit);
	return fadt ? (uint16_t)word_at(fadt, PM1A_CONTROL) : 0;
}

void pv_native_power_init(uint64_t rsdp)
{
	/* The identity map ends with a whole large page. */
	uint64_t limit = (pv_boot.memory_end + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
	uint16_t port = pv_native_find_off_port(rsdp, limit);

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
