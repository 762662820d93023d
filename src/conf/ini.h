/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CONF_INI_H
#define COFFER_CONF_INI_H

/*
 * Strict reading of INI text (sections, "key = value" lines, comment lines that begin with ';' or
 * '#') with inih. The text may be hostile. Refused: more than INI_LINE_LEN bytes in a line
 * (Debian's inih cuts at 199), control characters and zero bytes, carriage returns, a byte order
 * mark, indented lines (inih reads them as continuations), keys outside a section, empty sections,
 * a section or key that comes twice, more than INI_ENTRIES_MAX entries, and any line that inih
 * reads differently from what stands there (inline comments, ':' as separator, whatever a
 * distribution switched on).
 *
 * A document remembers which entries were asked for, so that its reader can refuse keys that it
 * does not know.
 */
#include <stddef.h>
#include "util/cleanup.h"
#include "util/error.h"

#define INI_LINE_LEN 160 /* bytes of a line, without its newline */
#define INI_NAME_LEN 40  /* bytes of a section's or key's name; inih cuts at 49 */
#define INI_ENTRIES_MAX 2048

struct inidoc;

/*
 * Reads len bytes of text. On failure -EINVAL (or -ENOMEM), and err holds `code` with "line N:
 * why".
 */
int inidoc_parse(
	const char *text, size_t len, enum exit_code code, struct inidoc **ret, struct err *err);
void inidoc_free(struct inidoc *d); /* NULL allowed */
DEFINE_CLEANUP(struct inidoc *, inidoc_free)

/* Sections in the order of the text. Strings belong to the document. */
unsigned inidoc_section_count(const struct inidoc *d);
const char *inidoc_section(const struct inidoc *d, unsigned i);

/*
 * The value of a key ("" if it is empty), or NULL if there is no such section or key. Marks the
 * entry as known. *ret_line (may be NULL) is its line number, from 1.
 */
const char *inidoc_get(struct inidoc *d, const char *section, const char *key, unsigned *ret_line);

/* An entry that was never asked for. */
struct inidoc_stray {
	const char *section;
	const char *key;
	unsigned line;
};
/* Finds the first one in the text: 1, or 0 if all are known. Strings belong to the document. */
int inidoc_find_stray(const struct inidoc *d, struct inidoc_stray *ret);

#endif
