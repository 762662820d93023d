/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "keys/slot.h"

#include <string.h>

static const struct slot_type *const types[] = {
	&password_slot_type,
};

static const char *const roles[] = {
	[ROLE_KEEPER] = "keeper",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const char *slot_role_name(enum slot_role role)
{
	return roles[role];
}

static int unknown(const struct fields *f, const char *what, const char *name)
{
	return err_set(f->err, EXIT_REPO_VERSION, -EPROTONOSUPPORT,
		"[%s] %s \"%s\" is unknown to this version of coffer: a newer one is needed",
		f->section, what, name);
}

int slot_parse(struct slot *s, unsigned number, const struct fields *f)
{
	struct slot slot = {.number = number};
	const char *type = field_text(f, "type");
	if (!type)
		return -EINVAL;
	for (size_t i = 0; i < COUNT(types); i++) {
		if (strcmp(types[i]->name, type) == 0)
			slot.type = types[i];
	}
	if (!slot.type)
		return unknown(f, "type", type);
	const char *role = field_text(f, "role");
	if (!role)
		return -EINVAL;
	size_t i = 0;
	while (i < COUNT(roles) && strcmp(roles[i], role) != 0)
		i++;
	if (i == COUNT(roles))
		return unknown(f, "role", role);
	slot.role = (enum slot_role)i;
	int rc = field_label(f, "label", slot.label, sizeof(slot.label));
	if (rc == 0)
		rc = field_time(f, "created", &slot.created);
	if (rc == 0)
		rc = field_time(f, "changed", &slot.changed);
	if (rc == 0)
		rc = slot.type->parse(&slot, f);
	if (rc == 0)
		*s = slot;
	return rc;
}

void slot_emit(const struct slot *s, bool signed_only, FILE *to)
{
	(void)fprintf(to, "[slot %u]\n", s->number);
	(void)fprintf(to, "type = %s\n", s->type->name);
	(void)fprintf(to, "role = %s\n", slot_role_name(s->role));
	emit_label(to, "label", s->label);
	emit_time(to, "created", s->created);
	if (signed_only)
		return;
	emit_time(to, "changed", s->changed);
	s->type->emit(s, to);
}
