/* SPDX-License-Identifier: MIT */
/*
 * The serial port of a PC, a 16550 at COM1, as the console's device (PC16550D data sheet).
 *
 * Output goes to the chip at once as far as its queue takes it, in one string instruction; the rest
 * waits here, and the chip interrupts when it wants more. Input is taken by interrupts.
 *
 * Invariant: the interrupt for "wants more" is on exactly while bytes wait, once interrupts are on at
 * all; before that and in a panic pump() is called by whoever waits for room.
 */
#include "pvops/barrier.h"
#include "pvops/console.h"
#include "pvops/native/internal.h"
#include "pvops/native/native.h"
#include "pvops/pvguest.h"

#define COM1         0x3f8
#define COM1_LINE    4

#define DATA         (COM1 + 0)
#define DIVISOR_LOW  (COM1 + 0) /* with LCR_DIVISOR */
#define DIVISOR_HIGH (COM1 + 1)
#define IER          (COM1 + 1)
#define FCR          (COM1 + 2)
#define IIR          (COM1 + 2)
#define LCR          (COM1 + 3)
#define MCR          (COM1 + 4)
#define LSR          (COM1 + 5)
#define SCRATCH      (COM1 + 7)

#define IER_INPUT    1
#define IER_EMPTY    2
#define FCR_ON       0x07 /* both queues, cleared; an interrupt for each byte of input */
#define IIR_NONE     1
#define LCR_8N1      3
#define LCR_DIVISOR  0x80
#define MCR_ON       0x0b /* DTR, RTS, and the interrupt line is let through */
#define LSR_INPUT    1
#define LSR_EMPTY    0x20

#define QUEUE        16
#define OUT_SIZE     4096u
#define IN_SIZE      1024u

static char out[OUT_SIZE], in[IN_SIZE];
static uint32_t out_head, out_tail, in_head, in_tail; /* free running; tail is the writer's */
static bool has_interrupts;

/* From the buffer to the chip. Interrupts off. */
static void pump(void)
{
	while (out_head != out_tail && pv_in8(LSR) & LSR_EMPTY) {
		uint32_t at = out_head % OUT_SIZE, n = out_tail - out_head;

		if (n > QUEUE)
			n = QUEUE;
		if (n > OUT_SIZE - at)
			n = OUT_SIZE - at;
		pv_outs8(DATA, &out[at], n);
		out_head += n;
	}
}

static void set_interrupts(void)
{
	static uint8_t now;
	uint8_t want = IER_INPUT | (out_head != out_tail ? IER_EMPTY : 0);

	if (has_interrupts && now != want) {
		now = want;
		pv_out8(IER, want);
	}
}

static size_t uart_room(void)
{
	return OUT_SIZE - (out_tail - out_head);
}

static size_t uart_put(const char *text, size_t len)
{
	uint64_t irq = pv_irq_save();
	size_t i;

	if (uart_room() < len)
		pump();
	for (i = 0; i < len && out_tail - out_head < OUT_SIZE; i++)
		out[out_tail++ % OUT_SIZE] = text[i];
	pump();
	set_interrupts();
	pv_irq_restore(irq);
	return i;
}

static size_t uart_get(char *buf, size_t len)
{
	uint64_t irq = pv_irq_save();
	size_t i;

	for (i = 0; i < len && in_head != in_tail; i++)
		buf[i] = in[in_head++ % IN_SIZE];
	pv_irq_restore(irq);
	return i;
}

static void uart_moved(void)
{
}

static bool uart_sleep(void)
{
	uint64_t irq = pv_irq_save();

	pump();
	set_interrupts();
	pv_irq_restore(irq);
	pv_cpu_relax();
	return false;
}

static evtchn_port_t uart_port(void)
{
	return PV_NATIVE_CONSOLE_PORT;
}

static void take_input(void)
{
	while (pv_in8(LSR) & LSR_INPUT) {
		char c = (char)pv_in8(DATA);

		if (in_tail - in_head < IN_SIZE) /* else it is lost, as on any serial line */
			in[in_tail++ % IN_SIZE] = c;
	}
}

static void on_irq(void *arg)
{
	bool any = false;

	(void)arg;
	while (!(pv_in8(IIR) & IIR_NONE)) {
		take_input();
		pump();
		set_interrupts();
		any = true;
	}
	if (any)
		pv_native_event_set(PV_NATIVE_CONSOLE_PORT);
}

void pv_native_uart_early(void)
{
	static const struct pv_console_device uart = {
		.size = OUT_SIZE,
		.room = uart_room,
		.put = uart_put,
		.get = uart_get,
		.moved = uart_moved,
		.sleep = uart_sleep,
		.port = uart_port,
	};

	/* Nobody there: every read answers ones. */
	pv_out8(SCRATCH, 0x5a);
	if (pv_in8(SCRATCH) != 0x5a)
		return;
	pv_out8(IER, 0);
	pv_out8(LCR, LCR_DIVISOR);
	pv_out8(DIVISOR_LOW, 1); /* 115200 */
	pv_out8(DIVISOR_HIGH, 0);
	pv_out8(LCR, LCR_8N1);
	pv_out8(FCR, FCR_ON);
	pv_out8(MCR, MCR_ON);
	pv_console_use(&uart);
}

void pv_native_uart_init(void)
{
	if (!pv_console_port() || pv_native_irq_request(COM1_LINE, on_irq, NULL))
		return;
	has_interrupts = true;
	set_interrupts();
}
