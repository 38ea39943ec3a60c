/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Column widths are fixed before the first row is known; a cell that is longer
 * pushes the rest of its row to the right. What is read from a region is shown
 * on a terminal, so nothing but printable characters leaves here.
 */

#include "cli/text.h"

#include <inttypes.h>
#include <string.h>

#include "cli/cli.h"
#include "sluice/text.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

const char *text_duration(uint64_t ns, char out[TEXT_LEN])
{
	uint64_t s = ns / 1000000000u;

	if (s < 10)
		snprintf(out, TEXT_LEN, "%.3fs", (double)ns / 1e9);
	else if (s < 60)
		snprintf(out, TEXT_LEN, "%.1fs", (double)ns / 1e9);
	else if (s < 3600)
		snprintf(out, TEXT_LEN, "%" PRIu64 "m%02us", s / 60,
			 (unsigned)(s % 60));
	else if (s < 86400)
		snprintf(out, TEXT_LEN, "%" PRIu64 "h%02um", s / 3600,
			 (unsigned)(s % 3600 / 60));
	else
		snprintf(out, TEXT_LEN, "%" PRIu64 "d%02uh", s / 86400,
			 (unsigned)(s % 86400 / 3600));
	return out;
}

const char *text_si(double v, char out[TEXT_LEN])
{
	static const char units[] = "\0kMGTPE";
	uint32_t i = 0;
	int digits;

	while (v >= 999.5 && i < sizeof(units) - 2) {
		v /= 1000;
		i++;
	}
	digits = v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2;
	snprintf(out, TEXT_LEN, "%.*f%.1s", i || v < 0.5 ? digits : 0, v,
		 &units[i]);
	if (i == 0 && v < 0.5)
		snprintf(out, TEXT_LEN, "0");
	return out;
}

const char *text_mac(const uint8_t mac[6], char out[TEXT_LEN])
{
	snprintf(out, TEXT_LEN, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
		 mac[2], mac[3], mac[4], mac[5]);
	return out;
}

uint64_t act_ports(const struct sluice_reader *r, uint32_t in_port,
		   sluice_act act)
{
	uint32_t arg = sluice_act_arg(act);
	uint64_t in = in_port < SLUICE_PORTS_MAX ? 1ull << in_port : 0;

	if (sluice_act_kind(act) == SLUICE_ACT_OUTPUT)
		return arg < SLUICE_PORTS_MAX ? 1ull << arg : 0;
	if (sluice_act_kind(act) == SLUICE_ACT_SET && arg < SLUICE_SETS_MAX)
		return sluice_load64_relaxed(&r->sets[arg]) & ~in;
	return 0;
}

const char *text_act(const struct sluice_reader *r, uint32_t in_port,
		     sluice_act act, char *out, size_t max)
{
	uint64_t ports = act_ports(r, in_port, act);
	const char *before = "output:";
	size_t n = 0;

	if (sluice_act_kind(act) == SLUICE_ACT_SLOW) {
		snprintf(out, max, "controller");
		return out;
	}
	if (sluice_act_kind(act) == SLUICE_ACT_DROP) {
		snprintf(out, max, "drop:%s",
			 sluice_drop_name(sluice_act_reason(act)));
		return out;
	}
	snprintf(out, max, "drop:%s", sluice_drop_name(SLUICE_DROP_NO_PORT));
	for (uint32_t p = 0; ports && n < max; p++, ports >>= 1) {
		if (!(ports & 1))
			continue;
		n += (size_t)snprintf(out + n, max - n, "%s%u", before, p);
		before = ",";
	}
	return out;
}

static const char *word_of(const char *const *words, size_t n, uint32_t i)
{
	return i < n && words[i] ? words[i] : "unknown";
}

const char *text_port_kind(uint32_t kind)
{
	static const char *const words[] = {
		[SLUICE_PORT_NONE] = "none", [SLUICE_PORT_XDP] = "xdp",
		[SLUICE_PORT_XSK] = "xsk",   [SLUICE_PORT_PACKET] = "packet",
		[SLUICE_PORT_TAP] = "tap",   [SLUICE_PORT_PCAP] = "pcap",
		[SLUICE_PORT_MEM] = "mem",
	};
	return word_of(words, LEN(words), kind);
}

const char *text_port_state(uint32_t state)
{
	static const char *const words[] = {
		[SLUICE_PORT_DOWN] = "down",
		[SLUICE_PORT_UP] = "up",
		[SLUICE_PORT_FAILED] = "failed",
	};
	return word_of(words, LEN(words), state);
}

const char *text_xdp_mode(uint32_t mode)
{
	static const char *const words[] = {
		[SLUICE_XDP_NONE] = "none",
		[SLUICE_XDP_NATIVE] = "native",
		[SLUICE_XDP_GENERIC] = "generic",
	};
	return word_of(words, LEN(words), mode);
}

const char *text_engine(uint32_t engine)
{
	static const char *const words[] = {
		[SLUICE_ENGINE_XDP] = "xdp",
		[SLUICE_ENGINE_POLL] = "poll",
	};
	return word_of(words, LEN(words), engine);
}

const char *text_backing(uint32_t backing)
{
	static const char *const words[] = {
		[SLUICE_BACKING_MEMFD] = "memfd",
		[SLUICE_BACKING_ARENA] = "arena",
		[SLUICE_BACKING_FILE] = "file",
		[SLUICE_BACKING_DAX] = "dax",
	};
	return word_of(words, LEN(words), backing);
}

const char *text_name(const char *from, size_t len, char *out)
{
	size_t n = strnlen(from, len - 1);

	for (size_t i = 0; i < n; i++)
		out[i] = (char)(from[i] >= ' ' && from[i] <= '~' ? from[i]
								 : '?');
	out[n] = '\0';
	return out;
}

static void cells_write(FILE *to, const struct column *cols, uint32_t n,
			const char *const *cells)
{
	for (uint32_t i = 0; i < n; i++)
		fprintf(to, "%s%*s", i ? "  " : "", cols[i].width, cells[i]);
}

void row_titles(FILE *to, const struct column *cols, uint32_t n)
{
	bool colour = cli_has_colour(to);

	fputs(colour ? "\033[1m" : "", to);
	for (uint32_t i = 0; i < n; i++)
		cells_write(to, &cols[i], 1, &cols[i].title),
			fputs(i + 1 < n ? "  " : "", to);
	fputs(colour ? "\033[0m\n" : "\n", to);
}

void row(FILE *to, const struct column *cols, uint32_t n,
	 const char *const *cells)
{
	cells_write(to, cols, n, cells);
	fputc('\n', to);
}
