/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as coffer.ini: once as they are, once with a right [integrity] section behind them, as
 * an attacker would write it. What parses can be shown, and written and read again without a
 * change.
 */
#include <stdlib.h>
#include <string.h>
#include "keys/config_internal.h"
#include "util/b64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char tail_head[] = "[integrity]\nhmac = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";

static char *with_tail(const uint8_t *data, size_t size, size_t *ret_len)
{
	uint8_t digest[HASH_LEN];
	char digest_text[B64_LEN(HASH_LEN) + 1];
	char *text = malloc(size + sizeof(tail_head) + 64);
	if (!text)
		abort();
	memcpy(text, data, size);
	memcpy(text + size, tail_head, sizeof(tail_head));
	size_t len = size + sizeof(tail_head) - 1;
	if (sha256(text, len, digest) < 0)
		abort();
	b64url_encode(digest, sizeof(digest), digest_text);
	*ret_len = len + (size_t)sprintf(text + len, "sha256 = %s\n", digest_text);
	return text;
}

/* Both must say the same of everything that is signed. */
static void compare(const struct config *a, const struct config *b)
{
	char *x, *y;
	size_t x_len, y_len;
	if (config_signed_text(a, &x, &x_len) < 0 || config_signed_text(b, &y, &y_len) < 0)
		abort();
	if (x_len != y_len || memcmp(x, y, x_len) != 0)
		abort();
	free(x);
	free(y);
}

static void check(struct config *c)
{
	static const struct secrets secrets = {.has_seed = true};
	struct config *again = NULL;
	struct err err = ERR_INIT;
	char *text = NULL;
	size_t len;
	for (unsigned i = 0; i < config_slot_count(c); i++) {
		struct slot_info info;
		config_slot_info(c, i, &info);
		if (info.number >= SLOTS_MAX || !info.type[0] || !info.role[0] || !info.detail[0])
			abort();
	}
	if (config_format(c, &secrets, &text, &len, &err) < 0 ||
		config_parse(text, len, &again, &err) < 0)
		abort();
	compare(c, again);
	config_free(again);
	free(text);
}

static void parse(const char *text, size_t len)
{
	struct config *c = NULL;
	struct err err = ERR_INIT;
	if (config_parse(text, len, &c, &err) == 0) {
		check(c);
		config_free(c);
	} else if (c || !err.text[0] ||
		   (err.code != EXIT_REPO_DAMAGED && err.code != EXIT_REPO_VERSION)) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len;
	char *text = with_tail(data, size, &len);
	parse((const char *)data, size);
	parse(text, len);
	free(text);
	return 0;
}
