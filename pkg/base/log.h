/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * One line per event on stderr, logfmt or JSON:
 *
 *	log_info("registered", "namespace", ns, "name", name, NULL);
 *
 * A message is a constant; what varies goes into the key/value pairs, a NULL-terminated list
 * of strings, two for each pair (a NULL value ends the list as well, so pass "" instead).
 * Values are escaped and cut at 1,024 bytes, bytes that are not UTF-8 replaced; a pair that would
 * make the line longer than 16 KiB is left out. JSON keys follow Kubernetes' component logs: ts,
 * level, msg. Levels: errors, warnings and info always; log_debug at -v 4 and above, log_trace at
 * -v 6, as sig-instrumentation's logging.md grades them. Remote text but the API server's (see
 * kube.h) only at debug; secrets never.
 */

#include <stdbool.h>

enum log_format { LOG_TEXT, LOG_JSON };

void log_setup(enum log_format format, int verbosity);
void log_setup_fd(int fd); /* where lines go; 2 unless told (tests) */
bool log_enabled(int verbosity);

#define log_error(...) log_line("error", 0, __VA_ARGS__)
#define log_warn(...)  log_line("warning", 0, __VA_ARGS__)
#define log_info(...)  log_line("info", 0, __VA_ARGS__)
#define log_debug(...) log_line("debug", 4, __VA_ARGS__)
#define log_trace(...) log_line("trace", 6, __VA_ARGS__)

void log_line(const char *level, int verbosity, const char *msg, ...) __attribute__((sentinel));

#endif
