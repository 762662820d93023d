/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "cmd/status_report.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include "util/json.h"
#include "util/log.h"

/* Names for scripts; documented in coffer-status(1). */
static const char *const usage_names[] = {
	[USAGE_UNKNOWN] = "unknown",
	[USAGE_NEVER] = "never-mounted",
	[USAGE_CLEAN] = "clean",
	[USAGE_UNCLEAN] = "unclean",
	[USAGE_CLAIMED] = "claimed",
	[USAGE_MOUNTED] = "mounted",
	[USAGE_MOUNTED_READ_ONLY] = "mounted-read-only",
};

static const char *const usage_texts[] = {
	[USAGE_UNKNOWN] = "unknown: state/ is lost or cannot be read",
	[USAGE_NEVER] = "not mounted; never was for writing",
	[USAGE_CLEAN] = "not mounted; ended cleanly",
	[USAGE_UNCLEAN] = "not mounted; the last mount did not end cleanly",
	[USAGE_CLAIMED] = "another host uses it, or did not end cleanly",
	[USAGE_MOUNTED] = "mounted",
	[USAGE_MOUNTED_READ_ONLY] = "mounted read-only",
};

static unsigned long long bytes_of(const struct status_report *s, fsblkcnt_t blocks)
{
	unsigned long long unit = s->fs.f_frsize ? (unsigned long long)s->fs.f_frsize
						 : (unsigned long long)s->fs.f_bsize;
	return (unsigned long long)blocks * unit;
}

static bool is_mount_of(const struct status_report *s, const struct mount_entry *e)
{
	return strcmp(e->source, store_path(s->store)) == 0;
}

/* ---- text ---- */

