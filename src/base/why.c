/* SPDX-License-Identifier: Apache-2.0 */
#include "base/why.h"

#include <stdio.h>
#include <string.h>

void why_say_(struct why *why, int err, const char *fmt, ...)
{
	va_list ap;

	if (!why || why->err)
		return;
	why->err = err;
	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
}

int why_at(struct why *why, const char *fmt, ...)
{
	char old[WHY_LEN];
	va_list ap;
	int n;

	if (!why)
		return 0;
	memcpy(old, why->text, sizeof(old));
	va_start(ap, fmt);
	n = vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	if (n >= 0 && n < WHY_LEN)
		snprintf(why->text + n, sizeof(why->text) - (size_t)n, ": %s",
			 old);
	return why->err;
}
