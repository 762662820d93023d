/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_UTIL_B64_H
#define COFFER_UTIL_B64_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* base64url without padding (RFC 4648 section 5): the alphabet of everything coffer names. */

/* Length of the text for n bytes, without a terminator. Its remainder by 4 is never 1. */
#define B64_LEN(n) (((size_t)(n)*4 + 2) / 3)

/* Writes B64_LEN(len) characters and a terminating zero. Returns the length of the text. */
size_t b64url_encode(const void *in, size_t len, char *out);

/*
 * Strict decoding of len characters: no padding, no other alphabet, no white space, trailing bits
 * zero. out has room for len * 3 / 4 bytes. Returns the number of bytes, or -EINVAL.
 */
ssize_t b64url_decode(const char *in, size_t len, uint8_t *out);

#endif
