/* SPDX-License-Identifier: MIT */
/*
 * Formatted text, for kernels without a libc.
 */
#ifndef PVOPS_LIB_FORMAT_H
#define PVOPS_LIB_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/*
 * pv_vsnprintf, pv_snprintf - format into a buffer, as C99's functions do
 *
 * Conversions  d i u o x X c s p %
 * Flags        - + space # 0, width and precision as numbers or *
 * Lengths      hh h l ll j z t
 *
 * Not there: floating point, n, wide characters. An unknown conversion is copied as it stands.
 *
 * buf:  written with at most size bytes, a final 0 among them; may be NULL when size is 0
 * Returns the length the whole text would have, without its final 0.
 * Context: any.
 */
__attribute__((format(printf, 3, 0))) int pv_vsnprintf(char *buf, size_t size, const char *fmt,
                                                       va_list ap);
__attribute__((format(printf, 3, 4))) int pv_snprintf(char *buf, size_t size, const char *fmt, ...);

#endif /* PVOPS_LIB_FORMAT_H */
