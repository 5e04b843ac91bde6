/* SPDX-License-Identifier: MIT */
/*
 * A 16550A whose line is as fast as the console behind it.
 *
 * What is written goes to a buffer, and from there to the console at the end of a line, when enough
 * has come together, or shortly after: a byte at a time would cost a system call each. The
 * transmitter is full only while that buffer is, so no byte is lost to a slow reader; the guest
 * waits as for a slow line. What is typed waits in a buffer behind the 16 bytes of the FIFO, so
 * there are no overruns.
 *
 * Source: National Semiconductor PC16550D data sheet.
 * Not handled: speed (the divisor is kept, and means nothing), parity, break, modem lines (always
 * connected). MCR.OUT2 does not gate the interrupt, as it does not in QEMU.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/fullvirt/uart.h"

#define PORT     0x3f8
#define LINE     4
#define FIFO     16u
#define TX_ROOM  4096u
#define TX_PUSH  1024u   /* bytes that are worth a call of the console */
#define TX_DELAY 200000u /* ns that a part of a line may wait */
#define RX_ROOM  1024u

enum { IER_RX = 1, IER_TX = 2, IER_LINE = 4, IER_MODEM = 8 };
enum { LSR_DATA = 1, LSR_THRE = 0x20, LSR_IDLE = 0x40 };
enum { IIR_NONE = 1, IIR_TX = 2, IIR_RX = 4, IIR_TIMEOUT = 0xc, IIR_FIFOS = 0xc0 };
enum { MCR_LOOP = 0x10, LCR_DLAB = 0x80 };

struct fv_uart {
	struct fv_bus *bus;
	struct fv_console console;
	struct fv_range range;
	struct fv_irq irq;
	struct fv_timer timer;
	pthread_mutex_t lock;
	uint8_t ier, lcr, mcr, scratch, divisor[2];
	bool fifos;
	unsigned trigger; /* bytes */
	bool tx_event;    /* the transmitter has become empty, and nobody has looked */
	bool timer_set, starved;
	uint8_t tx[TX_ROOM], rx[RX_ROOM];
	unsigned tx_len, rx_from, rx_len;
};

/* ---- interrupt ------------------------------------------------------------------------------- */

static uint8_t cause(const struct fv_uart *u)
{
	if (u->ier & IER_RX && u->rx_len)
		return u->fifos && u->rx_len < u->trigger ? IIR_TIMEOUT : IIR_RX;
	if (u->ier & IER_TX && u->tx_event)
		return IIR_TX;
	return IIR_NONE;
}

static void update(struct fv_uart *u)
{
	fv_irq_set(&u->irq, cause(u) != IIR_NONE);
}

/* ---- output ---------------------------------------------------------------------------------- */

static void push(struct fv_uart *u)
{
	bool was_full = u->tx_len == TX_ROOM;
	size_t done = 0;

	while (done < u->tx_len) {
		ssize_t n = u->console.put(u->console.put_arg, u->tx + done, u->tx_len - done);

		if (n < 0)
			done = u->tx_len; /* nobody will ever read it */
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	u->tx_len -= (unsigned)done;
	memmove(u->tx, u->tx + done, u->tx_len);
	if (was_full && u->tx_len < TX_ROOM)
		u->tx_event = true;
	if (u->tx_len && u->console.output_waits)
		u->console.output_waits(u->console.arg);
}

static void on_timer(void *arg)
{
	struct fv_uart *u = arg;

	pthread_mutex_lock(&u->lock);
	u->timer_set = false;
	push(u);
	update(u);
	pthread_mutex_unlock(&u->lock);
}

bool fv_uart_run(struct fv_uart *u)
{
	bool more;

	pthread_mutex_lock(&u->lock);
	push(u);
	update(u);
	more = u->tx_len != 0;
	pthread_mutex_unlock(&u->lock);
	return more;
}

static void take_input(struct fv_uart *u, uint8_t byte)
{
	if (u->rx_len < RX_ROOM)
		u->rx[(u->rx_from + u->rx_len++) % RX_ROOM] = byte;
}

static void transmit(struct fv_uart *u, const uint8_t *bytes, size_t len)
{
	bool line_ends = false;

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = bytes[i]; /* once: it may lie in the guest's memory */

		if (u->mcr & MCR_LOOP) {
			take_input(u, byte);
			continue;
		}
		if (u->tx_len == TX_ROOM)
			push(u);
		if (u->tx_len <
		    TX_ROOM) /* else the guest did not look at LSR: lost, as on a line */
			u->tx[u->tx_len++] = byte;
		line_ends |= byte == '\n';
	}
	if (line_ends || u->tx_len >= TX_PUSH) {
		push(u);
	} else if (u->tx_len && !u->timer_set) {
		u->timer_set = true;
		fv_timer_set(&u->timer, fv_now() + TX_DELAY);
	}
	u->tx_event = u->tx_len < TX_ROOM;
}

/* ---- input ----------------------------------------------------------------------------------- */

size_t fv_uart_type(struct fv_uart *u, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	size_t n;

	pthread_mutex_lock(&u->lock);
	n = RX_ROOM - u->rx_len;
	if (n > len)
		n = len;
	for (size_t i = 0; i < n; i++)
		take_input(u, at[i]);
	u->starved |= n < len;
	update(u);
	pthread_mutex_unlock(&u->lock);
	return n;
}

