/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "cmd/nearest.h"

#include <string.h>

#define WORD_MAX 40

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;
	return m < c ? m : c;
}

/* Damerau-Levenshtein distance (optimal string alignment), for words of at most WORD_MAX bytes. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];
	for (size_t i = 0; i <= a_len; i++) {
		for (size_t j = 0; j <= b_len; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = (unsigned)(i + j);
				continue;
			}
			unsigned differ = a[i - 1] != b[j - 1];
			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + differ);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[a_len][b_len];
}

void nearest_offer(struct nearest *n, const char *word, const char *known)
{
	size_t word_len = strlen(word), known_len = strlen(known);
	if (word_len > WORD_MAX || known_len > WORD_MAX)
		return;
	unsigned d = distance(word, word_len, known, known_len);
	/* The beginning of a name is as good as a typing error. */
	if (word_len >= 3 && strncmp(known, word, word_len) == 0 && d > 1)
		d = 1;
	unsigned most = known_len < 6 ? 2 : (unsigned)(known_len / 3);
	/* At least one character must remain of it, else any short word would do. */
	if (d > most || d >= known_len)
		return;
	if (!n->name || d < n->distance) {
		n->name = known;
		n->distance = d;
	}
}
