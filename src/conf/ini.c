/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "conf/ini.h"

#include <ini.h>
#include <stdbool.h>
#include <string.h>

struct entry {
	const char *section; /* owned by the document's section list */
	char *key;
	char *value;
	unsigned line;
	bool known;
};

struct inidoc {
	char **sections;
	unsigned section_count;
	struct entry *entries;
	unsigned entry_count;
};

/*
 * Reading takes two passes over the same text. The first looks at each line without inih and notes
 * where entries must come out; the second lets inih read, and compares each entry that it reports
 * with the line it came from. So neither a build option of inih nor a mistake here can change a
 * value silently.
 */
struct line {
	const char *text; /* not terminated */
	size_t len;
	unsigned number;
	unsigned section; /* index */
};

struct reading {
	struct inidoc *doc;
	struct line *lines; /* those that hold entries */
	unsigned line_count;
	unsigned next; /* the line that inih must report next */
	int result;
	enum exit_code code;
	struct err *err;
};

void inidoc_free(struct inidoc *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < d->section_count; i++)
		free(d->sections[i]);
	for (unsigned i = 0; i < d->entry_count; i++) {
		free(d->entries[i].key);
		free(d->entries[i].value);
	}
	free(d->sections);
	free(d->entries);
	free(d);
}

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static int refuse(struct reading *r, unsigned line, const char *why)
{
	return err_set(r->err, r->code, -EINVAL, "line %u: %s", line, why);
}

