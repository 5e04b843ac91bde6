/* SPDX-License-Identifier: MIT */
/*
 * The store, opened once for all who look for devices.
 */
#include "tests/guests/unix/store.h"

#include <stddef.h>

#include "pvops/pvguest.h"
#include "pvops/xs.h"
#include "tests/guests/unix/mutex.h"

bool store_is_there(void)
{
	static struct mutex lock;
	static bool is_open;
	bool is;

	mutex_lock(&lock);
	is_open = is_open || (pv_boot.start && !pv_xs_init(pv_boot.start));
	is = is_open;
	mutex_unlock(&lock);
	return is;
}