static void print_time(const char *title, long long value)
{
	char text[64];
	struct tm tm;
	time_t t = (time_t)value;
	if (value > 0 && localtime_r(&t, &tm) &&
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %z", &tm) > 0)
		printf("%-16s%s\n", title, text);
}

static void print_size(const char *title, unsigned long long bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t i = 0;
	double value = (double)bytes;
	while (value >= 1024 && i + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		i++;
	}
	printf("%-16s%.*f %s\n", title, i == 0 ? 0 : 1, value, units[i]);
}

static void print_slots(const struct config *c)
{
	for (unsigned i = 0; i < config_slot_count(c); i++) {
		struct slot_info s;
		char title[32];
		config_slot_info(c, i, &s);
		(void)snprintf(title, sizeof(title), "Slot %u:", s.number);
		printf("%-16s%s, %s, %s%s%s\n", title, s.type, s.role, s.detail,
			*s.label ? ", " : "", s.label);
	}
}

static void print_usage(const struct status_report *s)
{
	char quoted[1024];
	printf("%-16s%s\n", "State:", usage_texts[s->usage]);
	if (s->has_holder) {
		printf("%-16s%s\n", "Host:", log_quote(quoted, sizeof(quoted), s->holder.host));
		printf("%-16s%ld\n", "Process:", s->holder.pid);
		print_time("Since:", s->holder.since);
	}
	if (s->has_holder && s->holder.mountpoint[0])
		printf("%-16s%s\n",
			"Mount point:", log_quote(quoted, sizeof(quoted), s->holder.mountpoint));
	for (size_t i = 0; i < s->mounts.count; i++) {
		const struct mount_entry *e = &s->mounts.entries[i];
		if (is_mount_of(s, e) && strcmp(e->mountpoint, s->holder.mountpoint) != 0)
			printf("%-16s%s%s\n",
				"Mounted at:", log_quote(quoted, sizeof(quoted), e->mountpoint),
				e->read_only ? " (read-only)" : "");
	}
	if (s->has_epochs)
		print_time("Last clean end:", s->epochs.clean_end);
	if (s->has_epochs && s->epochs.broken)
		printf("%-16s%u remembered\n", "Crashes:", s->epochs.broken);
	if (s->usage == USAGE_CLAIMED)
		printf("%-16scoffer break-lock, if that host no longer uses it\n", "To take over:");
}

void status_print_text(const struct status_report *s)
{
	const struct config *c = repo_config(s->repo);
	const struct store_traits *t = store_traits(s->store);
	char quoted[4096];
	printf("%-16s%s\n", "Repository:", log_quote(quoted, sizeof(quoted), store_path(s->store)));
	if (*config_label(c))
		printf("%-16s%s\n", "Label:", config_label(c));
	printf("%-16s%s\n", "UUID:", config_uuid(c));
	printf("%-16s%s\n", "Fingerprint:", config_fingerprint(c));
	printf("%-16sversion %u, key generation %u\n", "Format:", config_version(c),
		config_generation(c));
	print_time("Created:", config_created(c));
	print_slots(c);
	print_usage(s);
	printf("%-16s%s, blocks of %u bytes", "Backing:", t->fs_name, t->block_size);
	if (t->physical_block)
		printf(", device %u", t->physical_block);
	printf("%s\n", t->network ? ", shared over a network" : "");
	print_size("Size:", bytes_of(s, s->fs.f_blocks));
	print_size("Free:", bytes_of(s, s->fs.f_bavail));
	for (const char *p = s->warnings; *p;) {
		int n = (int)strcspn(p, "\n");
		if (n)
			printf("%-16s%.*s\n", "Warning:", n, p);
		p += n + (p[n] == '\n');
	}
}

/* ---- JSON ---- */

static void put_slots(struct json_out *j, const struct config *c)
{
	json_out_array(j, "slots");
	for (unsigned i = 0; i < config_slot_count(c); i++) {
		struct slot_info s;
		config_slot_info(c, i, &s);
		json_out_object(j, NULL);
		json_out_number(j, "number", s.number);
		json_out_text(j, "type", s.type);
		json_out_text(j, "role", s.role);
		json_out_text(j, "label", s.label);
		json_out_text(j, "detail", s.detail);
		json_out_time(j, "created", s.created);
		json_out_time(j, "changed", s.changed);
		json_out_end(j);
	}
	json_out_end(j);
}

static void put_usage(struct json_out *j, const struct status_report *s)
{
	json_out_text(j, "state", usage_names[s->usage]);
	if (s->has_holder) {
		json_out_object(j, "holder");
		json_out_text(j, "host", s->holder.host);
		json_out_number(j, "pid", s->holder.pid);
		json_out_time(j, "since", s->holder.since);
		json_out_text(j, "mountpoint", s->holder.mountpoint);
		json_out_end(j);
	} else {
		json_out_text(j, "holder", NULL);
	}
	json_out_time(j, "last_unmount", s->has_epochs ? s->epochs.clean_end : 0);
	if (s->has_epochs)
		json_out_number(j, "broken_epochs", s->epochs.broken);
	else
		json_out_text(j, "broken_epochs", NULL);
	json_out_array(j, "mounts");
	for (size_t i = 0; i < s->mounts.count; i++) {
		const struct mount_entry *e = &s->mounts.entries[i];
		if (!is_mount_of(s, e))
			continue;
		json_out_object(j, NULL);
		json_out_text(j, "mountpoint", e->mountpoint);
		json_out_bool(j, "read_only", e->read_only);
		json_out_end(j);
	}
	json_out_end(j);
}

static void put_backing(struct json_out *j, const struct status_report *s)
{
	const struct store_traits *t = store_traits(s->store);
	json_out_object(j, "backing");
	json_out_text(j, "file_system", t->fs_name);
	json_out_number(j, "block_size", t->block_size);
	json_out_number(j, "physical_block_size", t->physical_block);
	json_out_number(j, "atomic_write", t->atomic_write);
	json_out_bool(j, "aligned", t->aligned);
	json_out_bool(j, "stable_pages", t->stable_pages);
	json_out_bool(j, "network", t->network);
	json_out_number(j, "size", (long long)bytes_of(s, s->fs.f_blocks));
	json_out_number(j, "free", (long long)bytes_of(s, s->fs.f_bfree));
	json_out_number(j, "available", (long long)bytes_of(s, s->fs.f_bavail));
	json_out_end(j);
}

static void put_warnings(struct json_out *j, const char *text)
{
	json_out_array(j, "warnings");
	while (*text) {
		char line[512];
		int n = (int)strcspn(text, "\n");
		(void)snprintf(line, sizeof(line), "%.*s", n, text);
		if (n)
			json_out_text(j, NULL, line);
		text += n + (text[n] == '\n');
	}
	json_out_end(j);
}

int status_print_json(const struct status_report *s, struct err *err)
{
	const struct config *c = repo_config(s->repo);
	_cleanup_(json_out_freep) struct json_out *j = json_out_new();
	json_out_text(j, "repository", store_path(s->store));
	json_out_text(j, "label", config_label(c));
	json_out_text(j, "uuid", config_uuid(c));
	json_out_text(j, "fingerprint", config_fingerprint(c));
	json_out_number(j, "format_version", config_version(c));
	json_out_number(j, "generation", config_generation(c));
	json_out_time(j, "created", config_created(c));
	put_slots(j, c);
	put_usage(j, s);
	put_backing(j, s);
	put_warnings(j, s->warnings);
	int rc = json_out_print(j, stdout);
	return rc < 0 ? err_set_errno(err, EXIT_INTERNAL, rc, "cannot print the status") : 0;
}
