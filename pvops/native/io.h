/* SPDX-License-Identifier: MIT */
/*
 * Port input and output of a kernel that runs natively. (Paravirtualized there are no ports: each of
 * these is a #GP.)
 *
 * The string forms move `count` units between one port and memory in one instruction, which an
 * emulator can serve in one step. `memory` on them: the compiler keeps the buffer's stores before and
 * its loads behind; the processor orders ports by itself.
 */
#ifndef PVOPS_NATIVE_IO_H
#define PVOPS_NATIVE_IO_H

#include <stddef.h>
#include <stdint.h>

#ifdef PV_HOSTED_TEST
/* size: 1, 2 or 4 bytes. A unit test supplies the machine. */
uint32_t pv_test_in(uint16_t port, unsigned int size);
void pv_test_out(uint16_t port, uint32_t value, unsigned int size);

#define PV_IO_ACCESSORS(bits, type, suffix)                                          \
	static inline type pv_in##bits(uint16_t port)                                \
	{                                                                            \
		return (type)pv_test_in(port, (bits) / 8);                           \
	}                                                                            \
	static inline void pv_out##bits(uint16_t port, type value)                   \
	{                                                                            \
		pv_test_out(port, value, (bits) / 8);                                \
	}                                                                            \
	static inline void pv_ins##bits(uint16_t port, void *to, size_t count)       \
	{                                                                            \
		for (; count; count--, to = (type *)to + 1)                          \
			*(type *)to = (type)pv_test_in(port, (bits) / 8);            \
	}                                                                            \
	static inline void pv_outs##bits(uint16_t port, const void *p, size_t count) \
	{                                                                            \
		for (; count; count--, p = (const type *)p + 1)                      \
			pv_test_out(port, *(const type *)p, (bits) / 8);             \
	}
#else
#define PV_IO_ACCESSORS(bits, type, suffix)                                                        \
	static inline type pv_in##bits(uint16_t port)                                              \
	{                                                                                          \
		type value;                                                                        \
                                                                                                   \
		__asm__ volatile("in %1, %0" : "=a"(value) : "Nd"(port) : "memory");               \
		return value;                                                                      \
	}                                                                                          \
	static inline void pv_out##bits(uint16_t port, type value)                                 \
	{                                                                                          \
		__asm__ volatile("out %0, %1" : : "a"(value), "Nd"(port) : "memory");              \
	}                                                                                          \
	static inline void pv_ins##bits(uint16_t port, void *to, size_t count)                     \
	{                                                                                          \
		__asm__ volatile("rep ins" suffix : "+D"(to), "+c"(count) : "d"(port) : "memory"); \
	}                                                                                          \
	static inline void pv_outs##bits(uint16_t port, const void *from, size_t count)            \
	{                                                                                          \
		__asm__ volatile("rep outs" suffix                                                 \
		                 : "+S"(from), "+c"(count)                                         \
		                 : "d"(port)                                                       \
		                 : "memory");                                                      \
	}
#endif

PV_IO_ACCESSORS(8, uint8_t, "b")
PV_IO_ACCESSORS(16, uint16_t, "w")
PV_IO_ACCESSORS(32, uint32_t, "l")

#undef PV_IO_ACCESSORS

#endif /* PVOPS_NATIVE_IO_H */
