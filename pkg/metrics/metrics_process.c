/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/metrics_impl.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/mono.h"

struct metrics_process {
	struct metrics_family *cpu;
	struct metrics_family *resident;
	struct metrics_family *open_fds;
};

static void closep(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

/* The n-th number (from 1) behind the text's first n - 1 blanks; 0 when there is none. */
static double nth_number(const char *text, int n)
{
	char *end;

	for (int i = 1; i < n && text; i++)
		text = text[0] ? strchr(text + 1, ' ') : NULL;
	return text ? strtod(text, &end) : 0;
}

static const char *read_line(const char *path, char *line, int size)
{
	CLEANUP(closep) FILE *file = fopen(path, "re");

	line[0] = '\0';
	return file && fgets(line, size, file) ? line : "";
}

static double resident_bytes(void)
{
	char line[256];

	return nth_number(read_line("/proc/self/statm", line, sizeof(line)), 2) *
	       (double)sysconf(_SC_PAGESIZE);
}

/* Field 22 of proc(5)'s stat, in ticks since boot; counted from behind the command's name, which
 * may hold blanks itself. */
static double start_time_seconds(void)
{
	char line[1024];
	const char *fields = strrchr(read_line("/proc/self/stat", line, sizeof(line)), ')');
	double since_boot = fields ? nth_number(fields, 21) / (double)sysconf(_SC_CLK_TCK) : 0;

	return (double)mono_wall_us() / 1e6 - (double)mono_ms() / 1e3 + since_boot;
}

static double cpu_seconds(void)
{
	struct timespec ts = {0};

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double count_open_fds(void)
{
	CLEANUP(closedirp) DIR *dir = opendir("/proc/self/fd");
	double count = 0;

	while (dir && readdir(dir))
		count++;
	return count > 3 ? count - 3 : 0; /* ".", ".." and the directory's own */
}

static struct metrics_family *declare(struct metrics *metrics, enum metrics_type type,
				      const char *name, const char *help)
{
	struct metrics_desc desc = {.type = type, .name = name, .help = help};

	return metrics_declare(metrics, &desc);
}

struct metrics_process *metrics_process_new(struct metrics *metrics)
{
	struct metrics_process *process = mem_alloc(sizeof(*process));

	process->cpu = declare(metrics, METRICS_COUNTER, "process_cpu_seconds_total",
			       "CPU time this process has used, user and system together.");
	process->resident = declare(metrics, METRICS_GAUGE, "process_resident_memory_bytes",
				    "Memory of this process that is in RAM.");
	process->open_fds = declare(metrics, METRICS_GAUGE, "process_open_fds",
				    "File descriptors this process has open.");
	metrics_set(declare(metrics, METRICS_GAUGE, "process_start_time_seconds",
			    "Unix time when this process was started."),
		    NULL, start_time_seconds());
	return process;
}

void metrics_process_read(struct metrics_process *process)
{
	metrics_set(process->cpu, NULL, cpu_seconds());
	metrics_set(process->resident, NULL, resident_bytes());
	metrics_set(process->open_fds, NULL, count_open_fds());
}