/* "[name]" or "[name N]": letters, digits and single spaces inside, nothing after. */
static int take_section(struct reading *r, const struct line *l)
{
	struct inidoc *d = r->doc;
	if (l->len < 3 || l->text[l->len - 1] != ']' || l->len - 2 > INI_NAME_LEN)
		return refuse(r, l->number, "not a section of the form [name]");
	for (size_t i = 1; i < l->len - 1; i++) {
		bool inner_space =
			l->text[i] == ' ' && i > 1 && i + 2 < l->len && l->text[i - 1] != ' ';
		if (!name_char(l->text[i]) && !inner_space)
			return refuse(r, l->number, "a character that section names cannot hold");
	}
	for (unsigned i = 0; i < d->section_count; i++) {
		if (strlen(d->sections[i]) == l->len - 2 &&
			memcmp(d->sections[i], l->text + 1, l->len - 2) == 0)
			return refuse(r, l->number, "this section was there before");
	}
	if (d->section_count == INI_ENTRIES_MAX)
		return refuse(r, l->number, "too many sections");
	char **grown = realloc(d->sections, (d->section_count + (size_t)1) * sizeof(*d->sections));
	if (!grown)
		return err_set(r->err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	d->sections = grown;
	grown[d->section_count] = strndup(l->text + 1, l->len - 2);
	if (!grown[d->section_count])
		return err_set(r->err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	d->section_count++;
	return 0;
}

static int take_entry(struct reading *r, const struct line *l)
{
	if (r->doc->section_count == 0)
		return refuse(r, l->number, "a key outside any section");
	if (r->line_count == INI_ENTRIES_MAX)
		return refuse(r, l->number, "too many keys");
	struct line *grown = realloc(r->lines, (r->line_count + (size_t)1) * sizeof(*r->lines));
	if (!grown)
		return err_set(r->err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	r->lines = grown;
	grown[r->line_count] = *l;
	grown[r->line_count].section = r->doc->section_count - 1;
	r->line_count++;
	return 0;
}

static int take_line(struct reading *r, const struct line *l)
{
	if (l->len > INI_LINE_LEN)
		return refuse(r, l->number, "longer than 160 bytes");
	for (size_t i = 0; i < l->len; i++) {
		unsigned char c = (unsigned char)l->text[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return refuse(r, l->number, "a control character");
	}
	if (l->len == 0 || l->text[0] == ';' || l->text[0] == '#')
		return 0;
	if (l->text[0] == ' ' || l->text[0] == '\t')
		return refuse(r, l->number, "begins with a blank");
	if (l->text[0] == '[')
		return take_section(r, l);
	return take_entry(r, l);
}

/* First pass. */
static int scan(struct reading *r, const char *text, size_t len)
{
	struct line l = {.text = text};
	const char *end = text + len;
	while (l.text < end) {
		const char *nl = memchr(l.text, '\n', (size_t)(end - l.text));
		l.len = (size_t)((nl ? nl : end) - l.text);
		l.number++;
		int rc = take_line(r, &l);
		if (rc < 0)
			return rc;
		l.text += l.len + 1;
	}
	return 0;
}

/* True if the line says exactly: key, blanks, '=', blanks, value, blanks. */
static bool line_says(const struct line *l, const char *key, const char *value)
{
	const char *p = l->text;
	const char *end = p + l->len;
	size_t key_len = strlen(key), value_len = strlen(value);
	if ((size_t)(end - p) < key_len || memcmp(p, key, key_len) != 0)
		return false;
	p += key_len;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if (p == end || *p++ != '=')
		return false;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if ((size_t)(end - p) < value_len || memcmp(p, value, value_len) != 0)
		return false;
	p += value_len;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p == end;
}

static int add_entry(struct reading *r, const struct line *l, const char *key, const char *value)
{
	struct inidoc *d = r->doc;
	const char *section = d->sections[l->section];
	size_t key_len = strlen(key);
	if (key_len == 0 || key_len > INI_NAME_LEN)
		return refuse(r, l->number, "a key without a name, or with one that is too long");
	for (size_t i = 0; i < key_len; i++) {
		if (!name_char(key[i]))
			return refuse(r, l->number, "a character that names of keys cannot hold");
	}
	/* Entries of one section stand together, so the search ends with the section. */
	for (unsigned i = d->entry_count; i > 0 && d->entries[i - 1].section == section; i--) {
		if (strcmp(d->entries[i - 1].key, key) == 0)
			return refuse(r, l->number, "this key was there before");
	}
	struct entry e = {.section = section, .line = l->number};
	e.key = strdup(key);
	e.value = strdup(value);
	if (!e.key || !e.value) {
		free(e.key);
		free(e.value);
		return err_set(r->err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	}
	d->entries[d->entry_count++] = e; /* room for one per line was made before */
	return 0;
}

/* Second pass: inih reports an entry. Returns 1, or 0 to make inih fail. */
static int on_entry(void *cookie, const char *section, const char *name, const char *value)
{
	struct reading *r = cookie;
	if (r->result < 0)
		return 0;
	if (!name || !value || r->next == r->line_count) {
		r->result = refuse(r, r->next ? r->lines[r->next - 1].number : 1,
			"is read in two ways: not accepted");
		return 0;
	}
	const struct line *l = &r->lines[r->next++];
	if (strcmp(section, r->doc->sections[l->section]) != 0 || !line_says(l, name, value)) {
		r->result = refuse(r, l->number,
			"not of the form \"key = value\" (\" ;\" begins a comment and cannot stand "
			"in a value)");
		return 0;
	}
	r->result = add_entry(r, l, name, value);
	return r->result == 0;
}

/* A section that holds nothing would be invisible to inih; no reader has a use for one. */
static int check_sections(struct reading *r)
{
	unsigned i = 0;
	for (unsigned s = 0; s < r->doc->section_count; s++) {
		unsigned first = i;
		while (i < r->line_count && r->lines[i].section == s)
			i++;
		if (i == first)
			return err_set(r->err, r->code, -EINVAL, "section [%s] is empty",
				r->doc->sections[s]);
	}
	return 0;
}

static int read_entries(struct reading *r, const char *text, size_t len)
{
	int rc = check_sections(r);
	if (rc < 0)
		return rc;
	r->doc->entries = calloc(r->line_count + (size_t)1, sizeof(*r->doc->entries));
	_cleanup_free_ char *copy = strndup(text, len);
	if (!r->doc->entries || !copy)
		return err_set(r->err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	int bad_line = ini_parse_string(copy, on_entry, r);
	if (r->result < 0)
		return r->result;
	if (bad_line > 0)
		return refuse(r, (unsigned)bad_line, "not of the form \"key = value\"");
	if (bad_line < 0)
		return err_set(r->err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	if (r->next != r->line_count)
		return refuse(r, r->lines[r->next].number, "not of the form \"key = value\"");
	return 0;
}

int inidoc_parse(
	const char *text, size_t len, enum exit_code code, struct inidoc **ret, struct err *err)
{
	_cleanup_(inidoc_freep) struct inidoc *doc = calloc(1, sizeof(*doc));
	if (!doc)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	struct reading r = {.doc = doc, .code = code, .err = err};
	int rc = scan(&r, text, len);
	if (rc == 0)
		rc = read_entries(&r, text, len);
	free(r.lines);
	if (rc < 0)
		return rc;
	*ret = TAKE_PTR(doc);
	return 0;
}

unsigned inidoc_section_count(const struct inidoc *d)
{
	return d->section_count;
}

const char *inidoc_section(const struct inidoc *d, unsigned i)
{
	return d->sections[i];
}

const char *inidoc_get(struct inidoc *d, const char *section, const char *key, unsigned *ret_line)
{
	for (unsigned i = 0; i < d->entry_count; i++) {
		struct entry *e = &d->entries[i];
		if (strcmp(e->section, section) == 0 && strcmp(e->key, key) == 0) {
			e->known = true;
			if (ret_line)
				*ret_line = e->line;
			return e->value;
		}
	}
	return NULL;
}

int inidoc_find_stray(const struct inidoc *d, struct inidoc_stray *ret)
{
	for (unsigned i = 0; i < d->entry_count; i++) {
		const struct entry *e = &d->entries[i];
		if (!e->known) {
			*ret = (struct inidoc_stray){
				.section = e->section, .key = e->key, .line = e->line};
			return 1;
		}
	}
	return 0;
}