static uint8_t receive(struct fv_uart *u)
{
	uint8_t byte = 0;

	if (u->rx_len) {
		byte = u->rx[u->rx_from];
		u->rx_from = (u->rx_from + 1) % RX_ROOM;
		u->rx_len--;
	}
	if (u->starved && u->rx_len < RX_ROOM / 2) {
		u->starved = false;
		if (u->console.input_room)
			u->console.input_room(u->console.arg);
	}
	return byte;
}

/* ---- registers ------------------------------------------------------------------------------- */

static uint8_t read_iir(struct fv_uart *u)
{
	uint8_t iir = cause(u);

	if (iir == IIR_TX)
		u->tx_event = false;
	return iir | (u->fifos ? IIR_FIFOS : 0);
}

static void write_fcr(struct fv_uart *u, uint8_t fcr)
{
	static const uint8_t triggers[4] = { 1, 4, 8, 14 };

	/* A change of mode empties both ways; what is being sent has left the chip already. */
	if (fcr & 2 || (fcr & 1) != u->fifos)
		u->rx_len = 0;
	u->fifos = fcr & 1;
	u->trigger = triggers[fcr >> 6];
}

static uint8_t read_lsr(const struct fv_uart *u)
{
	return (uint8_t)((u->rx_len ? LSR_DATA : 0) |
	                 (u->tx_len < TX_ROOM ? LSR_THRE | LSR_IDLE : 0));
}

/* In loop-back the modem lines show what MCR drives. */
static uint8_t read_msr(const struct fv_uart *u)
{
	uint8_t m = u->mcr;

	if (!(m & MCR_LOOP))
		return 0xb0;
	return (uint8_t)((m & 2) << 3 | (m & 1) << 5 | (m & 4) << 4 | (m & 8) << 4);
}

static uint32_t uart_in(void *dev, uint32_t offset, unsigned size)
{
	struct fv_uart *u = dev;
	uint32_t value = 0;

	(void)size;
	pthread_mutex_lock(&u->lock);
	switch (offset) {
	case 0:
		value = u->lcr & LCR_DLAB ? u->divisor[0] : receive(u);
		break;
	case 1:
		value = u->lcr & LCR_DLAB ? u->divisor[1] : u->ier;
		break;
	case 2:
		value = read_iir(u);
		break;
	case 3:
		value = u->lcr;
		break;
	case 4:
		value = u->mcr;
		break;
	case 5:
		value = read_lsr(u);
		break;
	case 6:
		value = read_msr(u);
		break;
	default:
		value = u->scratch;
	}
	update(u);
	pthread_mutex_unlock(&u->lock);
	return value;
}

static void write_ier(struct fv_uart *u, uint8_t ier)
{
	/* Enabling the interrupt while the transmitter is empty raises it. */
	if (ier & ~u->ier & IER_TX && u->tx_len < TX_ROOM)
		u->tx_event = true;
	u->ier = ier & 0xf;
}

static void write_register(struct fv_uart *u, uint32_t offset, uint8_t value)
{
	bool is_divisor = offset < 2 && u->lcr & LCR_DLAB;

	if (is_divisor)
		u->divisor[offset] = value;
	else if (offset == 0)
		transmit(u, &value, 1);
	else if (offset == 1)
		write_ier(u, value);
	else if (offset == 2)
		write_fcr(u, value);
	else if (offset == 3)
		u->lcr = value;
	else if (offset == 4)
		u->mcr = value & 0x1f;
	else if (offset == 7)
		u->scratch = value;
}

static void uart_out(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	struct fv_uart *u = dev;

	(void)size;
	pthread_mutex_lock(&u->lock);
	write_register(u, offset, (uint8_t)value);
	update(u);
	pthread_mutex_unlock(&u->lock);
}

static void uart_outs(void *dev, uint32_t offset, unsigned size, const void *from, size_t count)
{
	struct fv_uart *u = dev;
	const volatile uint8_t *bytes = from;

	(void)size;
	pthread_mutex_lock(&u->lock);
	if (offset == 0 && !(u->lcr & LCR_DLAB))
		transmit(u, from, count);
	else
		for (size_t i = 0; i < count; i++)
			write_register(u, offset, bytes[i]);
	update(u);
	pthread_mutex_unlock(&u->lock);
}

static const struct fv_range_ops uart_ops = { .in = uart_in, .out = uart_out, .outs = uart_outs };

int fv_uart_create(struct fv_uart **out, struct fv_bus *bus, struct fv_timers *timers,
                   const struct fv_console *console)
{
	struct fv_uart *u = calloc(1, sizeof(*u));
	int rc;

	if (!u)
		return -ENOMEM;
	u->bus = bus;
	u->console = *console;
	u->trigger = 1;
	u->range = (struct fv_range){ .ops = &uart_ops, .dev = u, .len = 8, .bytes = true };
	rc = fv_irq_init(&u->irq, bus, LINE);
	if (!rc)
		rc = fv_range_map(bus, &u->range, PORT);
	if (rc) {
		free(u);
		return rc;
	}
	pthread_mutex_init(&u->lock, NULL);
	fv_timer_init(&u->timer, timers, on_timer, u);
	*out = u;
	return 0;
}

void fv_uart_destroy(struct fv_uart *u)
{
	fv_uart_run(u);
	fv_timer_fini(&u->timer);
	fv_range_unmap(u->bus, &u->range);
	pthread_mutex_destroy(&u->lock);
	free(u);
}
