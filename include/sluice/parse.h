/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_PARSE_H
#define SLUICE_PARSE_H

/*
 * sluice/parse - a frame into its key
 *
 * Contract (the body is the parser's author's work):
 *
 *   enum sluice_drop sluice_parse(const uint8_t *data, const uint8_t *end,
 *                                 uint32_t in_port, struct sluice_key *key);
 *
 * Returns SLUICE_DROP_NONE and the whole key, or the reason why the frame must
 * be dropped. Compiles for the BPF verifier as well.
 */

#endif
