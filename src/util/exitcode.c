/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include "util/exitcode.h"

enum exit_code exit_code_of_errno(int r)
{
	switch (-r) {
	case EACCES:
	case EPERM:
	case EROFS:
		return EXIT_REPO_ACCESS;
	case ENOSPC:
	case EDQUOT:
		return EXIT_NO_SPACE;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return EXIT_INTERNAL;
	}
	return EXIT_IO;
}
