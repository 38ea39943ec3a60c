/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wheel.h"

#include <errno.h>
#include <stdlib.h>

/*
 * A timer lies on the level of the highest 6-bit digit in which its deadline
 * differs from now, in the slot of that digit. So everything on a level lies
 * ahead of now, every level is earlier than the next, and the next thing to
 * happen is the lowest filled slot of the lowest filled level. On level 0 that
 * is a tick with due timers; above, its timers are spread over lower levels.
 * A timer is moved at most once for each level.
 *
 * A heap was rejected: re-arming costs log n cache misses at a million timers.
 */

static uint32_t head_of(const struct wheel *w, uint32_t level, uint32_t slot)
{
	return w->n + level * WHEEL_SLOTS + slot;
}

int wheel_init(struct wheel *w, uint32_t n, uint64_t now)
{
	uint32_t n_nodes = n + WHEEL_LEVELS * WHEEL_SLOTS;

	*w = (struct wheel){.n = n, .now = now};
	w->nodes = calloc(n_nodes, sizeof(*w->nodes));
	if (!w->nodes)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		w->nodes[i].next = WHEEL_NONE;
	for (uint32_t i = n; i < n_nodes; i++)
		w->nodes[i].next = w->nodes[i].prev = i;
	return 0;
}

void wheel_fini(struct wheel *w)
{
	free(w->nodes);
	w->nodes = NULL;
}

void wheel_disarm(struct wheel *w, uint32_t id)
{
	struct wheel_node *node = &w->nodes[id];

	if (node->next == WHEEL_NONE)
		return;
	w->nodes[node->prev].next = node->next;
	w->nodes[node->next].prev = node->prev;
	if (node->next == node->prev && node->next >= w->n) {
		uint32_t slot = node->next - w->n;

		w->filled[slot / WHEEL_SLOTS] &= ~(1ull << slot % WHEEL_SLOTS);
	}
	node->next = WHEEL_NONE;
}

void wheel_arm(struct wheel *w, uint32_t id, uint64_t deadline)
{
	struct wheel_node *node = &w->nodes[id];
	uint32_t level = 0;
	uint32_t slot, head;

	wheel_disarm(w, id);
	if (deadline < w->now)
		deadline = w->now;
	if (deadline != w->now)
		level = (63u - (uint32_t)__builtin_clzll(deadline ^ w->now)) /
			WHEEL_BITS;
	slot = (uint32_t)(deadline >> level * WHEEL_BITS) % WHEEL_SLOTS;
	head = head_of(w, level, slot);
	*node = (struct wheel_node){head, w->nodes[head].prev, deadline};
	w->nodes[node->prev].next = id;
	w->nodes[head].prev = id;
	w->filled[level] |= 1ull << slot;
}

/* The lowest filled level, or WHEEL_LEVELS. */
static uint32_t first_level(const struct wheel *w)
{
	uint32_t level = 0;

	while (level < WHEEL_LEVELS && !w->filled[level])
		level++;
	return level;
}

/* When the first slot of a filled level begins. */
static uint64_t level_next(const struct wheel *w, uint32_t level)
{
	uint32_t shift = level * WHEEL_BITS;
	uint64_t slot = (uint64_t)__builtin_ctzll(w->filled[level]);
	uint64_t digits = w->now >> shift;

	return (digits - digits % WHEEL_SLOTS + slot) << shift;
}

uint64_t wheel_next(const struct wheel *w)
{
	uint32_t level = first_level(w);

	return level == WHEEL_LEVELS ? WHEEL_NEVER : level_next(w, level);
}

uint32_t wheel_pop(struct wheel *w, uint64_t now)
{
	for (;;) {
		uint32_t level = first_level(w);
		uint32_t head, id;
		uint64_t at;

		at = level == WHEEL_LEVELS ? WHEEL_NEVER : level_next(w, level);
		if (at > now) {
			if (w->now < now)
				w->now = now;
			return WHEEL_NONE;
		}
		w->now = at;
		head = head_of(w, level,
			       (uint32_t)__builtin_ctzll(w->filled[level]));
		id = w->nodes[head].next;
		if (level == 0) {
			wheel_disarm(w, id);
			return id;
		}
		while (id != head) {
			uint32_t next = w->nodes[id].next;

			wheel_arm(w, id, w->nodes[id].deadline);
			id = next;
		}
	}
}
