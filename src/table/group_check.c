/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/group_check - what OpenFlow wants refused about one group
 *
 * As Open vSwitch does where the specification leaves it open: a bucket of a
 * fast failover group watches something; weights matter to select groups only.
 */
#include <errno.h>

#include "table/group_private.h"

#define WEIGHT_MAX 65535u

static int check_act(uint32_t id, sluice_act act, struct why *why)
{
	uint32_t kind = sluice_act_kind(act);

	if (kind > SLUICE_ACT_GROUP ||
	    (kind == SLUICE_ACT_OUTPUT &&
	     sluice_act_arg(act) >= SLUICE_PORTS_MAX) ||
	    (kind == SLUICE_ACT_SET && sluice_act_arg(act) >= SLUICE_SETS_MAX))
		return why_say(why, -EINVAL,
			       "OFPGMFC_BAD_BUCKET: group %u has an action "
			       "%#llx, which is none",
			       id, (unsigned long long)act.w);
	return 0;
}

static int check_bucket(uint32_t id, enum sluice_group_type type,
			const struct group_bucket *b, struct why *why)
{
	if (b->watch_port >= SLUICE_PORTS_MAX)
		return why_say(why, -EINVAL,
			       "OFPGMFC_BAD_WATCH: group %u watches port %u, "
			       "ports are 1 to %u",
			       id, b->watch_port, SLUICE_PORTS_MAX - 1);
	if (type == SLUICE_GROUP_FF && !b->watch_port &&
	    b->watch_group == SLUICE_GROUP_NONE)
		return why_say(why, -EINVAL,
			       "OFPGMFC_INVALID_GROUP: a bucket of fast "
			       "failover group %u watches nothing",
			       id);
	if (type == SLUICE_GROUP_SELECT && b->weight > WEIGHT_MAX)
		return why_say(why, -EINVAL,
			       "OFPGMFC_WEIGHT_UNSUPPORTED: group %u has a "
			       "weight of %u, more than %u",
			       id, b->weight, WEIGHT_MAX);
	return check_act(id, b->act, why);
}

static int check_weights(uint32_t id, const struct group_conf *conf,
			 struct why *why)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < conf->n_buckets; i++)
		sum += conf->buckets[i].weight;
	if (conf->n_buckets && !sum)
		return why_say(why, -EINVAL,
			       "OFPGMFC_WEIGHT_UNSUPPORTED: all buckets of "
			       "group %u weigh nothing",
			       id);
	return 0;
}

int group_check(uint32_t id, const struct group_conf *conf, struct why *why)
{
	int err = 0;

	if (id > SLUICE_GROUP_ID_MAX)
		return why_say(why, -EINVAL,
			       "OFPGMFC_INVALID_GROUP: %#x is no group's id",
			       id);
	if ((uint32_t)conf->type > SLUICE_GROUP_FF)
		return why_say(why, -EINVAL,
			       "OFPGMFC_BAD_TYPE: group %u is of type %u", id,
			       (uint32_t)conf->type);
	if (conf->n_buckets > SLUICE_GROUP_BUCKETS_MAX)
		return why_say(why, -ENOSPC,
			       "OFPGMFC_OUT_OF_BUCKETS: group %u has %u "
			       "buckets, more than %u",
			       id, conf->n_buckets, SLUICE_GROUP_BUCKETS_MAX);
	if (conf->type == SLUICE_GROUP_INDIRECT && conf->n_buckets != 1)
		return why_say(why, -EINVAL,
			       "OFPGMFC_INVALID_GROUP: indirect group %u has "
			       "%u buckets, not one",
			       id, conf->n_buckets);
	for (uint32_t i = 0; !err && i < conf->n_buckets; i++)
		err = check_bucket(id, conf->type, &conf->buckets[i], why);
	if (!err && conf->type == SLUICE_GROUP_SELECT)
		err = check_weights(id, conf, why);
	return err;
}
