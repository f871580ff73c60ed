/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main of a fuzz target where libFuzzer is not: it runs the target on nothing and on
 * each file named, so that what the fuzzer once found stays found, under any compiler.
 *
 *	fuzz/jv/jv_fuzz pkg/jv/testdata/fuzz_jv/FILE...
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An allocation of the very size for each input: reading one byte too far is seen. */
static int replay(const char *path)
{
	FILE *file = fopen(path, "rbe");
	uint8_t *data = NULL;
	size_t len = 0;
	size_t got = 1;

	if (!file) {
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	while (got > 0) {
		data = mem_resize(data, len + 4096, 1);
		got = fread(data + len, 1, 4096, file);
		len += got;
	}
	(void)fclose(file);
	data = mem_resize(data, len > 0 ? len : 1, 1);
	(void)LLVMFuzzerTestOneInput(data, len);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	(void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++) {
		(void)printf("%s\n", argv[i]);
		(void)fflush(stdout);
		failed |= replay(argv[i]);
	}
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
