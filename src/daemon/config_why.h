/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_CONFIG_WHY_H
#define DAEMON_CONFIG_WHY_H

/*
 * daemon/config_why - libyang's refusal as a sentence for the operator
 *
 * "line: path: what is wrong", from the first error that libyang stored in
 * ctx. What is known of libyang 2.1's wording is put into the words of the
 * file; what is not passes through as it is, still with line and path.
 */

#include "base/why.h"
#include "daemon/json_find.h"

struct ly_ctx;

/* Returns -EINVAL, or -ENOMEM when that was libyang's reason. */
int config_why(const struct ly_ctx *ctx, const struct json_text *from,
	       struct why *why);

#endif
