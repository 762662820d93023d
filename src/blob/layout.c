/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "blob/layout.h"

#define START_RECORD1 ((uint64_t)CAP_RECORD0)
#define START_RECORD2 (START_RECORD1 + CAP_RECORD1)

uint32_t record_capacity(uint64_t k)
{
	if (k == 0)
		return CAP_RECORD0;
	return k == 1 ? CAP_RECORD1 : CAP_RECORD;
}

uint64_t record_start(uint64_t k)
{
	if (k == 0)
		return 0;
	return k == 1 ? START_RECORD1 : START_RECORD2 + (k - 2) * CAP_RECORD;
}

uint64_t record_of(uint64_t offset)
{
	if (offset < START_RECORD1)
		return 0;
	return offset < START_RECORD2 ? 1 : 2 + (offset - START_RECORD2) / CAP_RECORD;
}

uint64_t records_for(uint64_t size)
{
	return size == 0 ? 1 : record_of(size - 1) + 1;
}

uint64_t length_for(uint64_t size)
{
	uint64_t records = records_for(size);

	return RECORD_SIZE * records + (size - record_start(records - 1));
}

bool size_from_length(uint64_t length, uint64_t *ret)
{
	uint64_t records = length / RECORD_SIZE, last = length % RECORD_SIZE, size;

	if (length == 0) {
		*ret = 0;
		return true;
	}
	/* Only record 0 may hold nothing. */
	if (records == 0 || (last == 0 && records > 1) || last > record_capacity(records - 1))
		return false;
	size = record_start(records - 1) + last;
	if (size > SIZE_MAX_PLAIN)
		return false;
	*ret = size;
	return true;
}

uint64_t size_floor_from_length(uint64_t length)
{
	uint64_t records = length / RECORD_SIZE, last = length % RECORD_SIZE, size;

	if (records == 0)
		return 0;
	if (last > record_capacity(records - 1))
		last = record_capacity(records - 1);
	size = record_start(records - 1) + last;
	return size < SIZE_MAX_PLAIN ? size : SIZE_MAX_PLAIN;
}
